"""Conditions by which tools that know nothing of clips see success, failure and progress.

``Complete`` and ``Failed`` are a Job's, for ``kubectl wait``. ``Reconciling`` and ``Stalled`` are those of kstatus, by
which Flux and others wait. Each is listed only while it is true, as both conventions have it.
"""

from collections.abc import Iterator
from typing import Literal

from clipfarm.decide.rules.table import Reason
from clipfarm.decide.status import Status

Truth = Literal["True", "False", "Unknown"]
Finding = tuple[Truth, str, str]
"""Status, reason, message."""
StandardKind = Literal["Complete", "Failed", "Stalled", "Reconciling"]

PROGRESS_SECONDS = 600.0
"""How long a run may stand still before it counts as stalled: a Deployment's progressDeadlineSeconds by default."""
FOR_GOOD = frozenset(("Stuck",))
"""Reasons of Ready that no time cures."""
PATIENT = frozenset(("JobSuspended", *(reason for reason in Reason if reason.rule.passes)))
"""Reasons to stand still that end by themselves: another workload ends, a queue admits the Job, time passes."""
PAUSED = frozenset(("JobSuspended", Reason.SUSPENDED))


def stands_still(progressing: Finding) -> bool:
    """Return whether nothing is made, for a reason that may last until a person acts."""
    return progressing[0] == "False" and progressing[1] not in PATIENT


def standard(
    status: Status, ready: Finding, progressing: Finding, *, too_long: bool
) -> Iterator[tuple[StandardKind, Finding]]:
    """Yield those of the four conditions that hold.

    Args:
        status: the run's status as it was decided.
        ready: the finding for Ready.
        progressing: the finding for Progressing.
        too_long: whether the run has stood still for longer than :data:`PROGRESS_SECONDS`.
    """
    if status.phase == "Succeeded":
        yield "Complete", ready
    elif status.finished:
        yield "Failed", ("True", status.phase, ready[2])
        yield "Stalled", ("True", status.phase, ready[2])
    elif ready[1] in FOR_GOOD:
        yield "Stalled", ("True", ready[1], ready[2])
    elif too_long and stands_still(progressing):
        yield "Stalled", ("True", progressing[1], progressing[2])
    elif progressing[1] not in PAUSED:
        yield "Reconciling", ("True", progressing[1], progressing[2])
