"""Every line that needs a GPU: ``make bench-gpu``, under eight minutes on one GPU, without network.

One JSON object a line: name, value, goal, better, spread, samples. Each part has its own limit in seconds; one that
fails or takes longer is named, and the others go on. Without a GPU nothing is measured, which is said, and the exit
code is 2. `--device cpu --small --clips 2` tries this program there, in two minutes.

Clips have 16 frames at 256 x 256 and 64 samples, backgrounds cached.

- ``gpu_first_frame_seconds``: kernels loaded in the first process of a run, and in a later one
- ``gpu_clips_per_second``: one supervisor with a block of clips, its start included, the background there;
  ``_2_workers``, ``_3_workers``: as many supervisors on the one GPU
- ``gpu_cycles_share``: share of a clip's wall time inside Cycles' calls, in such a block
- ``vram_claim_ratio``: GPU memory that clips report, over what the driver says their process has; ``vram_margin_mib``:
  what the driver says above Cycles' own count
- ``gpu_psnr_to_cpu_db``: the pictures of one clip against those by the CPU
- the lines of bench/nvml_gpu.py and bench/encode_gpu.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipfarm_contract import nvml
from clipfarm_contract.environment import thread_environment
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.result import ClipResult

HERE = Path(__file__).parent
MIB = 2**20
RANGE = {"min": 0.6, "max": 0.9}
EXPERIMENT: dict[str, Any] = {
    "name": "push", "frames": 16, "fps": 30, "resolution": 256, "samplesPerPixel": 64, "layers": ["rgb"],
    "objects": ["cube", "sphere", "cylinder", "cone", "torus"], "impulse": {"min": 12, "max": 13, "atFrame": 1},
    "preview": False, "background": "cached",
    "phases": [{"name": "A", "clips": {"start": 0, "end": 9999}, "friction": RANGE, "mass": RANGE}],
}  # fmt: skip

ENCODE_ON_CPU = (
    *("--device", "cpu", "--model", "vjepa2_tiny16", "--frames", "4", "--crop", "64"),
    *("--clips", "8", "--batch", "2", "--rounds", "1", "--transformers", "0"),
)


class FailedError(Exception):
    """A part could not be measured."""


def main() -> int:
    """Measure what the command line asks for, by default everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", help="gpu, cuda or optix; cpu tries this program without a GPU")
    parser.add_argument("--clips", type=int, default=24, help="clips in a block")
    parser.add_argument("--small", action="store_true", help="tiny clips, for a try")
    parser.add_argument("--only", nargs="+", choices=["render", "workers", "cpu", "nvml", "encode"])
    arguments = parser.parse_args()
    if arguments.device != "cpu" and (problem := no_gpu()):
        print(f"bench-gpu: nothing was measured: {problem}", file=sys.stderr)
        return 2
    if arguments.small:
        EXPERIMENT.update(frames=4, resolution=32, samplesPerPixel=2)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as place:
        run = RunFolder(Path(place) / "run")
        device, clips = arguments.device, arguments.clips
        parts: dict[str, Callable[[], None]] = {
            "render": lambda: render(run, device, clips),
            "workers": lambda: workers(run, device, clips),
            "cpu": lambda: against_cpu(run, device, Path(place)),
            "nvml": lambda: other("nvml_gpu.py", 90),
            "encode": lambda: other("encode_gpu.py", 150, *(ENCODE_ON_CPU if device == "cpu" else ())),
        }
        if device == "cpu":
            del parts["nvml"]  # it has a GPU's memory taken and freed
        for name, part in parts.items():
            if arguments.only is None or name in arguments.only:
                started = time.perf_counter()
                try:
                    part()
                except (FailedError, OSError, subprocess.SubprocessError) as error:
                    failed = 1
                    print(f"bench-gpu: {name}: {' '.join(str(error).split())[:500]}", file=sys.stderr)
                print(f"bench-gpu: {name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return failed


def no_gpu() -> str:
    """Return why there is no GPU here; empty where there is one."""
    try:
        with nvml.opened():
            return "" if nvml.count() else "the driver knows no GPU"
    except nvml.NVMLError as error:
        return f"no GPU here: NVML: {error}"


def render(run: RunFolder, device: str, clips: int) -> None:
    """Measure one supervisor: first frames, speed, memory."""
    first = seconds_of([supervise(run, device, 0, 1)], 150)
    kernels = [ClipResult.read(run.result(0)).seconds.get("kernels", 0.0)]
    say({"name": "gpu_first_clip_seconds", "value": round(first, 2), "background": background(run, 0)})
    with Poll() as poll:
        wall = seconds_of([supervise(run, device, 1, clips)], 150)
    results = complete(run, range(1, clips + 1))
    kernels.append(results[0].seconds.get("kernels", 0.0))
    tell("gpu_first_frame_seconds", kernels[1:], goal=10, better="lower", first=round(kernels[0], 2))
    tell("gpu_clips_per_second", [len(results) / wall], goal=1.0, seconds=stages(results))
    tell("gpu_cycles_share", [r.seconds["cycles"] / r.seconds["total"] for r in results], goal=None)
    claims = [r.vram for r in results if r.vram]
    if claims and poll.most:
        peak = statistics.median(claim.peak_mib for claim in claims)
        ways = sorted({claim.way.value for claim in claims})
        tell("vram_claim_ratio", [claim.peak_mib / poll.most for claim in claims], goal=1.0, by=ways, taken=poll.most)
        say({"name": "vram_claim_mib", "value": peak, "example": claims[0].to_json()})
    margin = run.cache / "vram-margin.json"
    if margin.exists():
        say({"name": "vram_margin_mib", "value": json.loads(margin.read_text())["marginMiB"]})


def workers(run: RunFolder, device: str, clips: int) -> None:
    """Measure several supervisors at once."""
    have_first(run, device)
    each = max(2, clips // 2)
    for count in (2, 3):
        starts = [1000 * count + number * each for number in range(count)]
        wall = seconds_of([supervise(run, device, start, each) for start in starts], 120)
        results = complete(run, (start + number for start in starts for number in range(each)))
        goal = 2.0 if count == 2 else None
        tell(f"gpu_clips_per_second_{count}_workers", [len(results) / wall], goal=goal, seconds=stages(results))


def have_first(run: RunFolder, device: str) -> None:
    """Make clip 0, and with it the background, unless they are there."""
    if not run.clip(0).manifest.exists():
        seconds_of([supervise(run, device, 0, 1)], 150)


def against_cpu(run: RunFolder, device: str, folder: Path) -> None:
    """Compare the pictures of clip 0 with those by the CPU."""
    have_first(run, device)
    other = RunFolder(folder / "cpu")
    seconds_of([supervise(other, "cpu", 0, 1)], 120, threads=len(os.sched_getaffinity(0)))
    errors, differing = [], []
    for frame in range(EXPERIMENT["frames"]):
        ours, theirs = (np.asarray(Image.open(each.clip(0).frame(frame)), float) for each in (run, other))
        errors.append(((ours - theirs) ** 2).mean())
        differing.append((ours != theirs).any(axis=-1).mean())
    psnr = float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9)))
    tell("gpu_psnr_to_cpu_db", [psnr], goal=60, pixels_that_differ=round(float(np.mean(differing)), 6))


def other(program: str, limit: float, *options: str) -> None:
    """Run another benchmark, whose lines become ours at once: some are worth having if it takes too long."""
    done = subprocess.run([sys.executable, HERE / program, *options], timeout=limit, check=False)
    if done.returncode:
        raise FailedError(f"{program} ended with {done.returncode}")


class Poll:
    """The most memory that any process has on the GPUs, by the driver, looked at 20 times a second."""

    def __enter__(self) -> "Poll":
        """Start."""
        self.most, self._go_on = 0.0, True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._go_on = False
        self._thread.join(5)

    def _run(self) -> None:
        try:
            with nvml.opened():
                parts = [part for index in range(nvml.count()) for part in nvml.parts(index)]
                while self._go_on:
                    used = [mib or 0 for part in parts for mib in nvml.used_by_processes(part.handle).values()]
                    self.most = max([self.most, *(size / MIB for size in used)])
                    time.sleep(0.05)
        except nvml.NVMLError:
            return


def supervise(run: RunFolder, device: str, first: int, count: int) -> list[str]:
    """Return how a supervisor is called."""
    run.state.mkdir(parents=True, exist_ok=True)
    (file := run.state / "experiment.json").write_text(json.dumps(EXPERIMENT))
    program = [sys.executable, "-m", "clipfarm_render", "--output", str(run.root), "--seed", "42"]
    return [*program, "--index", str(first), "--count", str(count), "--experiment", str(file), "--device", device]


def seconds_of(programs: Sequence[list[str]], limit: float, threads: int = 2) -> float:
    """Return the wall seconds that supervisors take side by side.

    Raises:
        FailedError: one of them could not make clips, or they took longer. A clip may fail its own checks.
    """
    started = time.perf_counter()
    environ = os.environ | thread_environment(threads)
    running = [subprocess.Popen(program, env=environ, stderr=subprocess.PIPE) for program in programs]
    try:
        told = [each.communicate(timeout=max(1.0, started + limit - time.perf_counter()))[1] for each in running]
    except subprocess.TimeoutExpired:
        for process in running:
            process.terminate()
        for process in running:  # what they do to the GPU is not to be measured with the next part
            process.wait(30)
        raise FailedError(f"took longer than {limit:g} s") from None
    for process, words in zip(running, told, strict=True):
        if process.returncode not in (0, 1) or b"complete (" not in words:
            raise FailedError(f"exit code {process.returncode}: {words.decode(errors='replace')[-400:]}")
    return time.perf_counter() - started


def complete(run: RunFolder, indexes: Iterable[int]) -> list[ClipResult]:
    """Return the results of the clips that are complete: most have to be.

    Raises:
        FailedError: fewer are.
    """
    results = [ClipResult.read(run.result(index)) for index in indexes]
    made = [result for result in results if not result.exit_code]
    if len(made) < 0.8 * len(results):
        raise FailedError(f"{len(made)} of {len(results)} clips: {next(r.reason for r in results if r.reason)}")
    return made


def background(run: RunFolder, index: int) -> float:
    """Return how long the background took."""
    return round(ClipResult.read(run.result(index)).seconds.get("background", 0.0), 2)


def stages(results: Sequence[ClipResult]) -> dict[str, float]:
    """Return the median of each stage's seconds."""
    names = dict.fromkeys(name for result in results for name in result.seconds)
    middle = {name: round(statistics.median(r.seconds.get(name, 0.0) for r in results), 3) for name in names}
    return middle | {"cpu": round(statistics.median(r.cpu_seconds for r in results), 3)}


def tell(name: str, samples: Sequence[float], *, goal: float | None, better: str = "higher", **more: object) -> None:
    """Print one measurement."""
    spread = (max(samples) - min(samples)) / 2
    line = {"name": name, "value": round(statistics.median(samples), 4), "goal": goal, "better": better}
    say(line | {"spread": round(spread, 4), "samples": len(samples)} | more)


def say(line: dict[str, object]) -> None:
    """Print one line of JSON."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
