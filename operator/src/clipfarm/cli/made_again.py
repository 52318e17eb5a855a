"""What ``clipfarm verify --rerender`` and ``clipfarm clip`` say of a clip that they have made again."""

from clipfarm.cli.output import show
from clipfarm.local.compare import Verdict
from clipfarm.local.remake import RemakeError
from clipfarm.local.verify import compared_when_made_again
from clipfarm_contract.layout import RunFolder


def again(run: RunFolder, clip: int, device: str, place: RunFolder, *, exact: bool) -> bool:
    """Make a clip again in another folder, show how the two compare, and return whether that is well.

    Args:
        run: the clip's run.
        clip: its number.
        device: to render on.
        place: where to make it.
        exact: whether it is well only if every byte is the same.
    """
    try:
        found = compared_when_made_again(run, clip, device, place)
    except RemakeError as problem:
        show(f"clip {clip}: {problem}")
        return False
    too_far = exact and found.verdict is Verdict.WITHIN
    for line in found.lines:
        show(f"clip {clip}, made again: {line}{'; --exact expects every byte the same' if too_far else ''}")
    return found.verdict is not Verdict.DIFFERENT and not too_far
