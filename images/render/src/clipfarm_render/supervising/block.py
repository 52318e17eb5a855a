"""The clips of a block, one after the other, and what their ends come to."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.layout import RunFolder
from clipfarm_render.output import say
from clipfarm_render.supervising import attempt
from clipfarm_render.supervising.attempt import Outcome, Stopped
from clipfarm_render.supervising.children import Children, Renderer
from clipfarm_render.supervising.counting import Counting
from clipfarm_render.supervising.giving_up import Patience, hopeless
from clipfarm_render.supervising.stopping import Stop

PROGRAM = "clipfarm-render"


def make_all(
    run: RunFolder,
    recipes: Sequence[ClipRecipe],
    renderer: Renderer,
    stop: Stop,
    patience: Patience,
    counting: Counting,
) -> list[Outcome]:
    """Make the clips one after the other; one that fails does not stop the others, unless all would fail so.

    One that runs out of GPU memory and has attempts left does stop them: another program has taken the memory, and the
    next ones would run out, too. While a process goes on with a clip, the one before it is hashed, synced and renamed.

    Returns:
        What came of the clips that were tried, in order.

    Raises:
        Stopped: ``stop`` asked to end.
    """
    with Children(renderer) as children, ThreadPoolExecutor(1) as beside:

        def finished(finish: Callable[[], Outcome]) -> Outcome:
            outcome = finish()
            say(line_about(outcome))
            return outcome

        settled = counting.settled(run, [recipe.index for recipe in recipes])
        outcomes: list[Future[Outcome]] = []
        for recipe, following in itertools.zip_longest(recipes, recipes[1:]):
            if stop.requested:
                raise Stopped
            another = partial(_is_missing, run, following, renderer)
            finish: Callable[[], Outcome]
            if recipe.index in settled and not attempt.is_complete(run, recipe, renderer):
                finish = partial(Outcome, settled[recipe.index], settled=True)
            else:
                finish = attempt.make(run, recipe, children, stop, another, counting)
            outcomes.append(beside.submit(finished, finish))
            if not children.go_on:
                last = outcomes[-1].result()
                if last.result.exit_code is ExitCode.USAGE:
                    break
                if tried_again(last, counting):
                    if left := len(recipes) - len(outcomes):
                        say(f"{PROGRAM}: GPU memory ran out, so the block ends here: {_untried(left)}")
                    break
            if following is not None and hopeless(run, outcomes, patience):
                left = len(recipes) - len(outcomes)
                alike = (
                    "the last clip failed" if patience.after == 1 else f"the last {patience.after} clips failed alike"
                )
                say(f"{PROGRAM}: {alike}, and no clip of the run is complete: {_untried(left)}")
                break
        return [outcome.result() for outcome in outcomes]


def tried_again(outcome: Outcome, counting: Counting) -> bool:
    """Return whether a clip ran out of GPU memory and gets another attempt, so that its block ends."""
    return not outcome.settled and (counting.has_another(outcome.result) or _uncounted(outcome))


def exit_code(outcomes: Sequence[Outcome], clips: int, counting: Counting) -> ExitCode:
    """Return the exit code of a block of so many clips, which is that of the clips whose end decides what comes next.

    Out of VRAM counts more than failed: the block is worth another try, and clips that are complete will be skipped. So
    is one that was given up. A clip that ran out and has no attempt left has failed.
    """
    codes = {_code(outcome, counting) for outcome in outcomes}
    if len(outcomes) < clips:
        codes.add(ExitCode.GAVE_UP)
    order = (ExitCode.USAGE, ExitCode.OUT_OF_VRAM, ExitCode.BROKE_OFF, ExitCode.GAVE_UP, ExitCode.FAILED)
    return next((code for code in order if code in codes), ExitCode.OK)


def _code(outcome: Outcome, counting: Counting) -> ExitCode:
    code = outcome.result.exit_code
    if code is not ExitCode.OUT_OF_VRAM:
        return code
    if not tried_again(outcome, counting):
        return ExitCode.FAILED
    return ExitCode.BROKE_OFF if counting.job and outcome.kept else ExitCode.OUT_OF_VRAM


def _uncounted(outcome: Outcome) -> bool:
    """Return whether an attempt is in no result: then the Job has to count it, or the block might never end."""
    return not outcome.kept and outcome.result.exit_code is ExitCode.OUT_OF_VRAM


def _untried(clips: int) -> str:
    return f"{clips} of this block {'is' if clips == 1 else 'are'} not tried"


def line_about(outcome: Outcome) -> str:
    """Return what the log has about a clip."""
    return f"{PROGRAM}: clip {outcome.result.index}: {_summary(outcome)}"


def _is_missing(run: RunFolder, recipe: ClipRecipe | None, renderer: Renderer) -> bool:
    return recipe is not None and attempt.is_missing(run, recipe, renderer)


def _summary(outcome: Outcome) -> str:
    if outcome.skipped:
        return "complete already, skipped"
    result = outcome.result
    if outcome.settled:
        return f"failed before ({int(result.exit_code)}), not tried again: {result.reason}"
    if result.exit_code is ExitCode.OK:
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
        return f"complete ({stages}; {result.cpu_seconds:.1f} CPU s, {result.peak_rss_mib:.0f} MiB)"
    return f"failed ({int(result.exit_code)}): {result.reason}"
