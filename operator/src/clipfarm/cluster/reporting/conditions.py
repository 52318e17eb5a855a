"""Conditions: one aspect of a run each, with a reason for programs and a sentence for people that says what to do."""

from collections.abc import Iterator
from typing import Any, Literal

from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.encoder_condition import encoder_ready, encoder_refused
from clipfarm.cluster.reporting.exporting import exported
from clipfarm.cluster.reporting.node_condition import node_lost
from clipfarm.cluster.reporting.standard_conditions import (
    PROGRESS_SECONDS,
    Finding,
    StandardKind,
    standard,
    stands_still,
)
from clipfarm.cluster.reporting.storage_condition import storage_ready
from clipfarm.cluster.reporting.vram_condition import vram_held
from clipfarm.decide.starting import PodReason, sentence, word
from clipfarm.decide.status import Status
from clipfarm.status_parts import Condition, ExportStatus
from clipfarm.world import POD_STATES

MOST_TEXT = 1000

Kind = Literal["Ready", "Progressing", "VRAMHeld", "StorageReady", "EncoderReady", "NodeLost", "Exported"]


def conditions(
    tracked: Tracked, status: Status, export: ExportStatus | None, now: float, wall: float
) -> Iterator[Condition]:
    """Yield a run's conditions; one that has not changed keeps the time of its last change."""
    asked, memory, spec = tracked.asked, tracked.memory, tracked.run.spec
    storage = storage_of(tracked)
    found: dict[Kind | StandardKind, Finding] = {
        "Ready": ready(tracked, status, storage),
        "Progressing": progressing(tracked, status, storage),
    }
    too_long = memory.still_since is not None and now - memory.still_since >= PROGRESS_SECONDS
    found |= standard(status, found["Ready"], found["Progressing"], too_long=too_long)
    if spec.render.device != "cpu":
        found["VRAMHeld"] = vram_held(memory.blocks, status, spec.vram.held_warning_after)
    found |= {"StorageReady": storage, "EncoderReady": encoder_ready(asked, memory, tracked.encoding, status)}
    if lost_on := memory.rendering.lost_on:
        found["NodeLost"] = node_lost(lost_on, spec.retry.lost_after)
    if export is not None:
        found["Exported"] = exported(export)
    for kind, finding in found.items():
        yield condition(tracked.status, asked.generation, kind, finding, wall)


def storage_of(tracked: Tracked) -> Finding:
    """Return the finding for StorageReady."""
    return storage_ready(tracked.run.spec.storage, tracked.asked.names.claim, tracked.answers.claim)


def still_since(tracked: Tracked, status: Status, now: float) -> float | None:
    """Return since when a run stands still for a reason that may last until a person acts; None: it does not.

    After a restart of the operator, the run's status says whether it had for too long.
    """
    if not stands_still(progressing(tracked, status, storage_of(tracked))):
        return None
    if tracked.memory.still_since is not None:
        return tracked.memory.still_since
    stalled = any(entry["type"] == "Stalled" for entry in tracked.status.get("conditions", ()))
    return now - PROGRESS_SECONDS if stalled else now


def condition(
    before: dict[str, Any], generation: int, kind: Kind | StandardKind, finding: Finding, wall: float
) -> Condition:
    """Return one condition, given the status before."""
    truth, reason, message = finding
    old = next((entry for entry in before.get("conditions", ()) if entry["type"] == kind), None)
    same = old is not None and old["status"] == truth
    return Condition(
        type=kind,
        status=truth,
        reason=reason,
        message=message[:MOST_TEXT],
        last_transition_time=old["lastTransitionTime"] if old and same else api_time(wall),
        observed_generation=generation,
    )


def ready(tracked: Tracked, status: Status, storage: Finding) -> Finding:
    """Whether everything that was asked for is there; ``storage`` is the finding for StorageReady."""
    if status.phase == "Succeeded":
        return ("True", "Succeeded", "every clip is done")
    if tracked.error:
        return ("False", "Error", tracked.error)
    if status.stuck:
        return ("False", "Stuck", status.stuck)
    if status.finished:
        retry = f"`clipfarm retry {tracked.run.name}` tries them again"
        if passed_over := _passed_over(tracked):
            also = "some clips failed for good: see status.failures; " if status.failures else ""
            return ("False", status.phase, f"{also}{passed_over}; {retry}")
        return ("False", status.phase, f"some clips failed for good: see status.failures; {retry}")
    named = tracked.run.spec.storage is not None and tracked.run.spec.storage.claim_name
    if (
        tracked.run.spec.storage is None
        or tracked.answers.claim == "Lost"
        or (named and tracked.answers.claim == "Missing")
    ):
        return ("False", "StorageMissing", storage[2])
    if tracked.answers.trial.refusal and not status.running:
        return ("False", "PodsRefused", _refused(tracked))
    if _is_suspended(tracked):
        return ("False", "JobSuspended", _suspended(tracked))
    return ("False", "Unfinished", "not all clips are done yet")


def progressing(tracked: Tracked, status: Status, storage: Finding) -> Finding:
    """Whether anything is being made at the moment; ``storage`` is the finding for StorageReady."""
    if status.finished:
        return ("False", status.phase, "nothing is left to do")
    if _lists(tracked, status):
        folder = tracked.run.spec.source.videos.folder if tracked.run.spec.source else ""
        return (
            "True",
            "Listing",
            f"the encoder lists the videos in {folder}; it is not known yet how many clips they give",
        )
    if status.working:
        pods = "1 pod renders" if status.working == 1 else f"{status.working} pods render"
        return ("True", "Rendering", f"{pods}{_more_wait(tracked, status)}")
    if status.encoding:
        return ("True", "Encoding", f"the encoder is working{_more_wait(tracked, status)}")
    compiling = next((each.hold for each in status.held if each.hold.reason == PodReason.COMPILING_KERNELS), None)
    if compiling:
        return ("True", "CompilingKernels", compiling.message)
    if status.missing and status.troubles and len(status.troubles) >= status.running:
        hold = status.missing
        return ("False", hold.reason, f"{hold.message}: {sentence(status.troubles[0])}")
    if status.troubles:
        first, count = status.troubles[0], len(status.troubles)
        pods = "1 pod does" if count == 1 else f"{count} pods do"
        return ("False", word(first), f"{pods} not start working: {sentence(first)}")
    if status.running:
        return ("True", "Starting", f"pods are starting: {_on_their_way(tracked)}")
    if tracked.error:
        return ("False", "Error", tracked.error)
    if status.phase == "Encoding" and tracked.memory.encoder_refusal:
        return ("False", "EncoderRefused", encoder_refused(tracked.asked, tracked.memory.encoder_refusal))
    if status.encoder_troubles:
        first = status.encoder_troubles[0]
        return ("False", word(first), f"the encoder's pod does not start working: {sentence(first)}")
    if status.phase == "Encoding" and tracked.run.spec.source is None:
        return ("True", "Starting", "every clip is rendered; the encoder is starting")
    if status.phase == "Encoding" and tracked.memory.deployment is not None:
        return ("True", "Starting", "the encoder is starting")
    if tracked.answers.trial.refusal:
        return ("False", "PodsRefused", _refused(tracked))
    if status.held:
        hold = status.held[0].hold
        return ("False", hold.reason, hold.message)
    if _is_suspended(tracked):
        return ("False", "JobSuspended", _suspended(tracked))
    return ("False", "Waiting", _waiting(tracked, storage))


def _waiting(tracked: Tracked, storage: Finding) -> str:
    """Return what a run without pods waits for."""
    if tracked.run.spec.storage is None:
        return storage[2]
    if tracked.run.spec.source is not None:
        return "the operator is about to create the run's encoder"
    if tracked.memory.job is None:
        return "the operator is about to create the run's Job"
    look = f"`kubectl -n {tracked.owner.namespace} describe job {tracked.asked.names.job}`"
    unknown = tracked.answers.trial.unknown
    why = f"; it is unknown whether the API server accepts them: {unknown}" if unknown else ""
    return f"the Job controller has not created pods yet{why}; if that lasts, look at {look}"


def _lists(tracked: Tracked, status: Status) -> bool:
    """Return whether an encoder's program runs that has not reported yet what videos there are."""
    return tracked.run.spec.source is not None and tracked.encoding.listing is None and status.encoding


def _passed_over(tracked: Tracked) -> str:
    """Return how many videos gave no clip; empty if all did."""
    listing = tracked.encoding.listing
    if listing is None or not listing.passed_over:
        return ""
    were = "1 was" if listing.passed_over == 1 else f"{listing.passed_over} were"
    return f"of {listing.found} videos {were} passed over: see status.videos"


def _refused(tracked: Tracked) -> str:
    return f"the API server refuses the run's pods: {tracked.answers.trial.refusal}"


def _more_wait(tracked: Tracked, status: Status) -> str:
    """Return what keeps further pods from working, while some are working."""
    if tracked.answers.trial.refusal:
        return f". More are refused: {tracked.answers.trial.refusal}"
    if status.troubles:
        first, count = status.troubles[0], len(status.troubles)
        return f"; {count} more {'does' if count == 1 else 'do'} not start working: {sentence(first)}"
    return ""


def _on_their_way(tracked: Tracked) -> str:
    """Count the pods that were released and do not work yet, by state."""
    counts = [
        f"{tracked.memory.pods[state]} {state}"
        for state in POD_STATES
        if state != "Gated" and tracked.memory.pods[state]
    ]
    return ", ".join(counts) or "just released"


def _is_suspended(tracked: Tracked) -> bool:
    return tracked.memory.job is not None and tracked.memory.job.suspended


def _suspended(tracked: Tracked) -> str:
    by = f"by the queue {tracked.owner.queue}" if tracked.owner.queue else "by a person or another controller"
    return f"the Job {tracked.asked.names.job} is suspended {by}; clipfarm does not resume it"
