"""A run in a cluster in lines for people, from the status that the operator wrote."""

from collections.abc import Iterator, Mapping
from typing import Any

from clipfarm.cluster.api.times import read_time
from clipfarm.run_status import LOOK_FOR_OPERATOR
from clipfarm.units import format_count, format_duration
from clipfarm_contract.objects import ATTEMPT_ANNOTATION, ENCODE_ATTEMPT_ANNOTATION

OLD_SECONDS = 300.0
"""An unfinished run's status is refreshed every two minutes; one that is older than this was not."""
FAILURES_SHOWN = 10
FINISHED = ("Succeeded", "CompletedWithFailures", "Failed")
ATTEMPTS = {ATTEMPT_ANNOTATION: "renderAttempt", ENCODE_ATTEMPT_ANNOTATION: "encodeAttempt"}
"""Annotations that ask for another attempt, and the fields of a status that name its attempts."""


def is_outdated(run: Mapping[str, Any]) -> bool:
    """Return whether another attempt was asked for, and the status is still of the one before."""
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
    if not _seen(status):
        return "no operator has seen it yet"
    if is_outdated(run):
        return "another attempt was asked for; no operator has seen it yet"
    total = status.get("total", "?")
    parts = [f"rendered {status['rendered']}/{total}"] if "rendered" in status else []
    parts += [f"encoded {status['encoded']}/{total}"] if run["spec"]["encode"].get("enabled", True) else []
    parts += [f"failed {status['failed']}"]
    # Of a run of videos nothing is rendered: a zero would look as if nothing was done.
    parts += [f"running {status['running']}"] if "source" not in run["spec"] else []
    passed_over = status.get("videos", {}).get("passedOver", 0)
    parts += [f"videos passed over {passed_over}"] if passed_over else []
    parts += [f"waiting to retry {status['retried']}"] if status["retried"] else []
    parts += [f"held {held_clips(status)}"] if held_clips(status) else []
    parts += [f"ETA {status['eta']}"] if status.get("eta") else []
    return ", ".join(parts)


def held_clips(status: Mapping[str, Any]) -> int:
    """Return how many clips are held; an operator of version 0.1.0 wrote their number where their list is now."""
    held = status.get("held", 0)
    return int(status["heldClips"] if "heldClips" in status else held if isinstance(held, int) else 0)


def lines(run: Mapping[str, Any], wall: float) -> Iterator[str]:
    """Yield what there is to know of a run; ``wall`` is the time, Unix."""
    status = run.get("status", {})
    yield f"{run['metadata']['name']}: {phase(run)}: {counters(run)}"
    yield from unattended(run, wall)
    yield from notes(run)
    for gpu in status.get("gpus", ()):
        yield f"  GPU {gpu['gpu']} on {gpu['node']}: {gpu['used']} in use ({gpu['reading']}), {gpu['gate'].lower()}"
    if more := gpus_not_listed(status):
        yield f"  and {more}"


def gpus_not_listed(status: Mapping[str, Any]) -> str:
    """Return ``368 GPUs more, none of them closed``: those that a status does not list; empty if it lists all."""
    more = status.get("gpuCounts", {}).get("total", 0) - len(status.get("gpus", ()))
    return f"{format_count(more, 'GPU')} more, none of them closed" if more > 0 else ""


def unattended(run: Mapping[str, Any], wall: float) -> Iterator[str]:
    """Yield a line if no operator has looked at a run for some time, or at its last change."""
    status = run.get("status", {})
    if not _seen(status) or is_outdated(run):
        return
    if run["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        yield "  the run has changed since; no operator has looked at the change yet"
    written = read_time(status.get("observedAt"))
    age = wall - written if written is not None and phase(run) not in (*FINISHED, "Invalid") else 0.0
    if age > OLD_SECONDS:
        yield f"  this is {format_duration(age)} old: no operator has refreshed it since; {LOOK_FOR_OPERATOR}"


def waits(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a run that stands still waits for."""
    status = run.get("status", {})
    for entry in status.get("conditions", ()):
        if entry["type"] == "Progressing" and entry["status"] == "False" and not status.get("completionTime"):
            yield f"  waits ({entry['reason']}): {entry['message']}"


def _seen(status: Mapping[str, Any]) -> bool:
    """Return whether an operator has written a status; before that it is the definition's default."""
    return bool(status) and status.get("observedGeneration") != -1


def notes(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a run from going on, and what failed in it."""
    status = run.get("status", {})
    if is_outdated(run) or not _seen(status):
        return
    conditions = {entry["type"]: entry for entry in status.get("conditions", ())}
    ready, progressing = conditions.get("Ready", {}), conditions.get("Progressing", {})
    waiting = list(waits(run))
    known = ready.get("reason") in ("Unfinished", "CompletedWithFailures")
    if ready.get("status") == "False" and not known and not (waiting and ready["message"] == progressing["message"]):
        yield f"  {ready['message']}"
    yield from waiting
    if progressing.get("reason") == "Listing":
        yield f"  {progressing['message']}"
    for kind in ("VRAMHeld", "StorageReady"):
        entry = conditions.get(kind, {})
        bad = "True" if kind == "VRAMHeld" else "False"
        if entry.get("status") == bad and entry["message"] not in (ready.get("message"), progressing.get("message")):
            yield f"  {entry['message']}"
    if kind := status.get("identicalNodes"):
        yield f"  nodes: {', '.join(f'{key}={value}' for key, value in kind.items())}"
    if export := status.get("export"):
        yield f"  export to {export['destination']}: {export['phase']}: {export['message']}"
    videos = status.get("videos", {}).get("reasons", ())
    yield from (f"  passed over {each['video']}: {each['reason']}" for each in videos[:FAILURES_SHOWN])
    if (more := status.get("videos", {}).get("passedOver", 0) - FAILURES_SHOWN) > 0:
        yield f"  and {more} videos more"
    failures = status.get("failures", ())
    for failure in failures[:FAILURES_SHOWN]:
        yield f"  failed to {failure['stage']}: clips {failure['clips']}: {failure['reason']}"
    if len(failures) > FAILURES_SHOWN:
        yield f"  and {len(failures) - FAILURES_SHOWN} reasons more"
