"""``clipfarm-encode``: a folder of clips to features."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from clipfarm_contract.environment import ThreadLimitError, apply_thread_limits
from clipfarm_encode.cpus import available_cpus
from clipfarm_encode.stopping import Stopper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clipfarm_encode.clips import Found
    from clipfarm_encode.encoder import Encoder
    from clipfarm_encode.progress import Reporter

OK, FAILED, USAGE, OUT_OF_MEMORY = 0, 1, 2, 2
NEEDED = {"torch": "torch", "einops": "einops", "safetensors": "safetensors", "numpy": "numpy", "PIL": "pillow"}
"""Packages by the name under which they are imported."""
MOST_DECODERS = 8


def missing_packages() -> list[str]:
    """Return the packages that are needed and not installed, without importing any."""
    return [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]


@click.command(
    context_settings={
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "help_option_names": ["-h", "--help"],
    },
    epilog="Exit status: 0 all clips have their features; 1 some clips failed; 2 wrong usage, or the GPU's memory is "
    "too small for one clip; 128 + n ended by signal n.",
)
@click.option(
    "--data-dir",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with clip_* folders.",
)
@click.option("--in-place", is_flag=True, help="Write into each clip's own folder.")
@click.option(
    "--out-dir", type=click.Path(file_okay=False, path_type=Path), help="Write into a mirror of the clips' folders."
)
@click.option(
    "--model",
    default="vjepa2_vitl16",
    show_default=True,
    help="Also: vjepa2_vith16, vjepa2_vitg16, vjepa2_tiny16 (for trying things out).",
)
@click.option(
    "--weights", help="A .pt file as published, a Hugging Face folder, or the word random (features then mean nothing)."
)
@click.option(
    "--weights-key",
    default="target_encoder",
    show_default=True,
    type=click.Choice(["target_encoder", "encoder"]),
    help="Which entry of a .pt file to take.",
)
@click.option(
    "--batch-size",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    help="Clips a batch; halved where the GPU's memory is too small. The CPU computes them one by one.",
)
@click.option(
    "--dtype",
    default="fp16",
    show_default=True,
    type=click.Choice(["fp16", "fp32"]),
    help="Of the saved features. Computed in float32 on CPU and MPS, with matrix products in half precision on CUDA.",
)
@click.option(
    "--crop-size",
    default=256,
    show_default=True,
    type=click.IntRange(16),
    help="Height and width of what the model sees, pixels, a multiple of 16.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    help="auto: CUDA, then MPS, then CPU.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU threads.  [default: OMP_NUM_THREADS, or the CPUs this process may use]",
)
@click.option("--limit", type=click.IntRange(1), help="Encode no more than this many clips.")
@click.option("--overwrite", is_flag=True, help="Encode clips again that have features.")
@click.option(
    "--watch", is_flag=True, help="Go on with clips as they become complete, until .clipfarm/all-rendered is there."
)
@click.option(
    "--log-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep counts and times in this file, replaced after each batch.",
)
@click.option("--exit-with-parent", is_flag=True, help="End when the process that started this one is gone.")
@click.pass_obj
def command(stopper: Stopper | None, /, **options: Any) -> int:
    """Turn clips (rgb/*.png) into V-JEPA 2 features (feature_maps/<model>.npy).

    Clips that have features are skipped, so the same command goes on where it was ended.
    """
    stopper = stopper or Stopper()
    if options["in_place"] == (options["out_dir"] is not None):
        raise click.UsageError("one of --in_place and --out_dir is needed, and not both")
    if not options["weights"]:
        raise click.UsageError(
            "--weights is needed: a .pt file, a Hugging Face folder, or random (features then mean nothing)"
        )
    if missing := missing_packages():
        names = " ".join(missing)
        raise click.UsageError(
            f"not installed: {', '.join(missing)}; install with: {sys.executable} -m pip install {names}"
        )
    if options["exit_with_parent"]:
        stopper.end_with_parent()
    _limit_threads(options["threads"])
    return _encode(stopper, options)


def main() -> None:
    """Run the command with this process's arguments, signals and exit status."""
    stopper = Stopper()
    stopper.listen()
    sys.exit(run(sys.argv[1:], stopper))


def run(arguments: list[str], stopper: Stopper | None = None) -> int:
    """Run the command and return its exit status; an error is one line on standard error."""
    try:
        code: int = command.main(arguments, prog_name="clipfarm-encode", standalone_mode=False, obj=stopper)
    except click.ClickException as error:
        click.echo(f"clipfarm-encode: {error.format_message()}", err=True)
        return error.exit_code
    except OSError as error:  # of the folder as a whole; those of single clips are reported and passed over
        click.echo(f"clipfarm-encode: {error.filename}: {error.strerror}", err=True)
        return FAILED
    return code


def _limit_threads(threads: int | None) -> None:
    """Set the thread variables; PyTorch reads them when it is imported."""
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    try:
        apply_thread_limits(default=available_cpus())
    except ThreadLimitError as error:
        raise click.UsageError(str(error)) from None


def _encode(stopper: Stopper, options: dict[str, Any]) -> int:
    # Here, because PyTorch takes seconds to import and reads the thread variables when it is.
    from clipfarm_encode.clips import find_clips
    from clipfarm_encode.encoder import get_encoder
    from clipfarm_encode.pipeline import Pipeline
    from clipfarm_encode.progress import Reporter
    from clipfarm_encode.selection import Destination, first, once, survey, watch

    try:
        encoder = get_encoder(
            options["model"],
            options["weights"],
            options["device"],
            weights_key=options["weights_key"],
            dtype=options["dtype"],
            crop_size=options["crop_size"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    destination = Destination(encoder.recipe, options["out_dir"], options["overwrite"])
    clips = find_clips(options["data_dir"])
    surveyed = survey(clips, destination)
    if surveyed.other:
        found, reason = surveyed.other[0]
        raise click.UsageError(
            f"{found.name} has features already, {reason}"
            + (f" (and {len(surveyed.other) - 1} more clips)" if len(surveyed.other) > 1 else "")
            + "; --overwrite makes them again"
        )
    console = Console(soft_wrap=True)
    reporter = Reporter(encoder.recipe, encoder.device.type, options["log_json"], console)
    stopper.before_exit = reporter.stopped
    _introduce(reporter, encoder, options)
    if options["watch"]:
        source: Iterator[Found | None] = watch(options["data_dir"], destination, reporter)
    else:
        source = once(surveyed, reporter)
        if foreign := sum(not found.clip.manifest.exists() for found in clips):
            reporter.say(f"{foreign} of {len(clips)} clips have no clip.json: nothing vouches that they are whole")
    reporter.update()
    pipeline = Pipeline(
        encoder,
        destination,
        reporter,
        stopper.saving,
        batch_size=options["batch_size"],
        decoders=min(available_cpus(), MOST_DECODERS),
        vanishing=options["watch"],
    )
    pipeline.run(first(options["limit"], source))
    reporter.finish()
    if pipeline.out_of_memory:
        return OUT_OF_MEMORY
    return FAILED if reporter.tally.failures else OK


def _introduce(reporter: "Reporter", encoder: "Encoder", options: dict[str, Any]) -> None:
    """Say what is going to compute, and whatever somebody may regret not to have known."""
    import torch

    weights = encoder.weights
    reporter.say(
        f"{encoder.name} on {encoder.device.type}, {torch.get_num_threads()} CPU threads, "
        f"weights {weights.source} (sha256 {weights.sha256[:12]}...)"
    )
    if weights.random:
        reporter.say(f"NOTE: {weights.to_json()['note']}")
    if encoder.device.type == "cpu" and options["device"] == "auto":
        reporter.say("NOTE: no GPU found, so this runs on the CPU: some hundred times slower than on a GPU")
