"""``status.export``, and the condition that other tools wait for."""

from clipfarm.cluster.api.export_pods import ExportPod
from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.exporting import Exporting
from clipfarm.cluster.reporting.standard_conditions import Finding
from clipfarm.manifests import export
from clipfarm.status_parts import ExportPhase, ExportStatus
from clipfarm.units import format_bytes, format_clips, format_count
from clipfarm_contract.export_end import ExportEnd

MOST_TEXT = 1000


def export_status(asked: Asked, found: Exporting, refusal: str, wall: float, *, finished: bool) -> ExportStatus | None:
    """Return what becomes of a run's export; None if it asks for none.

    Args:
        asked: the run.
        found: its export, as the last look saw it.
        refusal: why the API server refused its Job; empty: it did not.
        wall: the time, Unix.
        finished: whether the run has ended.
    """
    wanted = asked.run.spec.export
    if wanted is None:
        return None
    phase, message, end = _state(asked.names.export, found, refusal, finished=finished)
    before = found.before
    if phase == "Succeeded" and end is None and before is not None and found.was_made:
        return before  # its pod, which had the numbers, is gone
    if phase == "Failed" and before is not None and before.phase == "Failed" and not found.pods:
        return before
    since = before.completion_time if before is not None and before.phase == phase else None
    return ExportStatus(
        phase=phase,
        asked=found.asked,
        format=wanted.format,
        destination=export.destination(asked.run, wanted),
        clips=end.clips if end else None,
        left_out=end.left_out if end else None,
        files=end.files if end else None,
        bytes=end.size if end else None,
        message=message[:MOST_TEXT],
        completion_time=(since or api_time(wall)) if phase in ("Succeeded", "Failed") else None,
    )


def exported(made: ExportStatus) -> Finding:
    """Whether the data set of the run is complete."""
    return ("True" if made.phase == "Succeeded" else "False", made.phase, made.message)


def _state(name: str, found: Exporting, refusal: str, *, finished: bool) -> tuple[ExportPhase, str, ExportEnd | None]:
    job = found.job
    if job is None:
        if found.was_made:
            return "Succeeded", "", None
        if not finished:
            return "Waiting", "it begins when the run has ended", None
        if found.taken:
            return "Pending", f"the Job {name} makes another export, and is being deleted", None
        return "Pending", f"cannot create the Job {name}: {refusal}" if refusal else "its Job is being created", None
    failed = [pod for pod in found.pods if pod.state == "Failed"]
    if job.complete:
        end = next((pod.end for pod in reversed(found.pods) if pod.state == "Succeeded" and pod.end), None)
        return "Succeeded", _made(end) if end else "complete", end
    if job.ended:
        why = failed[-1].reason if failed else f"`kubectl describe job {name}` shows why"
        return "Failed", f"{why}; after a fix, `kubectl delete job {name}` tries again", None
    phase, message = _at_work(name, found.pods)
    if failed:
        message = f"attempt {len(failed) + 1} of {export.TRIES + 1}, after: {failed[-1].reason}; {message}"
    return phase, message, None


def _at_work(name: str, pods: tuple[ExportPod, ...]) -> tuple[ExportPhase, str]:
    there = [pod for pod in pods if pod.state != "Failed"]
    if not there:
        return "Pending", f"its pod is being created; if that lasts, `kubectl describe job {name}` shows why"
    if there[-1].state == "Starting":
        return "Pending", there[-1].trouble or "its pod is starting"
    return "Running", f"`kubectl logs job/{name}` shows how far it is"


def _made(end: ExportEnd) -> str:
    made = f"{format_clips(end.clips)} in {format_count(end.files, 'file')}, {format_bytes(end.size)}"
    if not end.left_out:
        return made
    return f"{made}; left out {end.left_out}: {'; '.join(end.reasons) or 'export.json lists them'}"
