"""One state machine of a pod: from what the API server holds of it, and of its node, to a state and a word.

    Gated -> Released -> Bound -> Starting -> Working -> Ending -> gone
                                                          |-> Lost: its node does not answer

The words are the scheduler's and the kubelet's own. What they say in Events alone is read by
:mod:`clipfarm.cluster.process.pod_events`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from clipfarm.cluster.api.times import read_time
from clipfarm.manifests.common import Manifest
from clipfarm.world import PodState
from clipfarm_contract.environment import CLIP_PREPARING
from clipfarm_contract.objects import GATE, Placement

MOST_TEXT = 500
ENDING_SECONDS = 60.0
"""How long a pod is left to its kubelet after it was deleted: a node that was silent may have come back, and what the
kubelet reports comes later. The pods have 30 s to end at most (``terminationGracePeriodSeconds``)."""
QUIET = ("", "ContainerCreating", "PodInitializing")
"""Reasons that the kubelet gives for every container that it is about to start."""
PREEMPTION = re.compile(r"\.( no new claims to deallocate,)?( preemption: .*| not found)?$")
"""What the scheduler adds about pods of a lower priority that it might have ended, and did not."""
IMAGE_PULL = ("ErrImagePull", "ImagePullBackOff")
"""One state: the kubelet changes between the two with each attempt."""


@dataclass(frozen=True, slots=True)
class Reported:
    """State of one pod, as the API server has it."""

    state: PodState
    at: float | None = None
    """Since when, Unix time by the clock of the component that wrote it; None: not said."""
    reason: str = ""
    """Why it does not get on, in the scheduler's or the kubelet's own word; empty if they name none."""
    message: str = ""
    """The same as a sentence."""


def reported(manifest: Manifest, container: str, *, restarts: bool = False) -> Reported:
    """Return the state of a pod that has not ended, from its object alone.

    Args:
        manifest: the pod.
        container: name of the one that does the work. Others, added by an admission webhook, say nothing about it.
        restarts: whether the kubelet starts that container again when it ends.
    """
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status", {})
    gates = [gate["name"] for gate in spec.get("schedulingGates", ())]
    if GATE in gates:
        return Reported("Gated", read_time(metadata.get("creationTimestamp")))
    named = _named(status.get("containerStatuses", ()), container)
    state: Manifest = named.get("state", {})
    if "deletionTimestamp" in metadata:
        gone = read_time(metadata["deletionTimestamp"])
        asked = None if gone is None else gone - metadata.get("deletionGracePeriodSeconds", 0)
        return Reported("Ending", asked, "Deleted", "it is being deleted")
    if not spec.get("nodeName"):
        return _released(metadata, status, gates)
    if "running" in state:
        since = read_time(state["running"].get("startedAt"))
        if named.get("ready") is False and _says_that_it_prepares(spec, container):
            what = f"compiling kernels for the GPU of {spec['nodeName']}, once"
            return Reported("Working", since, "CompilingKernels", what)
        return Reported("Working", since)
    if "terminated" in state and not restarts:
        return _ended(status, container, state["terminated"])
    if not status.get("startTime"):
        return Reported("Bound", read_time(_condition(status, "PodScheduled").get("lastTransitionTime")))
    reason, message = _word(status, container, state)
    return Reported("Starting", read_time(status["startTime"]), reason, message[:MOST_TEXT])


def _says_that_it_prepares(spec: Manifest, container: str) -> bool:
    """Return whether a container has a probe by which it is not ready while it compiles kernels.

    That is a renderer on a GPU (:mod:`clipfarm.manifests.job`). Any other is not ready for another reason: the kubelet
    reports so for a moment at its start, and for as long as a condition of somebody else's does not hold.
    """
    env = _named(spec.get("containers", ()), container).get("env", ())
    return any(variable.get("name") == CLIP_PREPARING for variable in env)


@dataclass(frozen=True, slots=True)
class Silence:
    """A node that is not ready."""

    seconds: float
    """For how long it has not been."""
    reports: bool = False
    """Whether its kubelet lives, and reports that itself."""


def on_node(found: Reported, node: str, silence: Silence | None, lost_after: float, ending: float) -> Reported:
    """Return a pod's state in view of its node.

    Args:
        found: what its object says.
        node: name of its node.
        silence: None: the node answers, or the pod has none.
        lost_after: seconds of silence after which a pod that is being deleted is given up. Where the kubelet lives, it
            has as long to end the pod.
        ending: seconds since the pod was deleted.
    """
    if silence is None or found.state in ("Gated", "Released"):
        return found
    patience = max(ENDING_SECONDS, lost_after) if silence.reports else ENDING_SECONDS
    deleted = found.state == "Ending" and found.reason == "Deleted"
    if deleted and silence.seconds >= lost_after and ending >= patience:
        return Reported("Lost", None, "NodeLost", f"the node {node} does not answer, and cannot end it")
    return replace(found, reason="NodeSilent", message=f"the node {node} does not answer")


def _released(metadata: Manifest, status: Manifest, gates: list[str]) -> Reported:
    at = Placement.parse(metadata.get("annotations", {})).released_at
    scheduled = _condition(status, "PodScheduled")
    reason, message = scheduled.get("reason", ""), scheduled.get("message", "")
    if gates:
        reason, message = "SchedulingGated", f"scheduling gates of others hold it: {', '.join(gates)}"
    elif reason == "SchedulingGated":
        reason = message = ""  # the scheduler has not looked at it since
    elif reason == "Unschedulable":
        message = PREEMPTION.sub("", message) or "no node fits"
    return Reported("Released", read_time(at), reason, message[:MOST_TEXT])


def _ended(status: Manifest, container: str, end: Manifest) -> Reported:
    """Return a pod whose work is over; the pod lives on for as long as another of its containers runs."""
    others = [
        each["name"]
        for each in status.get("containerStatuses", ())
        if each.get("name") != container and "running" in each.get("state", {})
    ]
    at = read_time(end.get("finishedAt"))
    if not others:
        return Reported("Ending", at)
    alive = f"the container {others[0]}" if len(others) == 1 else f"the containers {', '.join(others)}"
    what = f"its container {container} ended with {end.get('exitCode', 0)}, but {alive} keeps the pod alive"
    return Reported("Ending", at, "SidecarRuns", what[:MOST_TEXT])


def _word(status: Manifest, container: str, state: Manifest) -> tuple[str, str]:
    """Return why a container that the kubelet has taken does not run, in a word and a sentence; empty if unsaid."""
    if "terminated" in state:
        return _crash(state["terminated"])
    waiting = state.get("waiting", {})
    if waiting.get("reason") == "CrashLoopBackOff":
        end = _named(status["containerStatuses"], container).get("lastState", {}).get("terminated", {})
        return _crash(end)
    if waiting.get("reason", "") not in QUIET:
        return _waiting(waiting)
    for each in status.get("initContainerStatuses", ()):
        first, state = f"the init container {each.get('name')}", each.get("state", {})
        if state.get("waiting", {}).get("reason", "") not in QUIET:
            reason, message = _waiting(state["waiting"])
            return reason, f"{first}: {message or reason}"
        if "running" in state and not each.get("started"):
            return "Initializing", f"{first} has not finished"
        if state.get("terminated", {}).get("exitCode", 0):
            return "InitFailed", f"{first} ended with {state['terminated']['exitCode']}"
    for each in status.get("containerStatuses", ()):
        if each.get("name") != container and each.get("state", {}).get("waiting", {}).get("reason", "") not in QUIET:
            reason, message = _waiting(each["state"]["waiting"])
            return reason, f"the container {each.get('name')}: {message or reason}"
    return "", ""


def _crash(end: Manifest) -> tuple[str, str]:
    """Return how a container ended before it is started again; one that ended well found nothing to do."""
    if not end.get("exitCode", 1):
        return "", ""
    lines = end.get("message", "").strip().splitlines()
    printed = lines[-1] if lines else end.get("reason") or "it printed nothing"
    how = f"ended with {end['exitCode']}: {printed}" if "exitCode" in end else "ended, and is started again"
    return "CrashLoopBackOff", how


def _waiting(waiting: Manifest) -> tuple[str, str]:
    reason, message = waiting["reason"], waiting.get("message", "")
    if reason in IMAGE_PULL:
        # "Back-off pulling image "x": ErrImagePull: why" has the sentence of the attempt before.
        return "ImagePullBackOff", message.partition("ErrImagePull: ")[2] or message
    return reason, message


def _named(those: Iterable[Manifest], name: str) -> Manifest:
    return next((each for each in those if each.get("name") == name), {})


def _condition(status: Manifest, kind: str) -> Manifest:
    return next((each for each in status.get("conditions", ()) if each["type"] == kind), {})
