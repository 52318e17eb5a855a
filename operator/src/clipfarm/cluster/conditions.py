"""From a decided status to what the API server keeps: counters of clips, and conditions that say what to do."""

from typing import Any, Literal

from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import JobView, api_time
from clipfarm.decide.plan import Plan
from clipfarm.decide.status import Status
from clipfarm.manifests.common import claim_name
from clipfarm.run_status import Condition, FailedClips, GpuMemory, RunStatus
from clipfarm.units import compress, format_duration

MOST_FAILURES = 20
"""Reasons that a status lists; an object has to stay small."""
MOST_TEXT = 1000


def run_status(tracked: Tracked, plan: Plan, job: JobView | None, wall: float) -> dict[str, Any]:
    """Return the status to be written."""
    status, blocks = plan.status, tracked.blocks
    completed = job.completed if job else frozenset()
    failed = [failure for failure in status.failures if failure.stage == "render"]
    finished = status.finished
    made = RunStatus(
        phase="Pending" if job is None else status.phase,
        observed_generation=tracked.generation,
        total=blocks.clips,
        rendered=sum(blocks.size(index) for index in completed) if blocks.per_index > 1 else len(completed),
        encoded=status.encoded,
        failed=sum(blocks.size(failure.clip) for failure in failed) + len(status.failures) - len(failed),
        running=status.running,
        held=sum(len(held.clips) for held in status.held),
        retried=status.retrying,
        eta=format_duration(status.eta_seconds) if status.eta_seconds and not finished else "",
        completion_time=(tracked.status.get("completionTime") or api_time(wall)) if finished else None,
        gpus=tuple(_gpu_memory(plan, gate.gpu) for gate in status.gates),
        failures=_failures(tracked, status),
        conditions=tuple(_conditions(tracked, status, job, wall)),
    )
    return made.model_dump(mode="json", by_alias=True, exclude_none=True)


def _failures(tracked: Tracked, status: Status) -> tuple[FailedClips, ...]:
    """Return failed clips by reason, those with the most clips first."""
    blocks = tracked.blocks
    by_reason: dict[tuple[Literal["render", "encode"], str], list[int]] = {}
    for failure in status.failures:
        clips = by_reason.setdefault((failure.stage, failure.reason[:MOST_TEXT]), [])
        if failure.stage == "render":
            first = blocks.first(failure.clip)
            clips.extend(range(first, first + blocks.size(failure.clip)))
        else:
            clips.append(failure.clip)
    most = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))[:MOST_FAILURES]
    return tuple(
        FailedClips(clips=compress(clips)[:MOST_TEXT], stage=stage, reason=reason) for (stage, reason), clips in most
    )


def _gpu_memory(plan: Plan, gpu: Any) -> GpuMemory:
    gate = plan.gates[gpu]
    reading = gate.reading
    return GpuMemory(
        node=gpu.node,
        gpu=str(gpu.index),
        used=f"{reading.used_fraction:.0%}" if reading else "unknown",
        age=gate.problem,
        gate="Unknown" if reading is None else "Closed" if gate.closed else "Open",
    )


def _conditions(tracked: Tracked, status: Status, job: JobView | None, wall: float) -> list[Condition]:
    held = [entry.hold for entry in status.held]
    vram = next((hold for hold in held if hold.reason.startswith("VRAM")), None)
    vram_clips = sum(len(entry.clips) for entry in status.held if entry.hold == vram)
    encode = tracked.run.spec.encode.enabled
    found = [
        _ready(tracked, status, job),
        ("Progressing", *_progressing(status, held[0].message if held else "")),
        ("VRAMHeld", "True", vram.reason, f"{vram_clips} clips held: {vram.message}")
        if vram
        else ("VRAMHeld", "False", "Open", "GPU memory holds no clip back"),
        ("StorageReady", *_storage(tracked, job)),
        ("EncoderReady", *_encoder(status, encode)),
    ]
    before = {entry["type"]: entry for entry in tracked.status.get("conditions", ())}
    return [
        Condition(
            type=kind,  # type: ignore[arg-type]
            status=is_,  # type: ignore[arg-type]
            reason=reason,
            message=message[:MOST_TEXT],
            last_transition_time=(
                before[kind]["lastTransitionTime"]
                if kind in before and before[kind]["status"] == is_
                else api_time(wall)
            ),
            observed_generation=tracked.generation,
        )
        for kind, is_, reason, message in found
    ]


def _ready(tracked: Tracked, status: Status, job: JobView | None) -> tuple[str, str, str, str]:
    if tracked.problem:
        return ("Ready", "False", "Error", tracked.problem)
    if status.stuck:
        return ("Ready", "False", "Stuck", status.stuck)
    if status.phase == "Succeeded":
        return ("Ready", "True", "Succeeded", "every clip is done")
    if status.finished:
        return ("Ready", "False", status.phase, "some clips failed for good; status.failures says which and why")
    if job is not None and job.suspended:
        return (
            "Ready",
            "False",
            "JobSuspended",
            f"the Job {tracked.run.name}-render is suspended, by a queue or by hand",
        )
    return ("Ready", "False", status.phase, "not all clips are done yet")


def _progressing(status: Status, hold: str) -> tuple[str, str, str]:
    if status.finished:
        return ("False", status.phase, "nothing is left to do")
    if status.running or status.phase == "Encoding":
        return ("True", status.phase, f"{status.running} pods at work")
    return ("False", "Waiting", hold or "waits for the first pods")


def _storage(tracked: Tracked, job: JobView | None) -> tuple[str, str, str]:
    if tracked.run.spec.storage is None:
        return ("False", "Missing", "spec.storage: missing, expected {claimName: NAME} or {size: SIZE}")
    return ("True", "Claimed", f"clips go to the volume claim {claim_name(tracked.run)}")


def _encoder(status: Status, enabled: bool) -> tuple[str, str, str]:
    if not enabled:
        return ("False", "Disabled", "spec.encode.enabled is false")
    return ("True", "Encoding", f"{status.encoded} clips are encoded")
