"""Options of ``clipfarm-encode``, in the order in which its help lists them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from clipfarm_contract.bounds import MOST_BATCH, MOST_CROP
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.extraction import MOST_FRAMES

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_SECONDS = 1e9


class Seconds(click.FloatRange):
    """A range of numbers that refuses ``nan``, which is neither too small nor too large."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return number


WHERE = (
    click.option(
        "--data-dir",
        required=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder with clip_* folders.",
    ),
    click.option(
        "--videos",
        type=click.Path(path_type=Path),
        help="Cut the videos of this folder into clips in --data-dir first, as `clipfarm encode` does.",
    ),
    click.option(
        "--clip-frames",
        default=32,
        show_default=True,
        type=click.IntRange(1, 100_000),
        help="With --videos: frames of a clip.",
    ),
    click.option(
        "--clip-stride",
        type=click.IntRange(1),
        help="With --videos: frames from the beginning of a clip to that of the video's next.  "
        "[default: --clip-frames]",
    ),
    click.option(
        "--fps",
        type=click.FloatRange(0, 1000, min_open=True),
        help="With --videos: frames a second to take of each video.  [default: all its frames]",
    ),
    click.option("--in-place", is_flag=True, help="Write into each clip's own folder."),
    click.option(
        "--out-dir", type=click.Path(file_okay=False, path_type=Path), help="Write into a mirror of the clips' folders."
    ),
)
"""Folders of clips, of videos that are cut into clips first, and of features."""
FEATURES = (
    click.option(
        "--model",
        default="vjepa2_vitl16",
        show_default=True,
        help="A V-JEPA 2 or 2.1, such as vjepa2_1_vitl16, or timm:NAME for an image encoder of timm; "
        "vjepa2_tiny16 is for trials.",
    ),
    click.option(
        "--weights",
        help="A .pt file as published, a Hugging Face folder, timm's model.safetensors, the https address of a .pt "
        "file, a Hugging Face id, or the word random (features then mean nothing).",
    ),
    click.option(
        "--weights-sha256", metavar="HEX", help="SHA-256 that the weights must have; required for an https address."
    ),
    click.option(
        "--weights-revision", metavar="COMMIT", help="Commit (40 digits), if --weights is an id on Hugging Face."
    ),
    click.option(
        "--weights-key",
        default="target_encoder",
        show_default=True,
        type=click.Choice(["target_encoder", "encoder"]),
        metavar="[target_encoder|encoder]",  # click would write a hyphen
        help="Entry of a .pt file to use.",
    ),
    click.option(
        "--batch-size",
        default=4,
        show_default=True,
        type=click.IntRange(1, MOST_BATCH),
        help="Clips per batch; halved if the GPU's memory is too small. On the CPU at most one per thread.",
    ),
    click.option(
        "--dtype",
        default="fp16",
        show_default=True,
        type=click.Choice(["fp16", "fp32"]),
        help="Type of the saved features. Computed in float32 on CPU and MPS, with matrix products in float16 on CUDA.",
    ),
    click.option(
        "--crop-size",
        default=256,
        show_default=True,
        type=click.IntRange(14, MOST_CROP),
        help="Height and width of the model's input, pixels, a multiple of its patch: 16 for V-JEPA 2.",
    ),
    click.option("--name", help="Name of the features' files.  [default: the model's, for its default features]"),
    click.option(
        "--context",
        default="clip",
        show_default=True,
        type=click.Choice(["clip", "frame", "prefix"]),
        help="Frames that a time step may know: all of the clip, its own frame alone, or its own and those before.",
    ),
    click.option(
        "--stride",
        type=click.IntRange(1, MOST_FRAMES),
        help="Frames from one time step to the next, with --context frame or prefix.  [default: 1 for frame; for "
        "prefix what the model takes at a time]",
    ),
    click.option(
        "--window",
        type=click.IntRange(1, MOST_FRAMES),
        help="With --context prefix: time steps that one may look back on, itself included.  [default: all]",
    ),
    click.option("--layers", help="Layers to keep, counted from 1, as 8,16,24.  [default: the model's own output]"),
    click.option(
        "--pool",
        default="none",
        show_default=True,
        type=click.Choice(["none", "space"]),
        help="space: keep the mean over the tokens of a time step.",
    ),
    click.option(
        "--features",
        metavar="JSON|FILE",
        help="Several feature sets: a list as encode.features of a run file, in JSON. What an entry leaves out is as "
        "--model, --weights, --crop-size and --dtype say.",
    ),
)
"""What computes the features, and which there are to be."""
DEVICES = (
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto, cpu, cuda or mps. auto: CUDA, then MPS, then CPU. With CUDA, all devices that "
        "CUDA_VISIBLE_DEVICES leaves are used, or some of them: cuda:1,3.",
    ),
    click.option(
        "--compile/--no-compile",
        "compiled",
        default=False,
        show_default=True,
        help="Compile the model first (torch.compile): it takes a minute for the first clip of a shape. "
        "Not on CUDA, where the encoder's own kernels are faster.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1),
        help="CPU threads.  [default: OMP_NUM_THREADS, or the CPUs this process may use]",
    ),
)
"""Where they are computed."""
CLIPS = (
    click.option("--clips", help="Only these clips, as 0-99,105.  [default: all]"),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        help="The run's seed. Clips with another seed or --experiment belong to another run, and are left "
        "alone.  [default: any clip is encoded]",
    ),
    click.option(
        "--experiment",
        type=click.Path(path_type=Path),
        help=f"With --seed: JSON of the run's experiment; default: the variable {RUN_EXPERIMENT}.",
    ),
    click.option("--limit", type=click.IntRange(1), help="Encode no more than this many clips."),
    click.option(
        "--overwrite",
        is_flag=True,
        help="Encode clips that have features again; with --watch only those with features of other settings.",
    ),
)
"""Which clips get them."""
WATCHING = (
    click.option(
        "--watch",
        is_flag=True,
        help="Continue with clips as they become complete, until .clipfarm/all-rendered exists. Any number of encoders "
        "may watch one folder: one of them claims each clip.",
    ),
    click.option(
        "--batch-wait",
        default=5.0,
        show_default=True,
        type=Seconds(0, MOST_SECONDS),
        help="With --watch: seconds that a clip waits for others to fill its batch.",
    ),
    click.option(
        "--stale-after",
        default=30.0,
        show_default=True,
        type=Seconds(0, MOST_SECONDS, min_open=True),
        help="With --watch: seconds without a heartbeat after which another encoder's clips are taken over.",
    ),
)
"""How clips are waited for."""
PROCESS = (
    click.option(
        "--check",
        is_flag=True,
        help="Load the models with their weights, and end: exit status 0 if all are as asked for. No clip is read.",
    ),
    click.option("--port", type=click.IntRange(0, 65535), help="Serve /metrics and /progress there; 0: any free port."),
    click.option(
        "--host", default="127.0.0.1", show_default=True, help="Address to serve them on; in a pod 0.0.0.0 or ::."
    ),
    click.option(
        "--log-json",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the content of /progress to this file, too.",
    ),
    click.option("--exit-with-parent", is_flag=True, help="End when the process that started this one is gone."),
    click.option("--parent", type=click.IntRange(1), metavar="PID", help="With --exit-with-parent: that process."),
)
"""What the process reports, and when it ends."""


def with_options(command: Command) -> Command:
    """Give a command all of them."""
    decorated: Any = command
    for option in reversed((*WHERE, *FEATURES, *DEVICES, *CLIPS, *WATCHING, *PROCESS)):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def parser() -> click.Command:
    """Return a command that parses all of them and does nothing, for a program that hands them on."""

    def nothing(**_: Any) -> None:
        pass

    spelling = {"token_normalize_func": lambda name: name.replace("_", "-")}
    return click.command(context_settings=spelling)(with_options(nothing))
