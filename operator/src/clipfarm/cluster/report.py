"""A run in a cluster in lines for people, from the status that the operator wrote."""

from collections.abc import Iterator, Mapping
from typing import Any

from clipfarm.manifests.common import ATTEMPT_ANNOTATION, ENCODE_ATTEMPT_ANNOTATION

FAILURES_SHOWN = 10
FINISHED = ("Succeeded", "CompletedWithFailures", "Failed")
ATTEMPTS = {ATTEMPT_ANNOTATION: "renderAttempt", ENCODE_ATTEMPT_ANNOTATION: "encodeAttempt"}
"""What asks for another attempt, and where a status says of which one it tells."""


def is_outdated(run: Mapping[str, Any]) -> bool:
    """Tell whether another attempt was asked for, and the status is still of the one before."""
    asked, status = run["metadata"].get("annotations", {}), run.get("status", {})
    return any(asked.get(annotation, "") != status.get(field, "") for annotation, field in ATTEMPTS.items())


def phase(run: Mapping[str, Any]) -> str:
    """Return where a run stands; an operator that is not there has written nothing."""
    if is_outdated(run):
        return "Pending"
    return str(run.get("status", {}).get("phase", "Pending"))


def counters(run: Mapping[str, Any]) -> str:
    """Return all counters in one line."""
    status = run.get("status", {})
    if not status:
        return "no operator has looked at it yet"
    if is_outdated(run):
        return "another attempt was asked for; no operator has looked at it yet"
    total = status["total"]
    parts = [f"rendered {status['rendered']}/{total}"]
    parts += [f"encoded {status['encoded']}/{total}"] if run["spec"]["encode"].get("enabled", True) else []
    parts += [f"failed {status['failed']}", f"running {status['running']}"]
    parts += [f"waiting to retry {status['retried']}"] if status["retried"] else []
    parts += [f"held {held_clips(status)}"] if held_clips(status) else []
    parts += [f"ETA {status['eta']}"] if status.get("eta") else []
    return ", ".join(parts)


def held_clips(status: Mapping[str, Any]) -> int:
    """Return how many clips are held; an operator of version 0.1.0 wrote their number where their list is now."""
    held = status.get("held", 0)
    return int(status["heldClips"] if "heldClips" in status else held if isinstance(held, int) else 0)


def lines(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what there is to know of a run."""
    status = run.get("status", {})
    yield f"{run['metadata']['name']}: {phase(run)}: {counters(run)}"
    yield from notes(run)
    for gpu in status.get("gpus", ()):
        yield f"  GPU {gpu['gpu']} on {gpu['node']}: {gpu['used']} in use ({gpu['reading']}), {gpu['gate'].lower()}"


def notes(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a run from going on, and what failed in it."""
    if is_outdated(run):
        return
    status = run.get("status", {})
    conditions = {entry["type"]: entry for entry in status.get("conditions", ())}
    ready, progressing = conditions.get("Ready", {}), conditions.get("Progressing", {})
    if ready.get("status") == "False" and ready["reason"] not in ("Unfinished", "CompletedWithFailures"):
        yield f"  {ready['message']}"
    if progressing.get("status") == "False" and not status.get("completionTime"):
        yield f"  waits: {progressing['message']}"
    for kind in ("VRAMHeld", "StorageReady"):
        entry = conditions.get(kind, {})
        bad = "True" if kind == "VRAMHeld" else "False"
        if entry.get("status") == bad and entry["message"] not in (ready.get("message"), progressing.get("message")):
            yield f"  {entry['message']}"
    failures = status.get("failures", ())
    for failure in failures[:FAILURES_SHOWN]:
        yield f"  failed to {failure['stage']}: clips {failure['clips']}: {failure['reason']}"
    if len(failures) > FAILURES_SHOWN:
        yield f"  and {len(failures) - FAILURES_SHOWN} reasons more"
