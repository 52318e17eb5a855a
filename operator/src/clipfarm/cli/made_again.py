"""What ``clipfarm verify --rerender`` and ``clipfarm clip`` say of a clip that they have made again."""

from pathlib import Path

from clipfarm.cli.output import show
from clipfarm.local import exported
from clipfarm.local.compare import Verdict
from clipfarm.local.remake import RemakeError
from clipfarm.local.verify import compared_when_made_again
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.scratch import Scratch


def again(run: RunFolder, clip: int, device: str, place: RunFolder, *, exact: bool, whole: bool = True) -> bool:
    """Make a clip again in another folder, show how the two compare, and return whether that is well.

    Args:
        run: the clip's run.
        clip: its number.
        device: to render on.
        place: where to make it.
        exact: whether it is well only if every byte is the same.
        whole: whether the clip has all its files; one of an export does not.
    """
    try:
        found = compared_when_made_again(run, clip, device, place, whole=whole)
    except RemakeError as problem:
        show(f"clip {clip}: {problem}")
        return False
    too_far = exact and found.verdict is Verdict.WITHIN
    for line in found.lines:
        show(f"clip {clip}, made again: {line}{'; --exact expects every byte the same' if too_far else ''}")
    return found.verdict is not Verdict.DIFFERENT and not too_far


def again_from_export(export: Path, clip: int, device: str, place: RunFolder, *, exact: bool) -> bool:
    """Make a clip of an export again in another folder, show how the two compare, and return whether that is well."""
    with Scratch() as scratch:
        run = RunFolder(scratch.path)
        try:
            exported.restore(export, clip, run)
        except exported.ExportedError as problem:
            show(f"clip {clip}: {problem}")
            return False
        return again(run, clip, device, place, exact=exact, whole=False)
