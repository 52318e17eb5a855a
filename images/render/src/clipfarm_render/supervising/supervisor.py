"""``clipfarm-render``: makes a block of clips, one child process a clip.

The child does what can crash, hang or be killed; what is here stays small, and sees to it that a clip is there
whole or not at all, and that its end has a name.
"""

import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from clipfarm_contract import scratch, streams
from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.environment import (
    GIVE_UP_AFTER,
    JOB,
    RETRY_LIMIT,
    RUN_EXPERIMENT,
    ThreadLimitError,
    ThreadLimits,
    apply_thread_limits,
)
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.parent import Parent
from clipfarm_contract.program import why_not
from clipfarm_contract.text import printable
from clipfarm_render.output import say
from clipfarm_render.supervising import serving, strays, termination
from clipfarm_render.supervising.attempt import Stopped
from clipfarm_render.supervising.block import PROGRAM, exit_code, make_all
from clipfarm_render.supervising.children import Renderer
from clipfarm_render.supervising.choosing import UsageError, choose, read_given
from clipfarm_render.supervising.counting import Counting
from clipfarm_render.supervising.giving_up import Patience
from clipfarm_render.supervising.modules import keep_module
from clipfarm_render.supervising.stopping import Stop
from clipfarm_render.supervising.supported import refuse_unsupported
from clipfarm_render.vram import reading, slow

STANDALONE_THREADS = 2
"""Default, if no limit is set. An executor that runs several supervisors sets 1 for each."""

CLIPS_PER_PROCESS = 50
"""On a GPU, where a new process has to set up the GPU too. Replaced now and then, so that nothing piles up for long."""

MOST_CLIPS = 100_000
"""In one block."""
MOST_SECONDS = 1e12
"""More than a run file can say."""


class Seconds(click.FloatRange):
    """A range of numbers that refuses what is none: ``nan`` is neither too small nor too large."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return number


@click.command(
    context_settings={"token_normalize_func": lambda token: token.replace("_", "-"), "max_content_width": 110}
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The run's folder.")
@click.option("--seed", type=click.IntRange(min=0), required=True, help="The run's seed.")
@click.option("--index", type=click.IntRange(min=0, max=LAST_CLIP), help="The first clip.")
@click.option("--count", type=click.IntRange(1, MOST_CLIPS), default=1, show_default=True, help="How many clips.")
@click.option("--clips", metavar="RANGES", help="In place of --index: clips as 0-99,200, of which --block takes some.")
@click.option(
    "--clips-from",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with such ranges, in place of --clips.",
)
@click.option(
    "--block",
    type=click.IntRange(0, LAST_CLIP),
    metavar="K",
    help="With --clips: the K-th COUNT of them, from 0, as a pod of an indexed Job does; the last may be fewer.",
)
@click.option(
    "--serve",
    is_flag=True,
    help="In place of --index and --clips: read clips' numbers on standard input, and answer each on standard output.",
)
@click.option(
    "--experiment",
    type=click.Path(path_type=Path),
    help=f"JSON of the run's experiment; default: the variable {RUN_EXPERIMENT}.",
)
@click.option("--device", type=click.Choice(["cpu", "gpu", "cuda", "optix"]), default="cpu", show_default=True)
@click.option(
    "--timeout", type=Seconds(0, MOST_SECONDS, min_open=True), default=600, show_default=True, help="Seconds a clip."
)
@click.option(
    "--clips-per-process",
    type=click.IntRange(min=1),
    help=f"Clips that one process of the built-in renderer makes; default: 1 on a CPU, {CLIPS_PER_PROCESS} on a GPU.",
)
@click.option(
    "--give-up-after",
    type=click.IntRange(min=0),
    envvar=GIVE_UP_AFTER,
    metavar="N",
    help="End early once N clips in a row have failed alike and no clip of the run is complete; default: the variable"
    f" {GIVE_UP_AFTER}, else all are tried, as with 0.",
)
@click.option(
    "--retry-limit",
    type=click.IntRange(min=0),
    envvar=RETRY_LIMIT,
    metavar="N",
    help="With --job: how often a clip that ran out of GPU memory is tried again, each counted by itself; default: the"
    f" variable {RETRY_LIMIT}, else nothing is counted.",
)
@click.option(
    "--job",
    envvar=JOB,
    metavar="ID",
    help=f"With --retry-limit: within which job attempts count; default: the variable {JOB}.",
)
@click.option(
    "--termination-message", type=click.Path(path_type=Path), help="Write the block's outcome there, as JSON."
)
@click.option("--exit-with-parent", is_flag=True, help="End when the process that started this one has ended.")
@click.option("--parent", type=click.IntRange(1), metavar="PID", help="With --exit-with-parent: that process.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def cli(
    limits: ThreadLimits,
    output: Path,
    seed: int,
    index: int | None,
    count: int,
    clips: str | None,
    clips_from: Path | None,
    block: int | None,
    serve: bool,
    experiment: Path | None,
    device: str,
    timeout: float,
    clips_per_process: int | None,
    give_up_after: int | None,
    retry_limit: int | None,
    job: str | None,
    termination_message: Path | None,
    exit_with_parent: bool,
    parent: int | None,
    command: tuple[str, ...],
) -> int:
    """Make the clips INDEX to INDEX + COUNT - 1 of a run, or a block of the clips in RANGES, each in a child process.

    A COMMAND after "--" takes the place of the built-in renderer; it finds its task in CLIP_INDEX, CLIP_SEED,
    CLIP_DIR and CLIP_EXPERIMENT. Exit codes: 0 all are complete, 2 GPU memory ran out and the clips after that were
    not tried, 76 the same and the clip has attempts left (--retry-limit), 75 the first clips failed alike and the
    others were not tried (--give-up-after), 1 a clip failed, 64 nothing was tried because the command line or the
    experiment is wrong.
    """
    stop = Stop(Parent(parent) if exit_with_parent else None)
    stop.listen()
    strays.adopt()
    scratch.sweep()
    if clips_from is not None:
        if clips is not None:
            raise UsageError("expected either --clips or --clips-from")
        clips = read_given("--clips-from", clips_from).strip()
    known, chosen = choose(index, count, clips, block, serve=serve)
    declared = _read_experiment(experiment)
    recipe = _recipes(declared, seed, own_command=bool(command))
    keep_module(RunFolder(output), declared.scene.module)
    recipes = [recipe(clip) for clip in chosen]
    if command and (problem := why_not(command)):
        raise UsageError(f"COMMAND: {problem}")
    counting = Counting.asked(retry_limit, job or "")
    each = clips_per_process or (1 if device == "cpu" else CLIPS_PER_PROCESS)
    renderer = Renderer(command or None, device, timeout, each)
    which = f"{len(chosen)} from clip {chosen[0]} on" if chosen else "clips as they are given"
    _say(f"{which}, seed {seed}, {device}, at most {timeout:g} s each; threads: {limits}")
    try:
        if serve:
            serving.serve(RunFolder(output), recipe, renderer, stop)
            return ExitCode.OK
        patience = Patience(give_up_after or 0, known)
        outcomes = make_all(RunFolder(output), recipes, renderer, stop, patience, counting)
    except Stopped:
        _say(f"stopped by signal {stop.exit_code - 128}")
        return stop.exit_code
    if termination_message is not None:
        _write_termination_message(termination_message, termination.message(outcomes, counting=counting))
        if device != "cpu":
            gpu, lines = reading.measure_in_time(), () if command else slow.findings_in_time()
            if gpu or lines:
                _write_termination_message(termination_message, termination.message(outcomes, gpu, lines, counting))
    return exit_code(outcomes, len(recipes), counting)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    output = streams.guard(PROGRAM)
    try:
        limits = apply_thread_limits(STANDALONE_THREADS)
        code = int(cli.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=limits))
    except click.ClickException as error:
        problem = " ".join(error.format_message().split())
    except (UsageError, ContractError, ThreadLimitError) as error:
        problem = str(error)
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return ExitCode.FAILED
    else:
        sys.stdout.flush()
        return ExitCode.FAILED if output.failed and not code else code
    _say(printable(problem))
    return ExitCode.USAGE


def _read_experiment(path: Path | None) -> Declared:
    if path is None:
        text = os.environ.get(RUN_EXPERIMENT, "")
        if not text:
            raise UsageError(f"experiment: found neither --experiment nor {RUN_EXPERIMENT}, expected one of them")
        return Declared.from_json(text)
    return Declared.from_json(read_given("--experiment", path))


def _recipes(declared: Declared, seed: int, *, own_command: bool) -> Callable[[int], ClipRecipe]:
    if not own_command:
        refuse_unsupported(declared)
    experiment = declared.experiment()
    return lambda clip: experiment.recipe(seed, clip, own_renderer=own_command)


def _write_termination_message(path: Path, message: str) -> None:
    try:
        # Not by rename: Kubernetes mounts the file itself.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - opened already
            file.write(message)
    except OSError as error:
        _say(f"--termination-message: {path} cannot be written: {error.strerror}")


def _say(line: str) -> None:
    say(f"{PROGRAM}: {line}")
