"""The encoders of a run on this machine: what they say is followed, and several share the work."""

import contextlib
import json
import os
from dataclasses import replace

import numpy as np
import psutil
import pytest

from clipfarm.decide.encoding import IDLE_SECONDS
from clipfarm.decide.plan import decide
from clipfarm.local import follow_encoder
from clipfarm.local.apply import apply
from clipfarm.local.encoders import Encoder, share
from clipfarm.local.job import Job
from clipfarm.local.observe import observe
from clipfarm.local.scan import Scan
from clipfarm.local.state import State
from clipfarm.run_file import read_run
from clipfarm.world import GpuId, Moment, Turn
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.encoder_counts import Counts
from clipfarm_contract.encoder_progress import EncoderProgress, Failure
from clipfarm_contract.encoder_progress import State as Standing
from clipfarm_contract.layout import RunFolder
from helpers.local import clipfarm, descendants, end, wait_until
from helpers.nvml import Gpus


class FakeProcess:
    """A process whose end the test decides."""

    def __init__(self):
        self.status = None
        self.terminated = 0

    def terminate(self):
        self.terminated += 1

    def poll(self):
        return self.status


@pytest.fixture
def followed(local, tmp_path):
    """The state of a run of four complete clips, with an encoder at work."""
    local.spec["encode"] = {"model": "vjepa2_tiny16", "weights": {"source": "random"}}
    local.clips = 4
    job = Job(read_run(local.yaml), RunFolder(tmp_path), tuple(range(4)))
    state = State.start(job, Scan(frozenset(range(4)), frozenset(), (), ()), "here", 2)
    at_work(state, 0)
    return state


def at_work(state, number):
    """Let an encoder be at work."""
    log = state.job.folder.encode_log(number)
    state.encoders[number] = Encoder(FakeProcess(), log.with_suffix(".txt"), log, 0.0)


def write_log(state, *failures, number=0, finished=False):
    log = EncoderProgress(
        clips=Counts(waiting=0, encoding=0, encoded=0, skipped=0),
        failures=tuple(Failure(f"clip_{clip:05d}", "bad") for clip in failures),
        state=Standing.FINISHED if finished else Standing.RUNNING,
    )
    state.job.folder.state.mkdir(exist_ok=True)
    state.job.folder.encode_log(number).write_text(json.dumps(log.to_json()))


def write_features(state, clip, cut=0):
    place = state.job.folder.clip(clip)
    place.features("vjepa2_tiny16").parent.mkdir(parents=True)
    np.save(place.features("vjepa2_tiny16"), np.zeros((8, 4), np.float16))
    os.truncate(place.features("vjepa2_tiny16"), 128 + 8 * 4 * 2 - cut)
    made = {"model": "vjepa2_tiny16", "weights": {"source": "random"}, "dtype": "float16"}
    place.features_sidecar("vjepa2_tiny16").write_text(json.dumps(made | {"preprocessing": {"crop": 256}}))


def test_features_count_once_the_encoder_has_looked_at_them(followed):
    write_features(followed, 0)
    write_features(followed, 1, cut=2)
    follow_encoder.follow(followed, 1.0)
    assert followed.unencoded == {0, 1, 2, 3}
    write_log(followed)
    follow_encoder.follow(followed, 2.0)
    assert followed.unencoded == {1, 2, 3}


def test_a_clip_that_failed_to_encode_and_then_did_not_is_no_failure(followed):
    write_log(followed, 2)
    follow_encoder.follow(followed, 1.0)
    assert followed.encode_failed == {2: "bad"}
    write_log(followed)
    write_features(followed, 2)
    follow_encoder.follow(followed, 2.0)
    assert (followed.encode_failed, followed.unencoded) == ({}, {0, 1, 3})


def test_an_encoder_that_ends_with_work_left_is_noted_and_one_that_failed_all_the_rest_is_not(followed):
    write_log(followed, 0, 1, 2)
    followed.encoders[0].process.status = -9
    follow_encoder.follow(followed, 1.0)
    assert [each.status for each in followed.early_ends] == [-9]
    at_work(followed, 0)
    write_log(followed, 0, 1, 2, 3)
    followed.encoders[0].process.status = 1
    follow_encoder.follow(followed, 2.0)
    assert (len(followed.early_ends), followed.encoders) == (1, {})


class TestSeveral:
    """Of several encoders each tries what failed elsewhere."""

    @pytest.fixture(autouse=True)
    def second(self, followed):
        at_work(followed, 1)

    def test_a_clip_has_failed_when_it_has_failed_for_all(self, followed):
        write_log(followed, 1, 2)
        follow_encoder.follow(followed, 1.0)
        assert followed.encode_failed == {}, "the other has not said anything"
        write_log(followed, 2, number=1)
        follow_encoder.follow(followed, 2.0)
        assert followed.encode_failed == {2: "bad"}

    def test_one_that_finds_nothing_left_rests_while_the_other_tries_what_it_could_not(self, followed):
        for clip in (0, 1, 2):
            write_features(followed, clip)
        write_log(followed, 3, finished=True)
        write_log(followed, number=1)
        followed.encoders[0].process.status = 1
        follow_encoder.follow(followed, 1.0)
        assert (followed.rested, followed.encode_failed, followed.early_ends) == ({0: {3: "bad"}}, {}, [])
        write_log(followed, 3, number=1, finished=True)
        followed.encoders[1].process.status = 1
        follow_encoder.follow(followed, 2.0)
        assert (followed.encoders, followed.rested, followed.early_ends) == ({}, {}, [])
        assert (followed.encode_failed, followed.unencoded) == ({3: "bad"}, {3})

    def test_one_that_is_killed_leaves_no_opinion_behind_and_is_noted(self, followed):
        write_log(followed)
        write_log(followed, 3, number=1)
        follow_encoder.follow(followed, 1.0)
        followed.encoders[0].process.status = -9
        follow_encoder.follow(followed, 2.0)
        assert [each.status for each in followed.early_ends] == [-9]
        assert list(followed.encoders) == [1]
        follow_encoder.follow(followed, 3.0)
        assert followed.encode_failed == {3: "bad"}

    def test_who_rests_is_not_started_again(self, followed, monkeypatch):
        started = []
        monkeypatch.setattr("clipfarm.local.apply.start_encoder", lambda job, number, *_: started.append(number))
        write_log(followed, finished=True)
        write_log(followed, number=1)
        followed.encoders[0].process.status = 0
        follow_encoder.follow(followed, 1.0)
        plan = decide(followed.job.run, observe(followed, Moment(1.0, 0.0)))
        apply(replace(plan, start=(), encoders=3), followed, 1.0)
        assert started == [2]


@pytest.mark.parametrize(
    ("now", "no_more_clips", "terminated"),
    [(999.0, False, 0), (1001.0, False, 1), (1001.0, True, 0)],
    ids=["for a while", "for long", "at the end it ends by itself"],
)
def test_an_encoder_without_work_leaves(followed, now, no_more_clips, terminated):
    """Its GPU memory may be what clips wait for."""
    for clip in range(3):
        write_features(followed, clip)
    write_log(followed)
    for clips in (followed.complete, followed.unencoded):
        clips.discard(3)
    followed.waiting.append(3)  # and held
    followed.turn = Turn(idle_since=1001.0 - IDLE_SECONDS)
    plan = decide(followed.job.run, observe(followed, Moment(now, 0.0)))
    apply(replace(plan, start=(), no_more_clips=no_more_clips), followed, now)
    assert followed.encoders[0].process.terminated == terminated
    followed.encoders[0].process.status = 0
    follow_encoder.follow(followed, now)
    assert (followed.encoders, followed.early_ends) == ({}, [])


@pytest.mark.parametrize(
    ("gpus", "replicas", "shares"),
    [
        ("", 2, ["", ""]),
        ("a", 2, ["a", "a"]),
        ("ab", 2, ["a", "b"]),
        ("abc", 2, ["ac", "b"]),
        ("ab", 3, ["a", "b", "a"]),
    ],
)
def test_encoders_share_the_gpus_out(gpus, replicas, shares):
    ids = tuple(GpuId("here", index, name) for index, name in enumerate(gpus))
    assert ["".join(gpu.uuid for gpu in share(ids, i, replicas)) for i in range(replicas)] == shares


CLIPS = 24


@pytest.fixture
def painted(local):
    """A run whose clips have frames, and of which only the first is made before ``go``."""
    local.clips = CLIPS
    encode = {"model": "vjepa2_tiny16", "weights": {"source": "random"}, "cropSize": 32, "batchSize": 1, "replicas": 2}
    phase = {"name": "A", "clips": {"start": 0, "end": CLIPS - 1}}
    phase |= {"friction": {"min": 0.5, "max": 0.9}, "mass": {"min": 1, "max": 1}}
    local.spec |= {"workers": 2, "encode": encode}
    local.spec["experiment"] = {"frames": 4, "resolution": 32, "phases": [phase]}
    for clip in range(CLIPS):
        local.script(clip, "wait go paint" if clip else "paint")
    return local


def logs(local):
    """Return what the encoders say, as soon as both do."""
    found = [RunFolder(local.output).encode_log(number) for number in (0, 1)]
    return [json.loads(log.read_text()) for log in found] if all(log.exists() for log in found) else []


def encoder_processes(run):
    """Return the encoders of a run by number."""
    found = {}
    for process in descendants(run.pid):
        with contextlib.suppress(psutil.Error):  # it has ended
            command = process.cmdline()
            if "clipfarm_encode" in command:
                found[int(command[command.index("--log-json") + 1].endswith("-1.json"))] = process
    return found


@pytest.mark.torch
def test_several_encoders_share_a_run_and_one_that_is_killed_is_replaced(painted):
    process = painted.start()
    wait_until(lambda: logs(painted), "two encoders at work")
    printed = [(painted.output / f".clipfarm/workers/encoder-{i}.log").read_text() for i in (0, 1)]
    assert all(f"{max(1, available_cpus() // 2)} CPU threads" in each for each in printed)
    victim = encoder_processes(process)[1]
    victim.kill()
    wait_until(lambda: encoder_processes(process).get(1, victim) != victim, "another in its place")
    wait_until(lambda: logs(painted), "it to be at work")
    painted.signal_file("go")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert f"encoded {CLIPS}/{CLIPS}" in output
    counts = [each["clips"] for each in logs(painted)]
    assert all(each["encoded"] > 0 and each["failed"] == 0 for each in counts)
    # All but those that the one that was killed had done.
    assert CLIPS - 1 <= sum(each["encoded"] for each in counts) <= CLIPS
    report = json.loads((painted.output / "report.json").read_text())
    assert report["clips"]["encoded"] == CLIPS
    assert report["encode"]["encoders"] == 2
    assert report["encode"]["clips_per_second"] == pytest.approx(
        sum(each["clips_per_second"] for each in logs(painted))
    )


@pytest.mark.torch
def test_feature_sets_that_are_added_to_a_finished_run_are_made_without_rendering_anything(painted):
    painted.signal_file("go")
    painted.clips = 2
    first = {"name": "whole"}
    painted.spec["encode"] |= {"features": [first], "replicas": 1}
    assert painted.run().returncode == 0
    rendered = painted.started()
    before = {path: path.read_bytes() for path in painted.output.rglob("clip_*/**/*") if path.is_file()}
    added = [{"name": "layers", "context": "frame", "layers": [2, 4]}, {"name": "means", "pool": "space"}]
    painted.spec["encode"] |= {"features": [first, *added]}
    planned = clipfarm("plan", painted.yaml, "--output", painted.output).stdout
    assert "features layers: vjepa2_tiny16, context frame, layers 2, 4; " in planned
    ran = painted.run()
    assert ran.returncode == 0, ran.stdout
    assert painted.started() == rendered, "nothing was rendered"
    assert {path: path.read_bytes() for path in before} == before
    for clip in ("clip_00000", "clip_00001"):
        names = {path.name for path in (painted.output / clip / "feature_maps").iterdir()}
        assert names >= {"whole.npy", "layers.safetensors", "means.npy", "layers.json"}
    report = json.loads((painted.output / "report.json").read_text())
    counts = {each["name"]: (each["context"], each["encoded"]) for each in report["encode"]["features"]}
    assert counts == {"whole": ("clip", 2), "layers": ("frame", 2), "means": ("clip", 2)}
    assert "features layers (frame, vjepa2_tiny16): 2 clips, 0 failed" in (painted.output / "report.md").read_text()
    assert clipfarm("verify", painted.output).stdout == "checked 2 clips and 6 feature files: no problems\n"
    damaged = painted.output / "clip_00001/feature_maps/layers.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert "layers.safetensors: sha256 is not the one in layers.json" in clipfarm("verify", painted.output).stdout


@pytest.mark.torch
def test_each_of_several_encoders_gets_gpus_of_its_own(painted, nvml_library, tmp_path):
    gpus = Gpus(tmp_path / "gpus.txt", nvml_library)
    gpus.show(0.1, 0.1, 0.1)
    painted.env |= gpus.environment
    process = painted.start()
    wait_until(lambda: len(encoder_processes(process)) == 2, "two encoders")
    visible = {number: each.environ()["CUDA_VISIBLE_DEVICES"] for number, each in encoder_processes(process).items()}
    assert visible == {0: "GPU-00000000-stub,GPU-00000002-stub", 1: "GPU-00000001-stub"}
    assert end(process)[0] == 143
