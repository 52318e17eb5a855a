"""Real encoders, started as their Deployments say, and the operator that follows them at /progress.

The pods are kwok's. For each of an encoder the test starts what its container would run, with the volume and the
address that the pod would have here.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from clipfarm.manifests.encoder import PORT
from clipfarm.run import Run
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.layout import RunFolder
from helpers.cluster import Namespace
from helpers.kubelet import End, end_pod, index
from helpers.local import wait_until
from helpers.operators import CLAIMS, DEPLOYMENTS, JOBS, PODS, RUNS, Runs, command, run_document
from helpers.videos import make_pictures, make_video
from unit.encode.made_up import make_clip

pytestmark = pytest.mark.torch

MODEL = "vjepa2_tiny16"
FOREIGN = "clip_00000: made with seed 1 instead of 0; it is left as it is"
ENCODE = {"model": MODEL, "weights": {"source": "random"}, "cropSize": 32, "batchSize": 2}


class Container:
    """The encoder of a pod, as a process."""

    def __init__(self, pod: dict[str, Any], volume: Path, log: Path) -> None:
        [container] = pod["spec"]["containers"]
        # Of this machine, and nobody else's.
        self.address = ".".join(["127", *(str(secrets.randbelow(250) + 1) for _ in range(3))])
        here = {
            "/clips": str(volume),
            "/videos": str(volume.with_name("videos")),
            "0.0.0.0": self.address,
            "$(POD_NAME)": pod["metadata"]["name"],
        }
        arguments = [_put_in(each, here) for each in container["args"]]
        variables = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        command = [sys.executable, "-m", "clipfarm_encode", "--device", "cpu", *arguments]
        self._log = log
        with log.open("wb") as file:
            environment = os.environ | {name: variables[name] for name in (RUN_EXPERIMENT,) if name in variables}
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)

    def progress(self) -> dict[str, Any] | None:
        try:
            return urllib3.request("GET", f"http://{self.address}:{PORT}/progress", retries=False, timeout=5).json()
        except urllib3.exceptions.HTTPError:
            assert self.process.poll() is None, self._log.read_text()
            return None  # it still imports PyTorch

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def _put_in(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


@pytest.fixture
def run_encoder(driven: Namespace, tmp_path: Path) -> Iterator[Callable[[str, Path], Container]]:
    """Run the encoder of a run's pod; its address becomes the pod's once it answers, as with a readiness probe."""
    started: list[Container] = []

    def start(run: str, volume: Path) -> Container:
        def living() -> list[dict[str, Any]]:
            pods = driven.pods(f"clipfarm.dev/role=encode,clipfarm.dev/run={run}")
            return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

        name = wait_until(living, "an encoder's pod")[0]["metadata"]["name"]
        pod = wait_until(lambda: (p := driven.get(PODS, name))["status"].get("phase") == "Running" and p, "it to run")
        made = Container(pod, volume, tmp_path / f"{name}.log")
        started.append(made)
        wait_until(made.progress, "the encoder to answer")
        address = {"status": {"podIP": made.address, "podIPs": [{"ip": made.address}]}}
        driven.patch(PODS, name, "status", body=address)
        return made

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def volume(tmp_path: Path) -> RunFolder:
    (tmp_path / "clips").mkdir()
    return RunFolder(tmp_path / "clips")


def create(runs: Runs, name: str, first: int, last: int) -> None:
    """Create a run of some clips, on the claim of the run ``a``."""
    storage = {"size": "1Gi"} if name == "a" else {"claimName": "a-clips"}
    made = run_document(name, last + 1, workers=last + 1 - first, storage=storage, encode=ENCODE)
    made["spec"]["clips"]["start"] = first
    made["spec"]["experiment"] |= {"frames": 4, "resolution": 48}
    runs.namespace.create(RUNS, made)


def make(runs: Runs, name: str, clip: int, volume: RunFolder) -> None:
    """Write a clip of a run."""
    document = runs.get(name)
    run = Run.model_validate({part: document[part] for part in ("apiVersion", "kind", "metadata", "spec")})
    make_clip(volume.root, clip, seed=run.spec.seed, experiment=run.spec.contract())


def render(runs: Runs, name: str, first: int, last: int, volume: RunFolder) -> None:
    """Do the work of the run's renderers."""
    for pod in runs.running(last + 1 - first, name):
        make(runs, name, first + index(pod), volume)
        end_pod(runs.namespace, pod["metadata"]["name"])
    wait_until(lambda: runs.status(name).get("rendered") == last + 1 - first, "the clips to be counted")


def encoded(volume: RunFolder) -> list[int]:
    return [clip for clip in volume.clips() if volume.clip(clip).features(MODEL).exists()]


def test_two_runs_on_one_claim_are_encoded_each_by_its_own_encoders_and_counted_exactly(
    definition, driven: Namespace, start_operator, run_encoder, volume: RunFolder
):
    start_operator(driven, "--encoder-access", "direct")
    runs = Runs(driven)
    create(runs, "a", 0, 2)
    render(runs, "a", 0, 2, volume)
    create(runs, "b", 3, 6)
    render(runs, "b", 3, 6, volume)
    torn = volume.clip(5).frame(1)
    torn.write_bytes(torn.read_bytes()[:-20])

    first = run_encoder("a", volume.root)
    status = runs.finished("a")
    assert (status["phase"], status["encoded"], status["failed"]) == ("Succeeded", 3, 0)
    assert encoded(volume) == [0, 1, 2]
    assert first.progress()["clips"]["found"] == 3
    assert (runs.status("b")["phase"], runs.status("b")["encoded"]) == ("Encoding", 0)
    wait_until(lambda: driven.get(DEPLOYMENTS, "a-encode")["spec"]["replicas"] == 0, "its Deployment to be scaled down")
    assert first.terminate() == 0, "it was asked to end"

    second = run_encoder("b", volume.root)
    status = runs.finished("b")
    assert (status["phase"], status["encoded"], status["failed"]) == ("CompletedWithFailures", 3, 1)
    [failure] = status["failures"]
    assert (failure["clips"], failure["stage"]) == ("5", "encode")
    assert failure["reason"].startswith("rgb/frame_00001.png:")
    assert encoded(volume) == [0, 1, 2, 3, 4, 6]
    assert second.progress()["clips"] == {
        "found": 4, "waiting": 0, "encoding": 0, "encoded": 3, "skipped": 0, "failed": 1
    }  # fmt: skip
    second.terminate()

    shutil.rmtree(volume.clip(5).folder)
    done = command(definition, "retry", "b", "--namespace", driven.name)
    assert done.stdout == "b: tries again 1 clip to look at (5) and what was not encoded\n", done.stderr
    [pod] = runs.running(1, "b")
    make(runs, "b", 5, volume)
    end_pod(driven, pod["metadata"]["name"])
    run_encoder("b", volume.root)
    status = runs.finished("b")
    assert (status["phase"], status["rendered"], status["encoded"], status["failed"]) == ("Succeeded", 4, 4, 0)
    assert encoded(volume) == [0, 1, 2, 3, 4, 5, 6]


def test_another_runs_clips_are_neither_counted_nor_touched_and_retry_ends_with_features_for_every_clip(
    definition, driven: Namespace, start_operator, run_encoder, volume: RunFolder
):
    start_operator(driven, "--encoder-access", "direct")
    runs = Runs(driven)
    create(runs, "a", 0, 2)
    make(runs, "a", 0, volume)
    manifest = volume.clip(0).manifest
    foreign = json.loads(manifest.read_text())
    foreign["recipe"]["seed"] = 1
    manifest.write_text(json.dumps(foreign))
    for pod in runs.running(3, "a"):
        if index(pod) == 0:
            end_pod(driven, pod["metadata"]["name"], End(1, message=FOREIGN))
        else:
            make(runs, "a", index(pod), volume)
            end_pod(driven, pod["metadata"]["name"])
    first = run_encoder("a", volume.root)
    status = runs.finished("a")
    assert (status["phase"], status["rendered"], status["encoded"]) == ("CompletedWithFailures", 2, 2)
    assert encoded(volume) == [1, 2]
    assert (first.progress()["foreign"], first.progress()["absent"]) == (1, "0")
    first.terminate()

    shutil.rmtree(volume.clip(0).folder)
    done = command(definition, "retry", "a", "--namespace", driven.name)
    assert done.stdout == "a: tries again 1 clip to render (0)\n", done.stderr
    [pod] = runs.running(1, "a")
    assert runs.status("a")["encoded"] == 2
    make(runs, "a", 0, volume)
    end_pod(driven, pod["metadata"]["name"])
    run_encoder("a", volume.root)
    status = runs.finished("a")
    assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", 3, 3)
    assert encoded(volume) == [0, 1, 2]


def test_an_encoder_that_is_killed_and_started_again_goes_on_and_nothing_is_counted_twice(
    definition, driven: Namespace, start_operator, run_encoder, volume: RunFolder
):
    start_operator(driven, "--encoder-access", "direct")
    runs = Runs(driven)
    create(runs, "a", 0, 3)
    pods = runs.running(4, "a")
    for pod in pods[:2]:
        make(runs, "a", index(pod), volume)
        end_pod(driven, pod["metadata"]["name"])
    first = run_encoder("a", volume.root)
    wait_until(lambda: runs.status("a").get("encoded") == 2, "two clips to be counted")
    first.process.kill()
    first.process.wait()
    for pod in pods[2:]:
        make(runs, "a", index(pod), volume)
        end_pod(driven, pod["metadata"]["name"])
    wait_until(lambda: runs.status("a")["phase"] == "Encoding", "the run to wait for its encoder")
    second = run_encoder("a", volume.root)
    status = runs.finished("a")
    assert (status["phase"], status["encoded"]) == ("Succeeded", 4)
    clips = second.progress()["clips"]
    assert (clips["encoded"], clips["skipped"]) == (2, 2)


def test_a_run_of_videos_lists_and_encodes_them_and_renders_nothing(
    definition, driven: Namespace, start_operator, run_encoder, volume: RunFolder
):
    videos = volume.root.with_name("videos") / "v" / "lab"
    make_video(videos / "a.mp4", frames=12)
    make_pictures(videos / "walk", count=5)
    noise = videos / "noise.webm"
    noise.write_bytes(b"no video")
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    driven.create(CLAIMS, {"metadata": {"name": "v"}, "spec": claim})
    start_operator(driven, "--encoder-access", "direct")
    runs = Runs(driven)
    made = run_document("a", 1, storage={"size": "1Gi"}, encode=ENCODE)
    del made["spec"]["clips"], made["spec"]["experiment"]
    made["spec"].pop("workers", None)
    made["spec"]["source"] = {"videos": {"folder": "lab", "claimName": "v", "frames": 4}}
    driven.create(RUNS, made)

    status = wait_until(lambda: (found := runs.status("a")).get("reason") == "Listing" and found, "the list to be made")
    assert status["phase"] == "Encoding"
    assert not {"total", "rendered", "videos"} & status.keys(), "what is unknown is not zero"
    first = run_encoder("a", volume.root)
    status = runs.finished("a")
    assert (status["phase"], status["total"], status["encoded"], status["failed"]) == ("CompletedWithFailures", 4, 4, 0)
    reason = "Invalid data found when processing input"
    assert status["videos"] == {"found": 3, "passedOver": 1, "reasons": [{"video": "noise.webm", "reason": reason}]}
    assert "rendered" not in status
    assert encoded(volume) == [0, 1, 2, 3]
    jobs = wait_until(lambda: driven.list(JOBS), "the report's Job")
    assert [job["metadata"]["name"] for job in jobs] == ["a-report"], "nothing is rendered"
    shown = command(definition, "status", "a", "--namespace", driven.name).stdout.splitlines()
    assert shown[0] == "a: CompletedWithFailures: encoded 4/4, failed 0, videos passed over 1"
    assert f"  passed over noise.webm: {reason}" in shown
    first.terminate()

    noise.unlink()
    make_video(videos / "noise.webm", frames=4)
    done = command(definition, "retry", "a", "--namespace", driven.name)
    assert done.stdout == "a: tries again the videos that were passed over\n", done.stderr
    second = run_encoder("a", volume.root)
    status = runs.finished("a")
    assert (status["phase"], status["total"], status["encoded"]) == ("Succeeded", 5, 5)
    assert status["videos"] == {"found": 3, "passedOver": 0, "reasons": []}
    clips = second.progress()["clips"]
    assert (clips["encoded"], clips["skipped"]) == (1, 4)
