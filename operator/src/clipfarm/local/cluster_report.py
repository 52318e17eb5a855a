"""``report.json`` and ``report.md`` of a run in a cluster, from its last status and from what lies on its volume."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clipfarm.local import report
from clipfarm_contract import regular
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended."""

    name: str
    namespace: str
    clips: Indexes
    """That were rendered; none of a run of videos."""
    threads: int
    """CPU threads a clip."""
    workers: int | None
    """Clips at a time, as the run asks for; None if it leaves that to the operator, whose status has it."""
    model: str
    """Of the encoders; empty if nothing was to be encoded."""
    created: datetime | None
    status: Mapping[str, Any]
    """As the operator wrote it at the end."""


def write(folder: RunFolder, run: Ended) -> None:
    """Write the run's report into the folder, where people look for it, and under the run's own name.

    Several runs may have the folder together: ``report.md`` is that of the run that ended last.
    """
    made = _collect(folder, run)
    report.write_files(folder.state / "reports" / run.name, made)
    report.write_files(folder.root / "report", made)


def _collect(folder: RunFolder, run: Ended) -> dict[str, Any]:
    status, seconds = run.status, _seconds(run)
    rendered = status.get("rendered", 0) if run.clips else None
    return {
        "run": run.name,
        "state": "finished",
        "phase": status.get("phase", "unknown"),
        "clips": {
            "total": status.get("total", run.clips.count),
            "rendered": rendered,
            "completeBefore": None,
            "encoded": status.get("encoded", 0),
            "failed": status.get("failed", 0),
        },
        "videos": status.get("videos"),
        "failures": list(status.get("failures", ())),
        "stuck": _stuck(status),
        "workers": run.workers or status.get("workers"),
        "threads": run.threads,
        "wallSeconds": seconds,
        "clipsPerHour": round(rendered / seconds * 3600, 1) if rendered and seconds else None,
        **report.costs(report.results_of(folder, run.clips)),
        "encode": _encoders(folder, run) if run.model else None,
        "versions": _versions(folder, run.clips),
        "machine": None,
        "cluster": {"namespace": run.namespace},
    }


def _seconds(run: Ended) -> float | None:
    """Return how long the run took, from its creation to its end; None if that is not known."""
    ended = run.status.get("completionTime")
    return (datetime.fromisoformat(ended) - run.created).total_seconds() if ended and run.created else None


def _stuck(status: Mapping[str, Any]) -> str:
    conditions = status.get("conditions", ())
    return next((str(each["message"]) for each in conditions if each["reason"] == "Stuck"), "")


def _encoders(folder: RunFolder, run: Ended) -> dict[str, Any] | None:
    """Return a summary of all encoders that the run has had, one after the other or together."""
    found = (report.encode_log(path) for path in sorted((folder.state / "encode" / run.name).glob("*.json")))
    logs = [log for log in found if log and log.model == run.model]
    summary = report.summary_of([log for log in logs if log.clips.encoded] or logs)
    if summary is not None:
        spent = sum(log.seconds.get("total", 0.0) for log in logs)
        made = sum(log.clips.encoded for log in logs)
        # Of one encoder: those that were there may have been so one after the other.
        summary["clips_per_second"] = round(made / spent, 3) if spent else 0.0
    return summary


def _versions(folder: RunFolder, clips: Indexes) -> dict[str, str]:
    """Return the versions of what made the clips, as the first that can be read has them."""
    for clip in clips:
        try:
            found = json.loads(regular.read(folder.clip(clip).ground_truth, "ground_truth.json"))["versions"]
            return {str(name): str(version) for name, version in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not made, or by a renderer of the user's own
    return {}
