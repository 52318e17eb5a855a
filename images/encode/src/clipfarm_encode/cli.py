"""``clipfarm-encode``: a folder of clips to features."""

import os
import sys
from typing import Any

import click

from clipfarm_contract import streams
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.environment import ThreadLimitError, apply_thread_limits
from clipfarm_contract.parent import Parent
from clipfarm_contract.text import printable
from clipfarm_encode import asked, dependencies
from clipfarm_encode.models import partial
from clipfarm_encode.options import with_options
from clipfarm_encode.stopping import Stopper

PROGRAM = "clipfarm-encode"
FAILED = 1


@click.command(
    context_settings={
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "help_option_names": ["-h", "--help"],
    },
    epilog="Exit status: 0 all clips have their features, or SIGTERM ended --watch; 1 some clips failed; 2 wrong "
    "usage, or the GPU's memory is too small for one clip; 128 + n ended by signal n.",
)
@with_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(stopper: Stopper | None, /, **options: Any) -> int:
    """Turn clips (rgb/*.png) into features of V-JEPA 2 or another model (feature_maps/<name>.npy).

    Clips that have features are skipped, so the same command continues where it was ended. With --seed, a COMMAND after
    "--" is the run's own renderer.
    """
    stopper = stopper or Stopper()
    stopper.may_be_ended = options["watch"]
    if options["in_place"] == (options["out_dir"] is not None):
        raise click.UsageError("one of --in-place and --out-dir is needed, and not both")
    asked.videos(options)
    sets = asked.sets(options)
    if options["videos"] is not None:
        asked.check(sets, options["clip_frames"], "--clip-frames")
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
