"""Kubernetes Events: a handful for what changed in a run, from its status before and after."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clipfarm.cluster.api.client import Manifest
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing import node_kind
from clipfarm.cluster.observing.series import Series
from clipfarm.decide.starting import OTHER, WORDS, PodReason
from clipfarm.run import API_VERSION, KIND
from clipfarm.units import format_count

MOST_TEXT = 1000
"""Characters of a message; the API server takes 1,024 bytes."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What changed."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


WARNINGS = {
    "Ready": {reason: reason for reason in ("Error", "Stuck", "Invalid", "PodsRefused")},
    "EncoderReady": {"Refused": "EncoderRefused"},
    "Exported": {"Failed": "ExportFailed"},
}
"""Reasons that an Event reports when they come up, by condition, and the event's reason for each."""


def notices(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Notice]:
    """Return what Events report of a change from one status to the next."""
    found = []
    if before.get("phase", "Pending") != after["phase"] and not _waits_again(before, after):
        bad = after["phase"] in ("Failed", "CompletedWithFailures", "Invalid")
        done, count = ("rendered", after["rendered"]) if "rendered" in after else ("encoded", after.get("encoded", 0))
        total, passed_over = after.get("total"), after.get("videos", {}).get("passedOver", 0)
        counts = f"{count} of {total} clips {done}, {after.get('failed', 0)} failed"
        counts = (
            counts if total is not None else _condition(after, "Ready" if bad else "Progressing").get("message", "")
        )
        counts += f"; {format_count(passed_over, 'video')} passed over" if passed_over else ""
        found.append(Notice("Warning" if bad else "Normal", after["phase"], counts))
    was_held, held = _condition(before, "VRAMHeld"), _condition(after, "VRAMHeld")
    if held.get("status") == "True" and was_held.get("status") != "True":
        found.append(Notice("Warning", "VRAMHeld", held["message"]))
    if held.get("reason") == "VRAMTaken" and was_held.get("reason") != "VRAMTaken":
        found.append(Notice("Warning", "VRAMTaken", held["message"]))
    if was_held.get("status") == "True" and held.get("status") != "True":
        found.append(Notice("Normal", "VRAMReleased", "GPU memory holds no clip back any more"))
    known = {entry["reason"] for entry in _pods_held(before)}
    found += [
        Notice(_kind(entry["reason"]), entry["reason"], entry["message"])
        for entry in _pods_held(after)
        if entry["reason"] not in known
    ]
    if not before.get("failed") and after.get("failures"):
        first = after["failures"][0]
        found.append(Notice("Warning", "FirstFailure", f"clips {first['clips']}: {first['reason']}"))
    if after.get("identicalNodes") and not before.get("identicalNodes"):
        labels = node_kind.text(after["identicalNodes"].items())
        found.append(Notice("Normal", "NodeKind", f"all clips are made on nodes with the labels {labels}"))
    told = {entry["message"] for entry in before.get("slow", ())}
    if new := [entry for entry in after.get("slow", ()) if entry["message"] not in told]:
        found.append(Notice("Normal", "Slow", "; ".join(f"{entry['nodes'][0]}: {entry['message']}" for entry in new)))
    for kind, reasons in WARNINGS.items():
        was, now = _condition(before, kind), _condition(after, kind)
        if now.get("reason") in reasons and was.get("reason") != now["reason"]:
            found.append(Notice("Warning", reasons[now["reason"]], now["message"]))
    if _condition(after, "Exported").get("status") == "True" and _condition(before, "Exported").get("status") != "True":
        found.append(Notice("Normal", "Exported", _condition(after, "Exported")["message"]))
    return found


def event(key: RunKey, uid: str, what: Notice, series: Series, wall: float) -> Manifest:
    """Return the Event for it."""
    digest = hashlib.sha256(f"{uid} {what.reason} {series.first}".encode()).hexdigest()[:12]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{key[1]}.{digest}", "namespace": key[0]},
        "involvedObject": {
            "apiVersion": API_VERSION, "kind": KIND, "namespace": key[0], "name": key[1], "uid": uid,
        },
        "type": what.kind,
        "reason": what.reason,
        "message": what.message[:MOST_TEXT],
        "source": {"component": "clipfarm"},
        "firstTimestamp": api_time(series.first),
        "lastTimestamp": api_time(wall),
        "count": series.count,
    }  # fmt: skip


def _waits_again(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a run only comes to wait, or goes on: with GPU memory that may be so each minute."""
    return after["phase"] == "Waiting" or (before.get("phase") == "Waiting" and after["phase"] == "Running")


def _kind(reason: str) -> Literal["Normal", "Warning"]:
    """Return the kind of an event about pods: kernels that are compiled are no fault."""
    return "Normal" if reason == PodReason.COMPILING_KERNELS else "Warning"


def _pods_held(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of ``held`` that are about pods which do not start.

    A lost node is reported when its pods are given up. An event needs a word: a slow start has none, or not yet.
    """
    held, words = status.get("held", ()), {*WORDS, OTHER} - {"NodeLost", "SlowStart"}
    return [] if isinstance(held, int) else [entry for entry in held if entry["reason"] in words]


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((entry for entry in status.get("conditions", ()) if entry["type"] == kind), {})
