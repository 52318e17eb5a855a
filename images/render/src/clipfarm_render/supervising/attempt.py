"""One attempt at one clip: from its recipe to a complete folder, or to a reason."""

import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract import clip as clips
from clipfarm_contract import completing, environment, tree
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import ClipState, Inspection
from clipfarm_contract.exit_codes import ENDED_WITH_2, ExitCode
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.fields import ContractError, dump
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.result import ChildReport, ClipResult
from clipfarm_contract.text import printable
from clipfarm_contract.writers import writing
from clipfarm_render.output import say
from clipfarm_render.seeds import clip_seed
from clipfarm_render.supervising import doubtful, machine, strays, written
from clipfarm_render.supervising.child import ChildEnd
from clipfarm_render.supervising.children import CannotStartError, Children, Renderer
from clipfarm_render.supervising.counting import NOT_COUNTED, Counting
from clipfarm_render.supervising.stopping import Stop
from clipfarm_render.supervising.watch import End

_TO_BE_MADE = (ClipState.ABSENT, ClipState.DAMAGED)


class Stopped(Exception):  # noqa: N818 - no error: a signal asked for it
    """The supervisor was asked to end while a clip was being made; nothing of the clip is left."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a clip."""

    result: ClipResult
    skipped: bool = False
    """Complete already: nothing was done."""
    settled: bool = False
    """Failed for good in an earlier pod of the Job: nothing was done."""
    kept: bool = True
    """Whether its result was written."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A renderer that is done with a clip."""

    end: ChildEnd
    report: ChildReport
    alone: bool
    """Whether nothing is left of what it started."""


def make(
    run: RunFolder,
    recipe: ClipRecipe,
    children: Children,
    stop: Stop,
    another: Callable[[], bool],
    counting: Counting = NOT_COUNTED,
) -> Callable[[], Outcome]:
    """Make one clip, and leave its result (and its log, if it failed) with the run's own files.

    Args:
        run: where the clip belongs.
        recipe: of the clip.
        children: what makes clips.
        stop: asked again and again.
        another: returns whether a clip is to be made after it, for which a child is to be there.
        counting: how many attempts it has.

    Returns:
        What is left to do when the renderer is done: hash, sync and rename. May be called beside the next clip.

    Raises:
        Stopped: ``stop`` asked to end.
    """
    folder = run.clip(recipe.index)
    found = _inspect(run, recipe, children.renderer)
    if found.state is ClipState.COMPLETE:
        return lambda: Outcome(_earlier_result(run, recipe.index), skipped=True)
    if found.state in (ClipState.FOREIGN, ClipState.UNREADABLE):
        unread = "cannot be read: " if found.state is ClipState.UNREADABLE else ""
        reason = f"{folder.folder.name}: {unread}{found.reason}; it is left as it is"
        failed = ClipResult(recipe.index, ExitCode.FAILED, reason, {}, 0.0, 0.0)
        return lambda: _keep(run, counting.counted(failed, counting.earlier(run, recipe.index)), "")
    expects_another = another()
    with ExitStack() as held:
        held.enter_context(writing(run))
        started, attempt = time.monotonic(), run.attempt(recipe.index, secrets.token_hex(4))
        earlier = counting.earlier(run, recipe.index)
        held.callback(tree.remove, attempt)
        rendered: Rendered | CannotStartError | OSError
        began = 0.0
        try:
            attempt.mkdir(parents=True)
            began = attempt.stat().st_mtime
            end, report = children.run(_task(run, recipe, attempt), stop, another=expects_another)
            rendered = Rendered(end, report, alone=strays.end(but=children.pids))
        except (CannotStartError, OSError) as error:
            rendered = error
        if isinstance(rendered, Rendered) and rendered.end.how is End.STOPPED:
            raise Stopped
        until_done = held.pop_all()

    def finish() -> Outcome:
        with until_done:
            result = _result(run, recipe, attempt, rendered, children.renderer, started)
        if result.exit_code is ExitCode.OUT_OF_VRAM:
            doubtful.remove(run.cache, since=began)
        result = counting.counted(result, earlier)
        return _keep(run, result, rendered.end.tail.text() if isinstance(rendered, Rendered) else "")

    return finish


def is_missing(run: RunFolder, recipe: ClipRecipe, renderer: Renderer) -> bool:
    """Return whether a clip is to be made."""
    return _inspect(run, recipe, renderer).state in _TO_BE_MADE


def is_complete(run: RunFolder, recipe: ClipRecipe, renderer: Renderer) -> bool:
    """Return whether a clip is there, whoever made it."""
    return _inspect(run, recipe, renderer).state is ClipState.COMPLETE


def _inspect(run: RunFolder, recipe: ClipRecipe, renderer: Renderer) -> Inspection:
    return clips.inspect(run.clip(recipe.index), recipe, renderer.command)


def _result(
    run: RunFolder,
    recipe: ClipRecipe,
    attempt: Path,
    rendered: "Rendered | CannotStartError | OSError",
    renderer: Renderer,
    started: float,
) -> ClipResult:
    """Judge what a renderer has left, and complete the clip if it is good."""
    end, report = (rendered.end, rendered.report) if isinstance(rendered, Rendered) else (None, ChildReport())
    try:
        if not isinstance(rendered, Rendered):
            raise rendered
        code, reason = _judge(rendered.end, report, on_gpu=renderer.device != "cpu", built_in=renderer.command is None)
        if not rendered.alone:
            code, reason = ExitCode.FAILED, "a process that the renderer has left behind cannot be ended"
        if code is ExitCode.OK:
            written.check(attempt, recipe.picture.frames)
            completing.complete(attempt, run.clip(recipe.index), recipe, report.checks, renderer.command)
    except CannotStartError as error:
        code, reason = ExitCode.USAGE, str(error)
    except tree.UnfitError as error:
        code, reason = ExitCode.FAILED, str(error)
    except ContractError as error:  # what was a file a moment ago is one no more
        code, reason = ExitCode.FAILED, str(error)
    except OSError as error:
        code, reason = ExitCode.FAILED, _describe(error)
    return ClipResult(
        index=recipe.index,
        exit_code=code,
        reason=reason,
        seconds=dict(report.seconds) | {"total": time.monotonic() - started},
        cpu_seconds=end.cpu_seconds if end else 0.0,
        peak_rss_mib=end.peak_rss_mib if end else 0.0,
        vram=end.vram if end and renderer.device != "cpu" else None,
        machine=machine.here(renderer.device),
    )


def _judge(end: ChildEnd, report: ChildReport, *, on_gpu: bool, built_in: bool = False) -> tuple[ExitCode, str]:
    """Turn a child's end into exit code and reason."""
    if end.how is End.OUT_OF_VRAM:
        return ExitCode.OUT_OF_VRAM, f"GPU memory ran out: {end.vram_line.strip()}"
    if end.how is End.TIMEOUT:
        return ExitCode.FAILED, end.ran_out
    if end.status == ExitCode.OK:
        return ExitCode.OK, ""
    if end.status == ExitCode.OUT_OF_VRAM:
        ended = "GPU memory ran out (exit status 2)" if on_gpu else ENDED_WITH_2
        return ExitCode.OUT_OF_VRAM, report.reason or _with_last_line(ended, end)
    if end.status == ExitCode.USAGE and built_in:
        return ExitCode.USAGE, end.tail.last.strip().removeprefix("clipfarm-render: ")
    if end.status < 0:
        return ExitCode.FAILED, _with_last_line(_killed_by(-end.status), end)
    return ExitCode.FAILED, report.reason or _with_last_line(f"exit status {end.status}", end)


def _killed_by(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    hint = ": the kernel does this when host memory runs out" if number == signal.SIGKILL else ""
    return f"killed by signal {number} ({name}){hint}"


def _with_last_line(reason: str, end: ChildEnd) -> str:
    last = end.tail.last.strip()
    return f"{reason}; last line: {last}" if last else reason


def _task(run: RunFolder, recipe: ClipRecipe, attempt: Path) -> Mapping[str, str]:
    module = recipe.experiment.get("module")
    own = {} if module is None else {environment.CLIP_MODULE: str(run.module(module["sha256"]).absolute())}
    return own | {
        environment.CLIP_INDEX: str(recipe.index),
        environment.CLIP_SEED: str(clip_seed(recipe.seed, recipe.index)),
        environment.CLIP_RUN_SEED: str(recipe.seed),
        environment.CLIP_DIR: str(attempt.absolute()),
        environment.CLIP_EXPERIMENT: recipe.experiment_json(),
        environment.CLIP_CACHE: str(run.cache.absolute()),
    }


def _earlier_result(run: RunFolder, index: int) -> ClipResult:
    try:
        earlier = ClipResult.read(run.result(index))
    except (OSError, ContractError):
        return ClipResult(index, ExitCode.OK, "", {}, 0.0, 0.0)
    return earlier if earlier.exit_code is ExitCode.OK else ClipResult(index, ExitCode.OK, "", {}, 0.0, 0.0)


def _keep(run: RunFolder, result: ClipResult, tail: str) -> Outcome:
    """Write result and log. Where even that fails, the clip's reason is on stderr and the exit code tells."""
    try:
        write_atomically(run.result(result.index), dump(result.to_json()))
        if result.exit_code is ExitCode.OK:
            run.log(result.index).unlink(missing_ok=True)
        else:
            write_atomically(run.log(result.index), tail)
    except OSError as error:
        say(f"clipfarm-render: clip {result.index}: its result cannot be kept: {_describe(error)}")
        return Outcome(result, kept=False)
    return Outcome(result)


def _describe(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return printable(f"{where}{error.strerror or error}")
