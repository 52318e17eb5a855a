"""What the operator keeps of the pods that export runs."""

from dataclasses import dataclass
from typing import Literal

from clipfarm.cluster.api.owners import RunKey, controller, run_key
from clipfarm.cluster.api.pod_states import reported
from clipfarm.cluster.api.pod_views import trouble
from clipfarm.cluster.api.times import read_time, unix_time
from clipfarm.manifests.common import Manifest
from clipfarm.manifests.export import CONTAINER
from clipfarm_contract.export_end import ExportEnd, one_line
from clipfarm_contract.fields import ContractError


@dataclass(frozen=True, slots=True)
class ExportPod:
    """A pod of a run's export."""

    run: RunKey
    owner: str
    """UID of its Job."""
    state: Literal["Starting", "Running", "Succeeded", "Failed"]
    at: float
    """When it was made, Unix time."""
    trouble: str = ""
    """What keeps it from starting, if a person has to act on it."""
    end: ExportEnd | None = None
    """What it came to, as it reports it; None: it reports nothing."""
    reason: str = ""
    """Why it failed, in one line."""


def export_pod(manifest: Manifest) -> ExportPod | None:
    """Return a view of a pod that exports a run."""
    key, status = run_key(manifest), manifest.get("status", {})
    if key is None:
        return None
    made = read_time(manifest["metadata"].get("creationTimestamp"))
    at = unix_time(manifest["metadata"]["creationTimestamp"]) if made is None else made
    ended = _ended(status)
    end = _end(ended)
    match status.get("phase"):
        case "Succeeded":
            return ExportPod(key, controller(manifest), "Succeeded", at, end=end)
        case "Failed":
            return ExportPod(key, controller(manifest), "Failed", at, end=end, reason=_reason(ended, end, status))
    found = reported(manifest, CONTAINER)
    if found.state in ("Working", "Ending"):
        return ExportPod(key, controller(manifest), "Running", at)
    return ExportPod(key, controller(manifest), "Starting", at, trouble=trouble(found))


def _ended(status: Manifest) -> Manifest:
    for entry in status.get("containerStatuses", ()):
        if entry.get("name") == CONTAINER and entry.get("state", {}).get("terminated"):
            found: Manifest = entry["state"]["terminated"]
            return found
    return {}


def _end(ended: Manifest) -> ExportEnd | None:
    try:
        return ExportEnd.parse(ended.get("message", ""))
    except ContractError:
        return None


def _reason(ended: Manifest, end: ExportEnd | None, status: Manifest) -> str:
    if ended.get("reason") == "OOMKilled":
        return "the kernel ended the pod: it took more memory than export.memory allows"
    if end is not None and end.error:
        return end.error
    if "exitCode" not in ended:
        return one_line(status.get("message") or status.get("reason") or "the pod failed")
    said = str(ended.get("message", "")).strip().splitlines()
    last = f"; last line: {said[-1]}" if said and end is None else ""
    return one_line(f"exit status {ended['exitCode']}{last}")
