"""The page of the operator: all runs that it sees, by the status that the API server has of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipfarm.cluster.process.operator import Operator
from clipfarm.cluster.reporting import summary

EMPTY = {"clipsAFile": 1, "index": [], "frames": [], "strip": [], "columns": [], "failures": []}
"""A table without clips: they lie on the runs' volumes, which the operator does not mount."""


class ClusterPage:
    """What the page shows; a replica that stands by has the same runs, but not their pace."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def runs(self) -> Sequence[Mapping[str, Any]]:
        """Return the runs, unfinished ones first."""
        views = list(self._operator.store.runs.all())  # a copy: this is another thread than the loop's
        found = [run_now(view.document, self._pace(view.run)) for view in views]
        return sorted(found, key=lambda run: (run["finished"], run["namespace"], run["name"]))

    def table(self) -> Mapping[str, Any]:
        """Return no clips."""
        return {"name": "Runs", "run": "", "live": True} | EMPTY

    def truths(self, number: int) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def strip(self, index: int) -> bytes | None:
        """Return nothing."""
        return None

    def file(self, index: int, name: str) -> Path | None:
        """Return nothing."""
        return None

    def _pace(self, key: tuple[str, str]) -> float | None:
        tracked = self._operator.runs.get(key)
        return tracked.clips_per_hour if tracked else None


def run_now(run: Mapping[str, Any], clips_per_hour: float | None) -> dict[str, Any]:
    """Return a run as :func:`clipfarm.live.local_run.run_now` does, from the object of the API server."""
    metadata, status = run["metadata"], run.get("status", {})
    phase = summary.phase(run)
    held = status.get("held", [])
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "phase": phase,
        "finished": phase in summary.FINISHED,
        "message": " ".join(_message(run)),
        "total": status.get("total", 0),
        "rendered": None if "source" in run["spec"] else status.get("rendered", 0),
        "encoded": status.get("encoded", 0) if run["spec"].get("encode", {}).get("enabled", True) else None,
        "failed": status.get("failed", 0),
        "running": status.get("running", 0),
        "workers": status.get("workers"),
        "retrying": status.get("retried", 0),
        "clipsPerHour": clips_per_hour,
        "eta": status.get("eta", ""),
        "held": held if isinstance(held, list) else [],
        "gpus": [_gpu(entry) for entry in status.get("gpus", ())],
        "moreGpus": summary.gpus_not_listed(status),
        "failures": list(status.get("failures", ())),
    }


def _message(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a run from going on; failed clips have a table of their own."""
    for line in summary.notes(run):
        if not line.startswith(("  failed to", "  and ")):
            yield line.strip()


def _gpu(entry: Mapping[str, Any]) -> dict[str, Any]:
    used = entry["used"]
    return {
        "name": f"GPU {entry['gpu']} on {entry['node']}",
        "used": float(used.rstrip("%")) / 100 if used.endswith("%") else None,
        "total": entry.get("total", ""),
        "note": entry["reading"],
        "closed": entry["gate"] == "Closed",
        "heldBy": entry.get("heldBy", ""),
    }
