"""The kubelet's words that stand in Events alone: a volume that cannot be mounted, a sandbox that cannot be made.

A pod's own status says no more than ``ContainerCreating`` then. Events of a few such pods are read on demand, never
watched: a cluster has tens of thousands of them.
"""

from collections.abc import Iterable, Mapping

from clipfarm.cluster.api.client import Manifest
from clipfarm.cluster.api.pod_states import MOST_TEXT
from clipfarm.world import Encoder, Running

QUIET_SECONDS = 5.0
"""How long a pod may start without a word before its Events are read; most have begun by then."""
MOST_PODS = 3
"""Pods of a run whose Events are read at a time; what is in the way of one is mostly in the way of all."""

READ = ("Pulling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
"""Words that Events alone have."""
PULLED = "Pulled"
"""Ends ``Pulling``."""

Word = tuple[str, str]
"""Reason and message."""


def asked(pods: Mapping[str, Running | Encoder], now: float) -> list[str]:
    """Return the UIDs of the pods whose Events are to be read: those that have started longest, and silently."""
    silent = [
        (pod.since, uid)
        for uid, pod in pods.items()
        if pod.state in ("Bound", "Starting") and _says_nothing(pod) and now >= pod.since + QUIET_SECONDS
    ]
    return [uid for _, uid in sorted(silent)[:MOST_PODS]]


def newest(events: Iterable[Manifest]) -> Word | None:
    """Return the newest reason that keeps a pod from starting; None: there is none, or it has passed."""
    known = [each for each in events if each.get("reason") in (*READ, PULLED)]
    last = max(known, key=_at, default=None)
    if last is None or last["reason"] == PULLED:
        return None
    return last["reason"], " ".join(last.get("message", "").split())[:MOST_TEXT]


def _says_nothing(pod: Running | Encoder) -> bool:
    """Return whether a pod's own status has no word; one that was read from Events is read again."""
    return pod.standing.reason in ("", *READ)


def _at(event: Manifest) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
