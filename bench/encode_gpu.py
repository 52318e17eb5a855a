"""How fast and how exact the encoder is on a GPU. Self-contained: it makes its own PNGs and random weights.

    .venv/bin/python bench/encode_gpu.py                          # ViT-L, 32 frames at 256, float16, 1,000 clips
    .venv/bin/python bench/encode_gpu.py --device cpu --model vjepa2_tiny16 --frames 4 --clips 8 --crop 64   # a try

One JSON object a line: name, value, goal, better, spread, samples; value is the median of the rounds, spread half the
distance between the largest and the smallest.

- ``encode_mfu``: operations of the model's matrix products, over the time and the device's peak; the model alone
- ``encode_model_clips_per_second``: the model alone, on uint8 tensors in the host's memory
- ``encode_pipeline_clips_per_second``: from PNG to .npy, decoders started, as they are while the weights are read;
  ``encode_pipeline_share``: over the model alone
- ``encode_distance``: of features to those of the same model in float32: the largest 1 - cosine of a token
- ``encode_gpu_gib``: GPU memory that PyTorch held at most, for the model alone
- ``encode_context_cost``: time of the model alone with another context, over that with context ``clip``; the goal is
  what the operations of its passes cost
- ``encode_transformers_clips_per_second``: a plain loop over transformers' model in bfloat16, PNG to .npy
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console

from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.extraction import Extraction
from clipfarm_contract.feature_sets import FeatureSet, WeightsSource
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.files.clips import read_frames
from clipfarm_encode.files.decoding import Decoders
from clipfarm_encode.files.finding import find_clips
from clipfarm_encode.loading import recipe
from clipfarm_encode.models.batch import EncodeError
from clipfarm_encode.models.catalogue import load_model
from clipfarm_encode.models.device import peak_flops
from clipfarm_encode.models.encoder import Encoder, get_encoder
from clipfarm_encode.models.preprocess import normalise
from clipfarm_encode.models.vjepa2.model import VJEPA2
from clipfarm_encode.models.vjepa2.network import CONFIGS
from clipfarm_encode.passes import Extracting
from clipfarm_encode.pipeline import Pipeline
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.tally import DeviceTally
from clipfarm_encode.run import DECODERS_OF_A_DEVICE
from clipfarm_encode.saving import Work
from clipfarm_encode.selection import Destination, Once, survey
from clipfarm_encode.stopping import Latch

CONTEXTS = {
    "clip": Extraction(),
    "frame": Extraction("frame"),
    "prefix": Extraction("prefix"),
    "prefix, window of 4": Extraction("prefix", window=4),
}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="vjepa2_vitl16")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transformers", type=int, default=32, help="clips of transformers' loop; 0: leave it out")
    arguments = parser.parse_args()
    try:
        encoder = get_encoder(
            arguments.model, "random", arguments.device, crop_size=arguments.crop, batch_size=arguments.batch
        )
    except ValueError as error:
        sys.exit(f"encode_gpu: {error}")
    print(json.dumps({"machine": machine(encoder.device), **vars(arguments)}), flush=True)
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as name:
        measure(encoder, Path(name), arguments)


def measure(encoder: Encoder, folder: Path, arguments: argparse.Namespace) -> None:
    """Run everything in turn, round after round."""
    root = folder / "clips"
    make_clips(root, arguments.clips, arguments.frames, arguments.crop)
    clips = find_clips(root)
    some = [encoder.prepare(read_frames(found.clip)) for found in clips[: 4 * arguments.batch]]
    prepared = [some[i % len(some)] for i in range(len(clips))]

    def alone() -> None:
        # As the pipeline does it: the next batch is launched before the last one is fetched.
        before = None
        for start in range(0, len(prepared), arguments.batch):
            launched = encoder.start(prepared[start : start + arguments.batch])
            if before is not None:
                check(before.results())
            before = launched
        if before is not None:
            check(before.results())

    distance(encoder, some[0], arguments)
    if encoder.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        alone()
        report("encode_gpu_gib", [torch.cuda.max_memory_reserved() / 2**30], better="lower")
    stages: dict[str, tuple[int, Callable[[], float]]] = {
        "model": (len(clips), lambda: timed(alone)),
        "pipeline": (len(clips), lambda: pipeline(encoder, root, arguments)),
    }
    if arguments.transformers and (plain := transformers_loop(encoder, root, folder, arguments)):
        stages["transformers"] = min(arguments.transformers, len(clips)), lambda: timed(plain)
    rates: dict[str, list[float]] = {stage: [] for stage in stages}
    for number in range(arguments.rounds + 1):
        for stage, (count, run) in stages.items():
            seconds = run()
            if number > 0:  # the first round warms up
                rates[stage].append(count / seconds)
    peak = peak_flops(encoder.device)
    if peak is not None:
        flop = encoder.model.flop(arguments.frames, arguments.crop, arguments.crop)
        report("encode_mfu", [rate * flop / peak for rate in rates["model"]], goal=0.55)
    for stage, samples in rates.items():
        report(f"encode_{stage}_clips_per_second", samples)
    shares = [mine / bare for mine, bare in zip(rates["pipeline"], rates["model"], strict=True)]
    report("encode_pipeline_share", shares, goal=0.95)
    contexts(encoder, prepared[: arguments.batch], arguments.rounds)


def contexts(encoder: Encoder, clips: list[torch.Tensor], rounds: int) -> None:
    """Compare the contexts of one batch with each other, the model alone, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTEXTS}
    flop: dict[str, int] = {}
    for number in range(rounds + 1):
        for name, extraction in CONTEXTS.items():
            start = time.perf_counter()
            extracting = Extracting(encoder, extraction, clips)
            check(extracting.results())
            if number > 0:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
            flop[name] = extracting.work[1]
    for name in CONTEXTS:
        if name != "clip":
            samples = [mine / clip for mine, clip in zip(seconds[name], seconds["clip"], strict=True)]
            goal = significant(flop[name] / flop["clip"])
            report("encode_context_cost", samples, goal=goal, better="lower", context=name)


def timed(run: Callable[[], None]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def pipeline(encoder: Encoder, root: Path, arguments: argparse.Namespace) -> float:
    """Encode the folder as the command does, and return the seconds from the first clip to the end of all."""
    for features in root.glob("clip_*/feature_maps"):
        shutil.rmtree(features)
    made = recipe(FeatureSet(encoder.name, encoder.name, WeightsSource("")), encoder)
    reporter = Reporter([made], [DeviceTally(str(encoder.device))], None, Console(quiet=True))
    work = Work([encoder], Destination(made, None, overwrite=False), reporter.sets[0])
    source = Once([(survey(find_clips(root), work.destination), work.account)])
    with Decoders(min(DECODERS_OF_A_DEVICE, available_cpus())) as decoders:
        decoders.start(arguments.clips)
        time.sleep(1)  # reading the weights takes longer
        start = time.perf_counter()
        options = {"batch_size": arguments.batch, "decoders": decoders}
        Pipeline([work], source, reporter, Latch(), **options).run()
    seconds = time.perf_counter() - start
    assert len(reporter.tally.encoded) == arguments.clips, reporter.tally.failures
    return seconds


def distance(encoder: Encoder, clip: torch.Tensor, arguments: argparse.Namespace) -> None:
    """Compare features of a clip, as they are saved, with those of the same weights in float32 on the same device."""
    model, _ = load_model(arguments.model, "random")
    assert isinstance(model, VJEPA2)
    with torch.inference_mode():
        expected = model.network.to(encoder.device)(normalise(clip[None].to(encoder.device)))[0].cpu()
    (found,) = encoder.encode([clip])
    if isinstance(found, EncodeError):
        raise found
    cosines = torch.nn.functional.cosine_similarity(torch.from_numpy(found).double(), expected.double(), dim=-1)
    report("encode_distance", [1 - cosines.min().item()], goal=1e-4, better="lower", mean=1 - cosines.mean().item())


def transformers_loop(
    encoder: Encoder, root: Path, folder: Path, arguments: argparse.Namespace
) -> Callable[[], None] | None:
    """Return a plain loop over transformers' model, as its model card shows it; None where it is not installed."""
    try:
        from transformers import VJEPA2Config, VJEPA2Model
        from transformers.models.vjepa2.video_processing_vjepa2 import VJEPA2VideoProcessor
    except ImportError:
        return None
    config = CONFIGS[arguments.model]
    half = torch.bfloat16 if encoder.device.type == "cuda" else torch.float32
    model = VJEPA2Model(
        VJEPA2Config(
            frames_per_clip=arguments.frames,
            crop_size=arguments.crop,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            mlp_ratio=config.mlp_ratio,
        )
    )
    model = model.to(encoder.device, half).eval()
    processor = VJEPA2VideoProcessor(crop_size=arguments.crop)

    def plain() -> None:
        clips = find_clips(root)[: arguments.transformers]
        for start in range(0, len(clips), arguments.batch):
            batch = clips[start : start + arguments.batch]
            videos = [
                np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(found.clip.rgb.glob("*.png"))])
                for found in batch
            ]
            inputs = processor([list(video) for video in videos], return_tensors="pt").to(encoder.device)
            with torch.no_grad():
                features = model.get_vision_features(**inputs).to(torch.float16).cpu().numpy()
            for found, each in zip(batch, features, strict=True):
                np.save(folder / f"{found.name}.npy", each)

    return plain


def make_clips(root: Path, count: int, frames: int, size: int) -> None:
    """Write clips of a moving square on noise; a picture is written once and linked into the others.

    The noise is such that a picture of 256 x 256 has 41 kB, and takes as long to decode as a rendered one with a floor.
    """
    rng = np.random.default_rng(0)
    ground = np.repeat(rng.integers(96, 99, (size, size, 1), np.uint8), 3, axis=2)
    for i in range(count):
        clip = RunFolder(root).clip(i)
        clip.rgb.mkdir(parents=True)
        for t in range(frames):
            if i > 0:
                clip.frame(t).hardlink_to(RunFolder(root).clip(0).frame(t))
                continue
            picture = ground.copy()
            picture[size // 3 : size // 2, 3 * t : 3 * t + size // 6] = (200, 60, 40)
            Image.fromarray(picture).save(clip.frame(t), compress_level=1)


def check(results: object) -> None:
    """Fail where a clip could not be computed."""
    for each in results:  # type: ignore[attr-defined]
        if isinstance(each, EncodeError):
            raise each


def report(
    name: str, samples: list[float], *, goal: float | None = None, better: str = "higher", **more: object
) -> None:
    """Print one result."""
    line = {
        "name": name,
        "value": significant(statistics.median(samples)),
        "goal": goal,
        "better": better,
        "spread": significant((max(samples) - min(samples)) / 2),
        "samples": [significant(sample) for sample in samples],
    }
    print(json.dumps(line | more), flush=True)


def significant(value: float) -> float:
    """Round to four digits."""
    return float(f"{value:.4g}")


def machine(device: torch.device) -> str:
    """Return what computes, in words."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{name}, {available_cpus()} CPUs, PyTorch {torch.__version__}"


if __name__ == "__main__":
    main()
