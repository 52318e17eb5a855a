"""What goes wrong on a real node: nothing is lost, nothing is made twice, and the reasons are true."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipfarm_contract.layout import RunFolder
from helpers.local import clipfarm, wait_until
from helpers.node import RELEASE, SYSTEM, Node, Place, hashes, run
from helpers.operators import command

pytestmark = pytest.mark.timeout(400)
LIMIT = 180.0

# A renderer of one's own: frames for the encoder, noise from the clip's seed. Each start leaves a line on the volume.
FRAMES = """
import json, os, pathlib, time
import numpy
from PIL import Image
clip, folder = int(os.environ["CLIP_INDEX"]), pathlib.Path(os.environ["CLIP_DIR"])
shared = pathlib.Path(os.environ["CLIP_CACHE"])
shared.mkdir(parents=True, exist_ok=True)
with (shared / f"starts-{clip}").open("a") as starts:
    starts.write("start\\n")
attempt = len((shared / f"starts-{clip}").read_text().splitlines())
noise = numpy.random.default_rng(int(os.environ["CLIP_SEED"]))
(folder / "rgb").mkdir()
for frame in range(json.loads(os.environ["CLIP_EXPERIMENT"])["frames"]):
    Image.fromarray(noise.integers(0, 255, (64, 64, 3), "uint8")).save(folder / "rgb" / f"frame_{frame:05d}.png")
"""
ENCODE = {"model": "vjepa2_tiny16", "weights": {"source": "random"}, "batchSize": 4}


def waits(clips: str, seconds: int = 120) -> str:
    """Continue FRAMES: in their first attempt some clips wait, until the test has done what it does to them."""
    return f"{FRAMES}\nif clip in {clips} and attempt == 1:\n    (shared / f'waits-{{clip}}').touch()\n" + (
        f"    for _ in range({seconds * 10}):\n"
        "        if (shared / 'go').exists():\n            break\n        time.sleep(0.1)\n"
    )


def cache(place: Place) -> Path:
    return place.volume / ".clipfarm" / "cache"


def starts(place: Place, clip: int) -> int:
    path = cache(place) / f"starts-{clip}"
    return len(path.read_text().splitlines()) if path.exists() else 0


def wait_for_waiting(place: Place, *clips: int) -> None:
    wait_until(
        lambda: all((cache(place) / f"waits-{clip}").exists() for clip in clips), f"clips {clips} to wait", LIMIT
    )


def pod_of(place: Place, clip: int) -> str:
    [pod] = [
        pod
        for pod in place.running("render")
        if pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == str(clip)
    ]
    return str(pod["metadata"]["name"])


def is_whole(place: Place, clips: int) -> None:
    """Every clip is there with the hashes that it says, and nothing else."""
    assert [path.name for path in sorted(place.volume.glob("clip_*"))] == [f"clip_{clip:05d}" for clip in range(clips)]
    done = clipfarm("verify", place.volume)
    assert not done.returncode, done.stdout + done.stderr


def test_a_clip_that_takes_too_much_memory_fails_with_that_reason_and_the_others_are_made(place: Place):
    greedy = FRAMES + "\nif clip == 1:\n    held = bytearray(os.urandom(1)) * (1 << 30)\n"
    place.create(run("greedy", 3, greedy, render={"memory": "200Mi"}))
    status = place.runs.finished("greedy", LIMIT)
    assert (status["phase"], status["rendered"], status["failed"]) == ("CompletedWithFailures", 2, 1)
    [failure] = status["failures"]
    assert (failure["clips"], failure["stage"]) == ("1", "render")
    assert failure["reason"] == "the kernel ended the pod: it took more memory than render.memory allows"
    assert starts(place, 1) == 1


def test_a_renderer_whose_pod_is_deleted_starts_again_and_is_no_failure(place: Place):
    place.create(run("deleted", 3, waits("(1,)")))
    wait_for_waiting(place, 1)
    done = place.kubectl("delete", "pod", pod_of(place, 1))
    assert not done.returncode, done.stderr
    status = place.runs.finished("deleted", LIMIT)
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", 3, 0)
    assert [starts(place, clip) for clip in range(3)] == [1, 2, 1]
    is_whole(place, 3)


def test_an_encoder_that_is_deleted_in_the_middle_leaves_every_clip_with_its_features(place: Place, tmp_path: Path):
    clips = 24
    manifest = run("encoded", clips, FRAMES, encode=ENCODE, render={"clipsPerPod": 8})
    place.create(manifest)
    features = lambda: sorted(place.volume.glob("clip_*/feature_maps/*.npy"))  # noqa: E731
    wait_until(lambda: 0 < len(features()) < clips, "some clips to have their features", LIMIT)
    [pod] = place.running("encode")
    done = place.kubectl("delete", "pod", pod["metadata"]["name"])
    assert not done.returncode, done.stderr
    before = {path: path.stat().st_ino for path in features()}
    assert len(before) < clips
    status = place.runs.finished("encoded", LIMIT)
    assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", clips, clips)
    assert len(features()) == clips
    assert {path: path.stat().st_ino for path in before} == before  # none was made twice
    local = tmp_path / "local"
    # The renderer is "python", as in the image.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = clipfarm("local", _file(tmp_path, manifest), "--output", local, env={"PATH": path})
    assert not done.returncode, done.stderr
    assert hashes(place.volume) == hashes(local)


def test_a_kubelet_that_is_restarted_ends_nothing(place: Place):
    place.create(run("kubelet", 4, waits("(0, 1)"), encode=ENCODE))
    wait_for_waiting(place, 0, 1)
    before = {pod["metadata"]["uid"] for pod in place.running("render")}
    place.node.restart("kubelet", pause=3)
    assert {pod["metadata"]["uid"] for pod in place.running("render")} == before
    (cache(place) / "go").touch()
    status = place.runs.finished("kubelet", LIMIT)
    assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", 4, 4)
    assert [starts(place, clip) for clip in range(4)] == [1, 1, 1, 1]
    is_whole(place, 4)


def test_an_operator_that_is_deleted_comes_back_and_goes_on(place: Place, node: Node):
    place.create(run("orphaned", 5, waits("(0, 1)")))
    wait_for_waiting(place, 0, 1)
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator"
    done = node.kubectl("--namespace", SYSTEM, "delete", "pods", "--selector", selector)
    assert not done.returncode, done.stderr
    (cache(place) / "go").touch()
    status = place.runs.finished("orphaned", LIMIT)
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", 5, 0)
    assert [starts(place, clip) for clip in range(5)] == [1] * 5
    is_whole(place, 5)


def test_a_renderer_that_runs_out_of_gpu_memory_first_is_tried_again(place: Place):
    twice = FRAMES + "\nif clip == 1 and attempt == 1:\n    raise SystemExit(2)\n"
    place.create(run("twice", 2, twice, retry={"limit": 1, "delay": "1s"}))
    status = place.runs.finished("twice", LIMIT)
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", 2, 0)
    assert [starts(place, clip) for clip in range(2)] == [1, 2]
    is_whole(place, 2)


@pytest.fixture
def small_disk(node: Node, tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_volume_fails_clips_with_that_reason_and_leaves_no_half_of_one(node: Node, small_disk: Path):
    large = FRAMES + "\n(folder / 'noise.bin').write_bytes(noise.bytes(3 << 19))\n"
    with node.namespace("test-full", small_disk) as place:
        place.create(run("full", 4, large, workers=1))
        status = place.runs.finished("full", LIMIT)
        assert (status["phase"], status["rendered"], status["failed"]) == ("CompletedWithFailures", 2, 2), status
        assert all("No space left on device" in failure["reason"] for failure in status["failures"])
        assert len(list(place.volume.glob("clip_*"))) == 2
        assert not RunFolder(place.volume).attempts()

        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        retried = command(node, "retry", "full", "--namespace", place.namespace.name)
        assert not retried.returncode, retried.stderr
        wait_until(lambda: place.runs.status("full").get("phase") == "Succeeded", "the run to succeed", LIMIT)
        is_whole(place, 4)


def _file(folder: Path, manifest: dict) -> Path:
    path = folder / "run.yaml"
    path.write_text(json.dumps(manifest))
    return path
