"""What ``clipfarm verify --rerender`` and ``clipfarm clip`` say of clips that they have made again."""

from dataclasses import dataclass
from pathlib import Path

from clipfarm.cli.output import show
from clipfarm.local import exported
from clipfarm.local.comparing.compare import Verdict
from clipfarm.local.remake import RemakeError
from clipfarm.local.verify import compared_when_made_again
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.scratch import Scratch


@dataclass
class MadeAgain:
    """Clips that are made again, one after the other."""

    device: str
    """To render on."""
    place: RunFolder
    """Where they are made."""
    exact: bool
    """Whether a clip is well only if every byte is the same."""
    _machines: str = ""
    """What made the two makings, as it was said last."""

    def of_run(self, run: RunFolder, clip: int, *, whole: bool = True) -> bool:
        """Make a clip again, show how the two compare, and return whether that is well.

        Args:
            run: the clip's run.
            clip: its number.
            whole: whether the clip has all its files; one of an export does not.
        """
        try:
            found = compared_when_made_again(run, clip, self.device, self.place, whole=whole)
        except RemakeError as problem:
            show(f"clip {clip}: {problem}")
            return False
        if found.machines and found.machines != self._machines:
            self._machines = found.machines
            show(found.machines)
        too_far = self.exact and found.verdict is Verdict.WITHIN
        show(f"clip {clip}, made again: {found.summary}{'; --exact expects every byte the same' if too_far else ''}")
        for line in found.findings:
            show(f"  {line}")
        return found.verdict is not Verdict.DIFFERENT and not too_far

    def of_export(self, export: Path, clip: int) -> bool:
        """Make a clip of an export again, show how the two compare, and return whether that is well."""
        with Scratch() as scratch:
            run = RunFolder(scratch.path)
            try:
                exported.restore(export, clip, run)
            except exported.ExportedError as problem:
                show(f"clip {clip}: {problem}")
                return False
            return self.of_run(run, clip, whole=False)
