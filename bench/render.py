"""How fast the renderer is, and how good its frames: ``make bench-render``, twenty minutes on two idle cores.

Each line of output is one JSON object: name, value, goal, whether higher or lower is better, spread, samples. What is
compared runs in turn, round after round, and each sample is the ratio within one round; the value is their median, and
the spread half the distance between the largest and the smallest.

- ``render_speedup``: clips an hour over those of the plain way (bench/plain_clip.py), processes and start included
- ``render_speedup_cpu``: the same in CPU seconds, which other work on the machine hardly changes
- ``render_background_clips``: what the background costs, once for a run, in clips
- ``render_psnr_gain_db``: PSNR of a frame's 8-bit picture against one of 1,536 samples, minus that of the plain way:
  the smaller of the gains over the whole picture and in the object's neighbourhood
- ``render_psnr_gain_over_full_db``, ``render_ssim_gain_over_full``: the same against ``render.background: full``
- ``render_feature_distance_ratio``: root mean square distance of V-JEPA 2 features (ViT-L) to those of the picture of
  1,536 samples, cached over full. **The weights are random**: a stand-in for trained ones, which take a download
- ``render_cycles_share``: share of a clip's wall time inside Cycles' own calls, with full frames of 32; ``_small``: of
  64 x 64 x 8 samples, as a share of the wall time of the supervisor with a block of clips, its start included;
  ``_small_alone``: of clips made one by one
- ``render_block_speedup``: clips an hour in a block of those small clips, over those made one by one
- ``render_peak_rss``: of a clip's process, MiB
- ``render_two_workers``: clips an hour of 2 workers with 1 thread each, over those of 1 worker with 2
- ``render_ratio_NAME``: mean CPU seconds of clips of another experiment over the mean of clips of push, with its
  background there; the same size, frames and objects. The spread is the standard error: every clip shows something else
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pictures import Pixels, feature_distances, psnr, ssim
from PIL import Image

from clipfarm_contract.environment import thread_environment
from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_contract.result import ClipResult
from helpers.experiments import PUSH

HERE = Path(__file__).parent

SEED, FRAME, REFERENCE_SAMPLES = 1, 8, 1536
"""The frame that is compared; of features, it and the next, as the encoder takes frames in pairs."""
EXPERIMENT = PUSH | {"background": "cached"}
PICTURE = ("frames", "fps", "resolution", "samplesPerPixel", "layers", "preview", "background")
BLOCK = 8
"""Clips."""


def main() -> None:
    """Measure what the command line asks for, by default everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["speed", "quality", "share", "workers", "experiments"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as place:
        folder = Path(place)
        if arguments.only in (None, "speed"):
            speed(folder / "speed", arguments.rounds)
        if arguments.only in (None, "quality"):
            quality(folder / "quality")
        if arguments.only in (None, "share"):
            share(folder / "share")
        if arguments.only in (None, "workers"):
            workers(folder / "workers", arguments.rounds)
        if arguments.only in (None, "experiments"):
            experiments(folder / "experiments", arguments.rounds)


def speed(folder: Path, rounds: int) -> None:
    """Compare clips an hour with the plain way, in pairs of the same clip."""
    cached = RunFolder(folder / "cached")
    first = make(cached, EXPERIMENT, 0)
    ratios, cpu_ratios, rss, ours = [], [], [], []
    for index in range(1, rounds + 1):
        wall, cpu = seconds_of(plain_command(folder, EXPERIMENT, index, folder / f"plain_{index}"))
        our_wall, our_cpu = seconds_of(command(cached, EXPERIMENT, index))
        ratios.append(wall / our_wall)
        cpu_ratios.append(cpu / our_cpu)
        ours.append(our_wall)
        rss.append(ClipResult.read(cached.result(index)).peak_rss_mib)
        say(
            {
                "name": "render_seconds",
                "plain": [round(wall, 1), round(cpu, 1)],
                "cached": [round(our_wall, 1), round(our_cpu, 1)],
            }
        )
    tell("render_speedup", ratios, goal=4)
    tell("render_speedup_cpu", cpu_ratios, goal=4)
    background = first.seconds["background"] / statistics.median(ours)
    tell("render_background_clips", [background], goal=None, better="lower")
    tell("render_peak_rss", rss, goal=None, better="lower")


def quality(folder: Path) -> None:
    """Compare one frame of one clip, made in three ways, with one that has converged."""
    full, cached = RunFolder(folder / "full"), RunFolder(folder / "cached")
    small = EXPERIMENT | {"frames": FRAME + 2}
    make(full, small | {"background": "full"}, 0)
    make(cached, small, 0)
    subprocess.run(plain_command(folder, small, 0, folder / "plain"), check=True, stdout=subprocess.DEVNULL)
    references, near = converged(folder, small)
    reference = references[0].astype(np.float64)
    everywhere = np.ones_like(near)
    pairs = {"full": pair(full.clip(0)), "cached": pair(cached.clip(0)), "plain": pair(Clip(folder / "plain"))}
    pictures = {name: frames[0].astype(np.float64) for name, frames in pairs.items()}
    found = {
        name: {
            "psnr": psnr(made, reference, everywhere),
            "near": psnr(made, reference, near),
            "ssim": ssim(made, reference),
        }
        for name, made in pictures.items()
    }
    say({"name": "render_quality", "value": {k: {m: round(v, 4) for m, v in f.items()} for k, f in found.items()}})
    for name, other in (("render_psnr_gain_db", "plain"), ("render_psnr_gain_over_full_db", "full")):
        gains = [found["cached"][part] - found[other][part] for part in ("psnr", "near")]
        tell(name, [min(gains)], goal=0)
    tell("render_ssim_gain_over_full", [found["cached"]["ssim"] - found["full"]["ssim"]], goal=0)
    distances = dict(zip(pairs, feature_distances(list(pairs.values()), references), strict=True))
    say({"name": "render_feature_distances", "value": {k: round(d, 5) for k, d in distances.items()}})
    tell("render_feature_distance_ratio", [distances["cached"] / distances["full"]], goal=1, better="lower")


def share(folder: Path) -> None:
    """Measure how much of a clip's time is Cycles', with full frames."""
    default = EXPERIMENT | {"frames": 32, "background": "full"}
    seconds = make(RunFolder(folder / "full"), default, 0).seconds
    tell("render_cycles_share", [seconds["cycles"] / seconds["total"]], goal=0.95)

    small = default | {"resolution": 64, "samplesPerPixel": 8}
    shares, alone, speedups = [], [], []
    for round_ in range(3):
        block, single = RunFolder(folder / f"block_{round_}"), RunFolder(folder / f"single_{round_}")
        wall, _ = seconds_of([*command(block, small, 0), "--count", str(BLOCK)])
        cycles = sum(ClipResult.read(block.result(index)).seconds["cycles"] for index in range(BLOCK))
        shares.append(cycles / wall)
        walls = [seconds_of(command(single, small, index))[0] for index in range(BLOCK)]
        results = [ClipResult.read(single.result(index)).seconds for index in range(BLOCK)]
        alone += [seconds["cycles"] / seconds["total"] for seconds in results]
        speedups.append(sum(walls) / wall)
        say({"name": "render_small_seconds", "block": round(wall, 1), "one by one": round(sum(walls), 1)})
    tell("render_cycles_share_small", shares, goal=0.75)
    tell("render_cycles_share_small_alone", alone, goal=None)
    tell("render_block_speedup", speedups, goal=None)


def workers(folder: Path, rounds: int) -> None:
    """Compare two workers of one thread with one of two, each on two clips of a run whose background is there."""
    run = RunFolder(folder)
    make(run, EXPERIMENT, 0)
    ratios, index = [], 1
    for _ in range(rounds):
        seconds = []
        for at_once, threads in ((2, 1), (1, 2)):
            started = time.perf_counter()
            for batch in [range(index, index + 2)] if at_once == 2 else [[index], [index + 1]]:
                running = [subprocess.Popen(command(run, EXPERIMENT, i), **quiet(threads)) for i in batch]
                if any(process.wait() for process in running):
                    raise SystemExit("a clip failed")
            seconds.append(time.perf_counter() - started)
            index += 2
        ratios.append(seconds[1] / seconds[0])
    tell("render_two_workers", ratios, goal=None)


def experiments(folder: Path, rounds: int) -> None:
    """Compare a clip of each experiment with one of push, in turn."""
    phase = {"name": "any", "clips": {"start": 0, "end": 99}}
    # Half as many frames a second: what hides is out of sight, and comes out, within the clip.
    slow = {"objects": list(SHAPES), "fps": 15}
    picture = {name: EXPERIMENT[name] for name in PICTURE} | slow
    asked = {name: picture | {"name": name, "phases": [phase]} for name in EXPERIMENTS}
    asked["push"] = EXPERIMENT | slow
    runs = {name: RunFolder(folder / name) for name in asked}
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for name, experiment in asked.items():
        make(runs[name], experiment, 0)
    for index in range(1, rounds + 1):
        for name, experiment in asked.items():
            seconds[name].append(seconds_of(command(runs[name], experiment, index))[1])
    for name in EXPERIMENTS:
        if name != "push":
            mean, spread = ratio_of_means(seconds[name], seconds["push"])
            line: dict[str, object] = {"name": f"render_ratio_{name}", "value": round(mean, 4), "goal": 1.5}
            line |= {"better": "lower", "spread": round(spread, 4), "samples": rounds}
            say(line | {"seconds": [round(each, 1) for each in seconds[name]]})


def ratio_of_means(these: Sequence[float], those: Sequence[float]) -> tuple[float, float]:
    """Return the ratio of the means, and its standard error: what clips show differs more than experiments do."""
    mean = statistics.mean(these) / statistics.mean(those)
    if min(len(these), len(those)) < 2:
        return mean, 0.0  # as other lines with one sample have it
    spread = math.hypot(*(statistics.stdev(each) / statistics.mean(each) / len(each) ** 0.5 for each in (these, those)))
    return mean, mean * spread


def converged(folder: Path, experiment: dict[str, object]) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Return the frame and the next at very many samples, and which pixels are the first one's neighbourhood."""
    script = "import sys, json; sys.path.insert(0, sys.argv[1]); import reference; reference.write(*sys.argv[2:])"
    (file := folder / "experiment.json").write_text(json.dumps(experiment))
    target = folder / "reference.npz"
    arguments = [str(HERE), str(file), str(SEED), "0", str(FRAME), str(REFERENCE_SAMPLES), str(target)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, stdout=subprocess.DEVNULL)
    with np.load(target) as made:
        return made["pictures"], made["near"]


def make(run: RunFolder, experiment: dict[str, object], index: int) -> ClipResult:
    """Make one clip with two threads, and return its result."""
    code = subprocess.run(command(run, experiment, index), check=False, **quiet(2)).returncode
    result = ClipResult.read(run.result(index))
    if code:
        raise SystemExit(f"clip {index} failed: {result.reason}")
    return result


def command(run: RunFolder, experiment: dict[str, object], index: int) -> list[str]:
    """Return how the supervisor is called."""
    run.state.mkdir(parents=True, exist_ok=True)
    (file := run.state / "experiment.json").write_text(json.dumps(experiment))
    program = [sys.executable, "-m", "clipfarm_render", "--output", str(run.root), "--seed", str(SEED)]
    return [*program, "--index", str(index), "--experiment", str(file), "--timeout", "3600"]


def plain_command(folder: Path, experiment: dict[str, object], index: int, target: Path) -> list[str]:
    """Return how a clip is made the plain way."""
    folder.mkdir(parents=True, exist_ok=True)
    (file := folder / "plain.json").write_text(json.dumps(experiment))
    return [sys.executable, str(HERE / "plain_clip.py"), str(file), str(SEED), str(index), str(target)]


def quiet(threads: int) -> dict[str, object]:
    """Return how a process is started: by its threads, and without its words."""
    return {"env": os.environ | thread_environment(threads), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def seconds_of(program: Sequence[str]) -> tuple[float, float]:
    """Return the wall and CPU seconds of a program with all that it starts."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(program, check=True, **quiet(2))
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pair(clip: Clip) -> Pixels:
    """Return the frame that is compared, and the next."""
    frames = []
    for number in (FRAME, FRAME + 1):
        with Image.open(clip.frame(number)) as image:
            frames.append(np.asarray(image))
    return np.stack(frames)


def tell(name: str, samples: Sequence[float], *, goal: float | None, better: str = "higher") -> None:
    """Print one measurement."""
    say(
        {
            "name": name,
            "value": round(statistics.median(samples), 4),
            "goal": goal,
            "better": better,
            "spread": round((max(samples) - min(samples)) / 2, 4),
            "samples": len(samples),
        }
    )


def say(line: dict[str, object]) -> None:
    """Print one line of JSON."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
