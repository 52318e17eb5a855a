"""What may go wrong while several encoders work on one folder, with real processes and a real full disk."""

import json
import os
import random
import shutil
import subprocess
import time

import numpy as np
import pytest

from clipfarm_contract.layout import RunFolder
from helpers.encoders import Encoders, is_alive, kill
from unit.encode.made_up import make_clip

pytestmark = pytest.mark.torch

MODEL = "vjepa2_tiny16"
PATIENCE = 120  # seconds
STALE = 1.0
CLIPS = 200
KILLS = 20
REPLICAS = 3


@pytest.fixture(scope="module")
def encoders():
    started = Encoders(os.environ | {"OMP_NUM_THREADS": "1"})
    yield started
    started.close()


def start(encoders, run, log, *options):
    return encoders.start(
        log,
        *("--data_dir", run.root, "--in_place", "--model", MODEL, "--weights", "random", "--crop_size", 32),
        *("--device", "cpu", *options),
    )


def watch(encoders, run, name, *options):
    log = run.state / f"{name}.json"
    options = ("--watch", "--stale-after", STALE, "--log_json", log, *options)
    return start(encoders, run, log.with_suffix(".txt"), *options)


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not get there in time"
        time.sleep(0.01)


def wait_for_end(*pids):
    wait_for(lambda: not any(map(is_alive, pids)))


def arrays(run):
    """Return what identifies each array that is there: written again, it would be another file at another time."""
    found = {}
    with os.scandir(run.root) as clips:
        for clip in clips:
            try:
                status = os.stat(f"{clip.path}/feature_maps/{MODEL}.npy")  # noqa: PTH116  it is done 10,000 times
            except OSError:
                continue
            found[clip.name] = (status.st_ino, status.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Return a folder of clips, and what a single encoder that nobody disturbs makes of them."""
    run = RunFolder(tmp_path_factory.mktemp("clips"))
    for i in range(CLIPS):
        make_clip(run.root, i, frames=2 + 2 * (i % 2), size=32)
    run.state.mkdir()
    run.all_rendered.touch()
    return run


@pytest.fixture(scope="module")
def undisturbed(encoders, clips, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("undisturbed") / "run")
    shutil.copytree(clips.root, run.root)
    wait_for_end(start(encoders, run, run.state / "log.txt", "--batch_size", 1))
    return features(run)


def features(run):
    return {str(path.relative_to(run.root)): path.read_bytes() for path in run.root.rglob("feature_maps/*")}


def test_killed_at_twenty_random_moments_three_encoders_lose_nothing_and_write_nothing_twice(
    encoders, clips, undisturbed, tmp_path
):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(clips.root, run.root)
    chance = random.Random(0)
    replicas = [watch(encoders, run, f"{i}") for i in range(REPLICAS)]
    seen = {}
    for number in range(KILLS):
        # So that kills spread over the whole run: one each time that some more clips are there, and a moment later.
        goal = (number + chance.random()) * CLIPS / (KILLS + 1)
        wait_for(lambda goal=goal: seen.update(first_seen(run, seen)) or len(seen) >= goal)
        time.sleep(chance.random() * 0.02)
        victim = chance.randrange(REPLICAS)
        kill(replicas[victim])
        wait_for_end(replicas[victim])
        replicas[victim] = watch(encoders, run, f"{number + REPLICAS}")
    wait_for_end(*replicas)
    written = arrays(run)
    assert {name: written[name] for name in seen} == seen
    assert features(run) == undisturbed
    assert not run.claims(MODEL).exists()
    for log in sorted(run.state.glob("*.json")):
        assert json.loads(log.read_text())["failures"] == []


SETS = [
    {},
    {"name": "frames", "context": "frame", "layers": [2, 4]},
    {"name": "prefixes", "context": "prefix", "window": 2, "dtype": "fp32"},
    {"name": "means", "pool": "space"},
]
FEW, FEW_KILLS = 16, 4


def test_three_encoders_on_four_feature_sets_lose_nothing_when_they_are_killed(encoders, clips, tmp_path):
    run, alone = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "alone")
    for each in (run, alone):
        for i in range(FEW):
            shutil.copytree(clips.clip(i).folder, each.clip(i).folder)
        each.state.mkdir()
        each.all_rendered.touch()
    sets = ("--features", json.dumps(SETS))
    chance = random.Random(0)
    replicas = [watch(encoders, run, f"{i}", *sets) for i in range(REPLICAS)]
    for number in range(FEW_KILLS):
        goal = (number + chance.random()) * FEW * len(SETS) / (FEW_KILLS + 1)
        wait_for(lambda goal=goal: sum(1 for _ in run.root.glob("clip_*/feature_maps/*.json")) >= goal)
        victim = chance.randrange(REPLICAS)
        kill(replicas[victim])
        wait_for_end(replicas[victim])
        replicas[victim] = watch(encoders, run, f"{number + REPLICAS}", *sets)
    wait_for_end(start(encoders, alone, alone.state / "log.txt", *sets), *replicas)
    expected = features(alone)
    assert len(expected) == FEW * len(SETS) * 2
    assert features(run) == expected
    assert not run.claims(MODEL).parent.exists()
    last = json.loads((run.state / f"{FEW_KILLS + REPLICAS - 1}.json").read_text())
    assert {
        each["name"]: each["clips"]["encoded"] + each["clips"]["skipped"] for each in last["sets"]
    } == dict.fromkeys((MODEL, "frames", "prefixes", "means"), FEW)


def first_seen(run, seen):
    return {name: identity for name, identity in arrays(run).items() if name not in seen}


def test_encoders_that_share_a_folder_split_it_and_each_ends_when_nothing_is_left(
    encoders, clips, undisturbed, tmp_path
):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(clips.root, run.root)
    wait_for_end(*(watch(encoders, run, f"{i}") for i in range(REPLICAS)))
    counts = [json.loads((run.state / f"{i}.json").read_text())["clips"] for i in range(REPLICAS)]
    assert sum(each["encoded"] for each in counts) == CLIPS
    assert all(each["encoded"] > 0 for each in counts)
    assert all(each["encoded"] + each["skipped"] == CLIPS for each in counts)
    assert features(run) == undisturbed
    assert not run.claims(MODEL).exists()


def test_one_that_is_stopped_gives_its_clips_to_the_others_at_once(encoders, clips, tmp_path):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(clips.root, run.root)
    first = watch(encoders, run, "first", "--stale-after", 3600)
    wait_for(lambda: arrays(run))
    kill(first, 15)
    wait_for_end(first)
    wait_for_end(watch(encoders, run, "second", "--stale-after", 3600))
    assert len(arrays(run)) == CLIPS


def test_what_one_that_was_killed_had_claimed_goes_to_the_next_at_once(encoders, clips, tmp_path):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(clips.root, run.root)
    first = watch(encoders, run, "first", "--stale-after", 3600)
    wait_for(lambda: arrays(run))
    kill(first)
    wait_for_end(first)
    assert list(run.claims(MODEL).glob("clip_*")), "it was killed at work"
    wait_for_end(watch(encoders, run, "second", "--stale-after", 3600))
    assert len(arrays(run)) == CLIPS


def test_a_clip_that_brings_its_decoder_down_fails_alone(encoders, tmp_path):
    run = RunFolder(tmp_path / "run")
    for i in range(5):
        make_clip(run.root, i)
    run.state.mkdir()
    pid = watch(encoders, run, "only")
    wait_for(lambda: len(arrays(run)) == 5)
    for decoder in children(pid):
        kill(decoder)
    make_clip(run.root, 5)  # is given to one of them
    log = run.state / "only.json"
    wait_for(lambda: json.loads(log.read_text())["failures"])
    run.all_rendered.touch()
    wait_for_end(pid)
    document = json.loads(log.read_text())
    assert document["failures"] == [{"clip": "clip_00005", "reason": "its decoder was killed by signal 9"}]
    assert document["clips"]["encoded"] == 5


def test_a_fifo_in_a_frames_place_fails_its_clip_alone(encoders, tmp_path):
    run = RunFolder(tmp_path / "run")
    for i in range(3):
        make_clip(run.root, i)
    run.state.mkdir()
    frame = run.clip(1).frame(1)
    frame.unlink()
    os.mkfifo(frame)
    run.clip(1).manifest.unlink()
    wait_for_end(start(encoders, run, run.state / "log.txt", "--log_json", run.encode_log()))
    document = json.loads(run.encode_log().read_text())
    assert document["failures"] == [{"clip": "clip_00001", "reason": "rgb/frame_00001.png: not a regular file"}]
    assert document["clips"]["encoded"] == 2


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(each) for each in found.stdout.split()]


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_fails_clips_by_name_and_what_is_there_is_whole(encoders, small_disk, tmp_path):
    run = RunFolder(small_disk / "run")
    for i in range(8):
        make_clip(run.root, i, size=16)
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(shutil.disk_usage(small_disk).free - 40 * 1024))
    log = tmp_path / "log.json"
    pid = start(encoders, run, tmp_path / "log.txt", "--crop_size", 64, "--log_json", log)
    wait_for_end(pid)
    document = json.loads(log.read_text())
    counts = document["clips"]
    assert counts["encoded"] > 0
    assert counts["failed"] > 0
    assert counts["encoded"] + counts["failed"] == 8
    assert all("No space left on device" in failure["reason"] for failure in document["failures"])
    assert len(arrays(run)) == counts["encoded"]
    assert not list(run.root.rglob("feature_maps/.*"))
    for path in run.root.rglob("*.npy"):
        if path.parent.name == "feature_maps":
            assert np.load(path).shape == (32, 192)
    ballast.unlink()
    wait_for_end(start(encoders, run, tmp_path / "again.txt", "--crop_size", 64, "--log_json", log))
    assert json.loads(log.read_text())["clips"]["encoded"] == counts["failed"]
