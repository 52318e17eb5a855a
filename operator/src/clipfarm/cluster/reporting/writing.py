"""When the status of a run is written: what people wait for within a second, words now and then."""

from collections.abc import Mapping
from typing import Any

from clipfarm.cluster.observing.tracked import Tracked

COSMETIC_SECONDS = 10.0
"""Between two writes of a status that differ in nothing but the time left, ages, and words."""
WRITE_SECONDS = 1.0
"""Between any two writes of a run's status."""
MOST_WRITES = 10.0
"""Writes of all runs' statuses together in a second: each is stored, and comes back by the watches."""
HEARTBEAT_SECONDS = 120.0
"""The status of an unfinished run is written at least this often, so that an old one is known to be old."""


def may_write(tracked: Tracked, now: float, runs: int = 1) -> bool:
    """Return whether the last write of a run's status is long enough ago for another one.

    ``runs`` is how many there are that have not ended.
    """
    return now >= tracked.work.status_written_at + max(WRITE_SECONDS, runs / MOST_WRITES)


def write_due(tracked: Tracked, status: Mapping[str, Any], now: float) -> bool:
    """Return whether a status is to be written now: what people wait for within a second, words now and then."""
    if not may_write(tracked, now):
        return False
    if _essence(status) != _essence(tracked.status):
        return True
    if _without_time(status) != _without_time(tracked.status):
        return now >= tracked.work.status_written_at + COSMETIC_SECONDS
    return "completionTime" not in status and now >= tracked.work.status_written_at + HEARTBEAT_SECONDS


def _without_time(status: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key != "observedAt"}


def _essence(status: Mapping[str, Any]) -> Any:
    words = ("eta", "gpus", "gpuCounts", "conditions", "held", "observedAt")
    kept = {key: value for key, value in status.items() if key not in words}
    listed = status.get("held", ())
    held = [(entry["reason"], entry["clips"]) for entry in listed] if not isinstance(listed, int) else listed
    # Which open ones are listed, and how many are unknown, changes all the time where there are many.
    gpus = status.get("gpus", ())
    closed = [(gpu["node"], gpu["gpu"], gpu.get("uuid")) for gpu in gpus if gpu["gate"] == "Closed"]
    states = [(entry["type"], entry["status"], entry["reason"]) for entry in status.get("conditions", ())]
    return kept, held, closed, states
