"""When a run that has ended is deleted: its report and its export may take some time on top of what it asked for."""

from collections.abc import Iterable, Mapping
from typing import Any

from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.manifests import report

REPORT_SECONDS = 600.0
"""How long a run whose time is over waits for its report to be written."""
EXPORT_SECONDS = 86400.0
"""How long it waits for its export: a large one into a store takes hours."""


def expired(asked: Asked, status: Mapping[str, Any], reports: Iterable[JobView], wall: float) -> bool:
    """Return whether a finished run has been there for as long as it asked.

    Its report, whose Job goes with it, may take some time on top of that.
    """
    ttl, ended = asked.run.spec.ttl_after_finished, status.get("completionTime")
    if ttl is None or ended is None or wall < unix_time(ended) + ttl:
        return False
    if status.get("export", {}).get("phase", "Failed") not in ("Succeeded", "Failed"):
        return wall >= unix_time(ended) + ttl + EXPORT_SECONDS
    own = (
        each
        for each in reports
        if (each.owner, each.attempt) == (asked.owner.uid, report.attempt(asked.run, asked.owner))
    )
    return any(each.ended for each in own) or wall >= unix_time(ended) + ttl + REPORT_SECONDS
