"""``clipfarm-encode``: a folder of clips to features."""

import math
import os
import sys
from pathlib import Path
from typing import Any

import click

from clipfarm_contract import streams
from clipfarm_contract.bounds import MOST_BATCH, MOST_CROP
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.environment import RUN_EXPERIMENT, ThreadLimitError, apply_thread_limits
from clipfarm_contract.extraction import MOST_FRAMES
from clipfarm_contract.parent import Parent
from clipfarm_contract.text import printable
from clipfarm_encode import asked, dependencies
from clipfarm_encode.models import partial
from clipfarm_encode.stopping import Stopper

PROGRAM = "clipfarm-encode"
FAILED = 1
MOST_SECONDS = 1e9


class Seconds(click.FloatRange):
    """A range of numbers that refuses ``nan``, which is neither too small nor too large."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return number


@click.command(
    context_settings={
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "help_option_names": ["-h", "--help"],
    },
    epilog="Exit status: 0 all clips have their features, or SIGTERM ended --watch; 1 some clips failed; 2 wrong "
    "usage, or the GPU's memory is too small for one clip; 128 + n ended by signal n.",
)
@click.option(
    "--data-dir",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with clip_* folders.",
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    help="Cut the videos of this folder into clips in --data-dir first, as `clipfarm encode` does.",
)
@click.option(
    "--clip-frames",
    default=32,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="With --videos: frames of a clip.",
)
@click.option(
    "--clip-stride",
    type=click.IntRange(1),
    help="With --videos: frames from the beginning of a clip to that of the video's next.  [default: --clip-frames]",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="With --videos: frames a second to take of each video.  [default: all its frames]",
)
@click.option("--in-place", is_flag=True, help="Write into each clip's own folder.")
@click.option(
    "--out-dir", type=click.Path(file_okay=False, path_type=Path), help="Write into a mirror of the clips' folders."
)
@click.option(
    "--model",
    default="vjepa2_vitl16",
    show_default=True,
    help="Also: vjepa2_vith16, vjepa2_vitg16, vjepa2_tiny16 (for trials).",
)
@click.option(
    "--weights",
    help="A .pt file as published, a Hugging Face folder, the https address of a .pt file, a Hugging Face id, or the "
    "word random (features then mean nothing).",
)
@click.option(
    "--weights-sha256", metavar="HEX", help="SHA-256 that the weights must have; required for an https address."
)
@click.option("--weights-revision", metavar="COMMIT", help="Commit (40 digits), if --weights is an id on Hugging Face.")
@click.option(
    "--weights-key",
    default="target_encoder",
    show_default=True,
    type=click.Choice(["target_encoder", "encoder"]),
    metavar="[target_encoder|encoder]",  # click would write a hyphen
    help="Entry of a .pt file to use.",
)
@click.option(
    "--batch-size",
    default=4,
    show_default=True,
    type=click.IntRange(1, MOST_BATCH),
    help="Clips per batch; halved if the GPU's memory is too small. On the CPU at most one per thread.",
)
@click.option(
    "--dtype",
    default="fp16",
    show_default=True,
    type=click.Choice(["fp16", "fp32"]),
    help="Type of the saved features. Computed in float32 on CPU and MPS, with matrix products in float16 on CUDA.",
)
@click.option(
    "--crop-size",
    default=256,
    show_default=True,
    type=click.IntRange(16, MOST_CROP),
    help="Height and width of the model's input, pixels, a multiple of 16.",
)
@click.option("--name", help="Name of the features' files.  [default: the model's, for its default features]")
@click.option(
    "--context",
    default="clip",
    show_default=True,
    type=click.Choice(["clip", "frame", "prefix"]),
    help="Frames that a time step may know: all of the clip, its own frame alone, or its own and those before.",
)
@click.option(
    "--stride",
    type=click.IntRange(1, MOST_FRAMES),
    help="Frames from one time step to the next, with --context frame or prefix.  [default: 1 for frame; for prefix "
    "what the model takes at a time]",
)
@click.option(
    "--window",
    type=click.IntRange(1, MOST_FRAMES),
    help="With --context prefix: time steps that one may look back on, itself included.  [default: all]",
)
@click.option("--layers", help="Layers to keep, counted from 1, as 8,16,24.  [default: the model's own output]")
@click.option(
    "--pool",
    default="none",
    show_default=True,
    type=click.Choice(["none", "space"]),
    help="space: keep the mean over the tokens of a time step.",
)
@click.option(
    "--features",
    metavar="JSON|FILE",
    help="Several feature sets: a list as encode.features of a run file, in JSON. What an entry leaves out is as "
    "--model, --weights, --crop-size and --dtype say.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or mps. auto: CUDA, then MPS, then CPU. With CUDA, all devices that "
    "CUDA_VISIBLE_DEVICES leaves are used, or some of them: cuda:1,3.",
)
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=False,
    show_default=True,
    help="Compile the model first (torch.compile): it takes a minute for the first clip of a shape. "
    "Not on CUDA, where the encoder's own kernels are faster.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU threads.  [default: OMP_NUM_THREADS, or the CPUs this process may use]",
)
@click.option("--clips", help="Only these clips, as 0-99,105.  [default: all]")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="The run's seed. Clips with another seed or --experiment belong to another run, and are left "
    "alone.  [default: any clip is encoded]",
)
@click.option(
    "--experiment",
    type=click.Path(path_type=Path),
    help=f"With --seed: JSON of the run's experiment; default: the variable {RUN_EXPERIMENT}.",
)
@click.option("--limit", type=click.IntRange(1), help="Encode no more than this many clips.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Encode clips that have features again; with --watch only those with features of other settings.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Continue with clips as they become complete, until .clipfarm/all-rendered exists. Any number of encoders may "
    "watch one folder: one of them claims each clip.",
)
@click.option(
    "--batch-wait",
    default=5.0,
    show_default=True,
    type=Seconds(0, MOST_SECONDS),
    help="With --watch: seconds that a clip waits for others to fill its batch.",
)
@click.option(
    "--stale-after",
    default=30.0,
    show_default=True,
    type=Seconds(0, MOST_SECONDS, min_open=True),
    help="With --watch: seconds without a heartbeat after which another encoder's clips are taken over.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Serve /metrics and /progress there; 0: any free port.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to serve them on; in a pod 0.0.0.0 or ::."
)
@click.option(
    "--log-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the content of /progress to this file, too.",
)
@click.option("--exit-with-parent", is_flag=True, help="End when the process that started this one is gone.")
@click.option("--parent", type=click.IntRange(1), metavar="PID", help="With --exit-with-parent: that process.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(stopper: Stopper | None, /, **options: Any) -> int:
    """Turn clips (rgb/*.png) into V-JEPA 2 features (feature_maps/<name>.npy).

    Clips that have features are skipped, so the same command continues where it was ended. With --seed, a COMMAND after
    "--" is the run's own renderer.
    """
    stopper = stopper or Stopper()
    stopper.may_be_ended = options["watch"]
    if options["in_place"] == (options["out_dir"] is not None):
        raise click.UsageError("one of --in-place and --out-dir is needed, and not both")
    asked.videos(options)
    sets = asked.sets(options)
    try:
        dependencies.require()
    except dependencies.MissingError as error:
        raise click.UsageError(str(error)) from None
    if options["exit_with_parent"]:
        stopper.end_with(Parent(options["parent"]))
    stopper.before_exit = partial.abandon
    _limit_threads(options["threads"])
    from clipfarm_encode.run import encode  # here, because PyTorch takes seconds to import, and reads the variables

    return encode(stopper, options, sets)


def main() -> None:
    """Run the command with this process's arguments, signals and exit status."""
    output = streams.guard(PROGRAM)
    stopper = Stopper()
    stopper.listen()
    code = run(sys.argv[1:], stopper)
    sys.stdout.flush()
    # Features are what it is for; of --help it is the output.
    if output.failed and not code and set(sys.argv[1:]) & {"-h", "--help"}:
        code = FAILED
    sys.exit(code)


def run(arguments: list[str], stopper: Stopper | None = None) -> int:
    """Run the command and return its exit status; an error is one line on standard error."""
    try:
        code: int = command.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=stopper)
    except click.ClickException as error:
        click.echo(f"{PROGRAM}: {printable(' '.join(error.format_message().split()))}", err=True)
        return error.exit_code
    except OSError as error:  # of the folder as a whole; those of single clips are reported and passed over
        problem = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        click.echo(f"{PROGRAM}: {printable(problem)}", err=True)
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
