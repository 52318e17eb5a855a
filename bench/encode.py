"""How fast the encoder is on this machine's CPU: ``make bench-encode``, about five minutes on two cores.

Each line of output is one JSON object: name, value, goal, whether higher or lower is better, spread, samples. What is
compared runs in turn, round after round, and each sample is the ratio within one round; the value is their median, and
the spread half the distance between the largest and the smallest. So other work on the machine moves the spread more
than the value. ``by_cpu_time`` is the same ratio of processor time, which other work does not touch.

- ``encode_pipeline_share``: clips/s from PNG files to ``.npy`` files, over those of the model alone on tensors
- ``encode_vs_transformers``: clips/s from PNG files to ``.npy`` files, over those of a plain loop over transformers'
  model, batch by batch as its model card shows, on the same weights and in float32
- ``encode_context_cost``: time of the model alone with another context, over that with context ``clip``; the goal is
  the ratio of the operations
- ``encode_context_share``: as ``encode_pipeline_share``, with that context
- ``encode_watch_look``: CPU seconds of one look at a finished folder of 20,000 clips, and what part of a core they
  take; with one feature set and with four
- ``encode_rss``: peak resident set of ``clipfarm-encode``, its decoders not counted
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from transformers import VJEPA2Config, VJEPA2Model
from transformers.models.vjepa2.video_processing_vjepa2 import VJEPA2VideoProcessor

from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.extraction import DEFAULT, Extraction
from clipfarm_contract.feature_sets import FeatureSet, WeightsSource
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_encode.files.claims import Claims
from clipfarm_encode.files.clips import read_frames
from clipfarm_encode.files.decoding import Decoders
from clipfarm_encode.files.features import save
from clipfarm_encode.files.finding import find_clips
from clipfarm_encode.files.recipe import Encoded, Recipe
from clipfarm_encode.loading import recipe
from clipfarm_encode.models.batch import EncodeError
from clipfarm_encode.models.encoder import Encoder, get_encoder
from clipfarm_encode.passes import Extracting
from clipfarm_encode.pipeline import Pipeline
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.tally import DeviceTally
from clipfarm_encode.saving import Work
from clipfarm_encode.selection import Destination, Once, survey
from clipfarm_encode.stopping import Latch
from clipfarm_encode.watching.one_set import SetWatch
from clipfarm_encode.watching.watch import POLL_SECONDS, POLL_SHARE, Watch

MODEL = "vjepa2_vitl16"
BATCH = 4
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def main() -> None:
    """Measure what the command line asks for, by default everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=6, help="clips of each measurement")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--watched", type=int, default=20_000, help="clips of the folder that is watched")
    parser.add_argument("--context-frames", type=int, default=32, help="frames of the one clip of each context")
    parser.add_argument("--only", choices=["speed", "watch", "rss", "contexts"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as name:
        folder = Path(name)
        if arguments.only in (None, "watch"):
            for sets in (1, 4):
                watch(folder / f"watched-{sets}", arguments.watched, sets)
        make_clips(folder / "clips", arguments.clips, arguments.frames)
        if arguments.only in (None, "rss"):
            rss(folder / "clips")
        if arguments.only in (None, "speed"):
            speed(folder, arguments.rounds, arguments.frames)
        if arguments.only in (None, "contexts"):
            make_clips(folder / "one", 1, arguments.context_frames)
            contexts(folder / "one", arguments.rounds)


def report(name: str, samples: list[float], *, goal: float | None, better: str, **more: object) -> None:
    """Print one result."""
    line = {
        "name": name,
        "value": round(statistics.median(samples), 4),
        "goal": goal,
        "better": better,
        "spread": round((max(samples) - min(samples)) / 2, 4),
        "samples": [round(sample, 4) for sample in samples],
    }
    print(json.dumps(line | more), flush=True)


def make_clips(root: Path, count: int, frames: int) -> None:
    """Write clips of a moving square on noise, 256 x 256: PNGs of 60 kB, as rendered ones with a floor are."""
    rng = np.random.default_rng(0)
    ground = rng.integers(96, 112, (256, 256, 3), np.uint8)
    for i in range(count):
        clip = RunFolder(root).clip(i)
        clip.rgb.mkdir(parents=True)
        for t in range(frames):
            picture = ground.copy()
            picture[100:140, 20 + 5 * t + i : 60 + 5 * t + i] = (200, 60, 40)
            Image.fromarray(picture).save(clip.frame(t), compress_level=1)


def speed(folder: Path, rounds: int, frames: int) -> None:
    """Compare the whole pipeline with the model alone, and with transformers' loop."""
    root = folder / "clips"
    theirs = VJEPA2Model(VJEPA2Config(frames_per_clip=frames)).eval()
    theirs.save_pretrained(folder / "weights")
    encoder = get_encoder(MODEL, folder / "weights", "cpu")
    processor = VJEPA2VideoProcessor()
    clips = find_clips(root)
    prepared = [encoder.prepare(read_frames(found.clip)) for found in clips]

    def alone() -> None:
        assert all(isinstance(each, np.ndarray) for each in encoder.encode(prepared))

    def pipeline() -> None:
        run_pipeline(encoder, root)

    def plain() -> None:
        for start in range(0, len(clips), BATCH):
            batch = clips[start : start + BATCH]
            videos = [list(plain_frames(found.clip)) for found in batch]
            inputs = processor(videos, return_tensors="pt")
            with torch.no_grad():
                features = theirs.get_vision_features(**inputs)
            for found, each in zip(batch, features, strict=True):
                np.save(folder / f"{found.name}.npy", each.numpy().astype(np.float16))

    seconds: dict[Callable[[], None], list[float]] = {alone: [], pipeline: [], plain: []}
    cpu: dict[Callable[[], None], list[float]] = {alone: [], pipeline: [], plain: []}
    for number in range(rounds + 1):
        for measure, times in seconds.items():
            took, computed = seconds_of(measure)
            if number > 0:  # the first round warms up
                times.append(took)
                cpu[measure].append(computed)
    rates = {measure.__name__: [round(len(clips) / each, 4) for each in times] for measure, times in seconds.items()}
    report(
        "encode_pipeline_share",
        [a / p for a, p in zip(seconds[alone], seconds[pipeline], strict=True)],
        goal=0.95,
        better="higher",
        frames=frames,
        by_cpu_time=ratio(cpu[alone], cpu[pipeline]),
        clips_per_second=rates,
    )
    ours = [np.load(found.clip.features(MODEL)).astype(np.float32) for found in clips]
    others = [np.load(folder / f"{found.name}.npy").astype(np.float32) for found in clips]
    report(
        "encode_vs_transformers",
        [t / p for t, p in zip(seconds[plain], seconds[pipeline], strict=True)],
        goal=1.3,
        better="higher",
        frames=frames,
        by_cpu_time=ratio(cpu[plain], cpu[pipeline]),
        largest_difference=float(max(np.abs(a - b).max() for a, b in zip(ours, others, strict=True))),
        lowest_cosine=float(min(cosine(a, b).min() for a, b in zip(ours, others, strict=True))),
    )


CONTEXTS = {
    "clip": DEFAULT,
    "frame": Extraction("frame"),
    "prefix": Extraction("prefix"),
    "prefix, window of 4": Extraction("prefix", window=4),
}


def contexts(root: Path, rounds: int) -> None:
    """Compare contexts with each other, and the whole pipeline with the model alone in each."""
    encoder = get_encoder(MODEL, "random", "cpu")
    prepared = [encoder.prepare(read_frames(found.clip)) for found in find_clips(root)]
    alone: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTEXTS}
    whole: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTEXTS}
    flop: dict[str, int] = {}
    list(encoder.encode(prepared))  # warms up
    for _ in range(rounds):
        for name, extraction in CONTEXTS.items():
            extracting: list[Extracting] = []
            alone[name].append(seconds_of(partial(extract, encoder, extraction, prepared, extracting)))
            _, flop[name] = extracting[0].work
            whole[name].append(seconds_of(partial(run_pipeline, encoder, root, extraction)))
    for name in CONTEXTS:
        if name != "clip":
            goal = round(flop[name] / flop["clip"], 3)
            ratios, by_cpu_time = compared(alone[name], alone["clip"])
            report(
                "encode_context_cost",
                ratios,
                goal=goal,
                better="lower",
                context=name,
                frames=len(prepared[0]),
                by_cpu_time=by_cpu_time,
            )
        shares, by_cpu_time = compared(alone[name], whole[name])
        report("encode_context_share", shares, goal=0.95, better="higher", context=name, by_cpu_time=by_cpu_time)


def extract(encoder: Encoder, extraction: Extraction, clips: Sequence[torch.Tensor], made: list[Extracting]) -> None:
    """Compute all passes; on a CPU the first ones are computed as soon as they are launched."""
    made.append(Extracting(encoder, extraction, clips))
    assert not any(isinstance(each, EncodeError) for each in made[0].results())


def seconds_of(measure: Callable[[], None]) -> tuple[float, float]:
    """Return the wall and CPU seconds of a call."""
    start, cpu_start = time.perf_counter(), cpu_seconds()
    measure()
    return time.perf_counter() - start, cpu_seconds() - cpu_start


def compared(these: list[tuple[float, float]], those: list[tuple[float, float]]) -> tuple[list[float], float]:
    """Return the ratios of wall seconds, round by round, and the median ratio of CPU seconds."""
    ratios = [a / b for (a, _), (b, _) in zip(these, those, strict=True)]
    return ratios, ratio([cpu for _, cpu in these], [cpu for _, cpu in those])


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO)


def ratio(numerators: list[float], denominators: list[float]) -> float:
    """Return the median of ratios."""
    return round(statistics.median(a / b for a, b in zip(numerators, denominators, strict=True)), 4)


def plain_frames(clip: Clip) -> NDArray[np.uint8]:
    """Decode a clip as anybody would."""
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(clip.rgb.glob("*.png"))])


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine between each token of one array and the same of the other."""
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    result: NDArray[np.float32] = (a * b).sum(-1) / norms
    return result


def run_pipeline(encoder: Encoder, root: Path, extraction: Extraction = DEFAULT) -> None:
    """Encode a folder as the command does, decoder processes started anew."""
    for features in root.glob("clip_*/feature_maps"):
        shutil.rmtree(features)
    made = recipe(FeatureSet(MODEL, MODEL, WeightsSource(""), extraction=extraction), encoder)
    reporter = Reporter([made], [DeviceTally("cpu")], None, Console(quiet=True))
    work = Work([encoder], Destination(made, None, overwrite=False), reporter.sets[0])
    source = Once([(survey(find_clips(root), work.destination), work.account)])
    with Decoders(available_cpus()) as decoders:
        Pipeline([work], source, reporter, Latch(), batch_size=BATCH, decoders=decoders).run()
    assert len(reporter.tally.encoded) == len(reporter.tally.found)


def watch(root: Path, count: int, sets: int) -> None:
    """Look again and again at a folder in which nothing happens any more."""
    weights = {"source": "random", "sha256": "00", "key": None}
    recipes = [Recipe("m", weights, "float16", {"crop": 256}, "float32", f"m{number}") for number in range(sets)]
    features = np.zeros((2, 4), np.float16)
    for i in range(count):
        clip = RunFolder(root).clip(i)
        clip.folder.mkdir(parents=True)
        clip.manifest.write_text("{}")
        for each in recipes:
            save((features,), Encoded(clip.folder.name, 2, "", 2, 1), clip, each)
    reporter = Reporter(recipes, [DeviceTally("cpu")], None, Console(quiet=True))
    with ExitStack() as stack:
        claims = [stack.enter_context(Claims(RunFolder(root).claims(each.set_name), 30)) for each in recipes]
        watches = [
            SetWatch(Destination(account.recipe, None, overwrite=False), account, of_set)
            for account, of_set in zip(reporter.sets, claims, strict=True)
        ]
        looks = iter(Watch(root, watches, reporter, sleep=lambda _: None))
        start = time.process_time()
        next(looks)
        first = time.process_time() - start
        samples = []
        for _ in range(20):
            start = time.process_time()
            next(looks)
            samples.append(time.process_time() - start)
    assert len(reporter.tally.skipped) == count
    usual = statistics.median(samples)
    share = usual / (usual + max(POLL_SECONDS, POLL_SHARE * usual))
    report(
        "encode_watch_look",
        samples,
        goal=None,
        better="lower",
        unit="CPU s",
        clips=count,
        sets=sets,
        first_look=round(first, 3),
        share_of_a_core=round(share, 4),
    )


def rss(root: Path) -> None:
    """Run the command as a process of its own."""
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as out:
        command = [sys.executable, "-m", "clipfarm_encode", "--data_dir", str(root), "--out_dir", out]
        command += ["--model", MODEL, "--weights", "random", "--device", "cpu", "--limit", "2"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    report("encode_rss", [usage.ru_maxrss / 1024**2], goal=None, better="lower", unit="GiB", batch_size=BATCH)


if __name__ == "__main__":
    main()
