"""From a decided status to what the API server keeps: counters of clips, not of blocks, and reasons, not too many."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.conditions import conditions
from clipfarm.cluster.reporting.exporting import export_status
from clipfarm.decide.admission import Held
from clipfarm.decide.plan import Plan
from clipfarm.decide.status import Failure, Status
from clipfarm.decide.vram.ledger import Claim
from clipfarm.manifests.blocks import Blocks
from clipfarm.run_status import (
    Condition,
    FailedClips,
    GpuClaim,
    GpuMemory,
    HeldClips,
    PassedOver,
    PodCounts,
    RunStatus,
    SetCount,
    SlowNodes,
    VideoCounts,
)
from clipfarm.units import format_bytes, format_duration
from clipfarm.vram.users import holders_text
from clipfarm.world import Ended, WatermarkState, World
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import compress
from clipfarm_contract.result import MIB

NOT_TRIED = "not tried: its pod ended early, after clips before it had failed"
MOST_REASONS = 20
"""Reasons that a status lists; an object has to stay small."""
MOST_TEXT = 1000
MOST_HELD = 10
"""Reasons to hold clips that a status lists; their messages may have 1,000 characters each."""
MOST_NODES = 20
"""Nodes that a status lists of those where the same is slow."""
MOST_RANGES = 300
"""Characters of such a reason's clips."""
MOST_CLAIMS = 5
"""Runs with claims that a status lists for each GPU."""
COSMETIC_SECONDS = 10.0
"""Between two writes of a status that differ in nothing but the time left, ages, and words."""
WRITE_SECONDS = 1.0
"""Between any two writes of a run's status."""
HEARTBEAT_SECONDS = 120.0
"""The status of an unfinished run is written at least this often, so that an old one is known to be old."""

Failures = dict[tuple[Literal["render", "encode"], str], list[int]]


def run_status(tracked: Tracked, world: World, plan: Plan, wall: float) -> dict[str, Any]:
    """Return the status to be written."""
    status = plan.status
    failures, failed = _failures(tracked.memory.blocks, status)
    finished, on_cpu = status.finished, tracked.run.spec.render.device == "cpu"
    rendered = world.encodable
    phase = _phase(tracked, status)
    export = export_status(tracked, wall, finished=status.finished)
    found = tuple(conditions(tracked, status, export, world.now, wall))
    held, held_clips = _held(tracked.memory.blocks, world, status)
    made = RunStatus(
        phase=phase,
        reason=_reason(phase, found),
        observed_generation=tracked.generation,
        observed_at=api_time(wall),
        total=_total(tracked),
        rendered=None if tracked.run.spec.source else rendered,
        encoded=status.encoded,
        videos=_videos(tracked),
        features=tuple(SetCount(name=name, encoded=count) for name, count in tracked.encoding.sets.items()),
        failed=failed,
        workers=None if tracked.run.spec.source else status.fixed_workers,
        running=status.running,
        pods=PodCounts(**{state.lower(): count for state, count in tracked.memory.pods.items()}),
        held=held,
        held_clips=held_clips,
        retried=sum(_retried(tracked.memory.blocks, end) for end in world.ended if not end.final),
        eta=format_duration(status.eta_seconds) if status.eta_seconds and not finished else "",
        completion_time=(tracked.status.get("completionTime") or api_time(wall)) if finished else None,
        # A run that is finished, or that uses no GPU, has nothing to report about them.
        gpus=()
        if finished or on_cpu
        else tuple(_gpu_memory(state, plan.claims.get(state.gpu, ()), world.now, wall) for state in status.watermarks),
        render_attempt=tracked.owner.attempt or None,
        encode_attempt=tracked.owner.encode_attempt or None,
        identical_nodes=dict(tracked.memory.node_kind.labels) or None,
        export=export,
        slow=_slow(tracked.answers.slow),
        failures=failures,
        conditions=found,
    )
    return made.model_dump(mode="json", by_alias=True, exclude_none=True)


def _total(tracked: Tracked) -> int | None:
    """Return how many clips the run has; None while its videos are not listed."""
    if tracked.run.spec.source is None:
        return len(tracked.run.spec.to_render)
    listing = tracked.encoding.listing
    return listing.clips if listing else None


def _videos(tracked: Tracked) -> VideoCounts | None:
    listing = tracked.encoding.listing
    if tracked.run.spec.source is None or listing is None:
        return None
    reasons = (PassedOver(video=each.video, reason=each.reason) for each in listing.reasons[:MOST_REASONS])
    return VideoCounts(found=listing.found, passed_over=listing.passed_over, reasons=tuple(reasons))


def may_write(tracked: Tracked, now: float) -> bool:
    """Return whether the last write of a run's status is long enough ago for another one."""
    return now >= tracked.work.status_written_at + WRITE_SECONDS


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
    kept = {
        key: value for key, value in status.items() if key not in ("eta", "gpus", "conditions", "held", "observedAt")
    }
    listed = status.get("held", ())
    held = [(entry["reason"], entry["clips"]) for entry in listed] if not isinstance(listed, int) else listed
    gates = [(gpu["node"], gpu["gpu"], gpu.get("uuid"), gpu["gate"]) for gpu in status.get("gpus", ())]
    states = [(entry["type"], entry["status"], entry["reason"]) for entry in status.get("conditions", ())]
    return kept, held, gates, states


def _phase(tracked: Tracked, status: Status) -> Any:
    if status.finished:
        return status.phase
    job, source = tracked.memory.job, tracked.run.spec.source
    if (tracked.memory.deployment if source else job) is None:
        return "Pending"
    if job is not None and job.suspended and not status.running:
        return "Suspended"
    refused = tracked.memory.encoder_refusal if status.phase == "Encoding" else tracked.answers.trial.refusal
    return "Waiting" if refused and not (status.running or status.encoding) else status.phase


def _reason(phase: str, found: Iterable[Condition]) -> str:
    """Return the most important reason: what a person has to act on, else what is going on or holds."""
    reasons = {condition.type: condition.reason for condition in found}
    reason = reasons["Ready"] if reasons["Ready"] not in ("Unfinished", "JobSuspended") else reasons["Progressing"]
    return "" if reason == phase else reason


def _held(blocks: Blocks, world: World, status: Status) -> tuple[tuple[HeldClips, ...], int]:
    """Return held clips by reason, those with the most clips first, and how many there are in all."""
    found = []
    for entry, clips in clips_held(blocks, world, status):
        ranges, message = _cut(compress(clips), MOST_RANGES), entry.hold.message[:MOST_TEXT]
        found.append(HeldClips(reason=entry.hold.reason, clips=ranges, count=len(clips), message=message))
    largest = sorted(found, key=lambda entry: -entry.count)[:MOST_HELD]
    return tuple(largest), sum(entry.count for entry in found)


def clips_held(blocks: Blocks, world: World, status: Status) -> Iterator[tuple[Held, list[int]]]:
    """Yield what holds clips, with these clips: of a block that broke off, those that are still to be made."""
    broke_off = {end.index: end for end in world.broke_off}
    for entry in status.held:
        yield entry, [clip for index in entry.indexes for clip in _left(blocks.of_index(index), broke_off.get(index))]


def _left(block: list[int], end: Ended | None) -> list[int]:
    """Return the clips of a block that are still to be made: all, or those after the one at which it broke off."""
    if end is None:
        return block
    named = dict(end.named)
    return [clip for clip in block if clip not in named][end.done :]


def _failures(blocks: Blocks, status: Status) -> tuple[tuple[FailedClips, ...], int]:
    """Return failed clips by reason, those with the most clips first, and how many there are in all."""
    groups: Failures = {}
    count = 0
    for failure in status.failures:
        if failure.stage == "encode":
            groups.setdefault(("encode", failure.reason[:MOST_TEXT]), []).append(failure.clip)
            count += 1
            continue
        block = blocks.of_index(failure.clip)
        count += len(failure.named) if failure.unfinished else len(block) - failure.done
        for clip, reason in _reasons(block, failure):
            groups.setdefault(("render", (reason or failure.reason)[:MOST_TEXT]), []).append(clip)
    most = sorted(groups.items(), key=lambda entry: -len(entry[1]))[:MOST_REASONS]
    listed = tuple(
        FailedClips(clips=_cut(compress(clips)), stage=stage, reason=reason) for (stage, reason), clips in most
    )
    return listed, count


def _reasons(block: list[int], failure: Failure) -> Iterator[tuple[int, str]]:
    """Yield clips of a block that are not complete, with reasons; all of it if its pod did not report which."""
    if len(block) == 1 or not failure.named:
        yield from ((clip, failure.reason) for clip in block)
        return
    yield from failure.named
    if failure.unfinished:
        return
    # They are made in their order: of those that are not named, the first ones are complete.
    named = dict(failure.named)
    yield from ((clip, NOT_TRIED) for clip in [clip for clip in block if clip not in named][failure.done :])


def _retried(blocks: Blocks, end: Ended) -> int:
    """Return how many clips of an index are tried again: the one at which it broke off, or all that may be."""
    return 1 if end.exit_code is ExitCode.BROKE_OFF else blocks.size(end.index)


def _slow(lines_of: Mapping[str, tuple[str, ...]]) -> tuple[SlowNodes, ...]:
    nodes: dict[str, list[str]] = {}
    for node, lines in sorted(lines_of.items()):
        for line in lines:
            nodes.setdefault(line, []).append(node)
    found = sorted(nodes.items())[:MOST_HELD]
    return tuple(SlowNodes(nodes=tuple(on[:MOST_NODES]), message=line) for line, on in found)


def _cut(ranges: str, most: int = MOST_TEXT) -> str:
    if len(ranges) <= most:
        return ranges
    return ranges[:most].rpartition(",")[0] + ",..."


def _gpu_memory(state: WatermarkState, claims: tuple[Claim, ...], now: float, wall: float) -> GpuMemory:
    reading, gpu = state.reading, state.gpu
    return GpuMemory(
        node=gpu.node,
        gpu=str(gpu.index),
        uuid=f"{gpu.uuid}/{gpu.instance}" if gpu.instance else gpu.uuid,
        used=f"{reading.used_fraction:.0%}" if reading else "unknown",
        total=format_bytes(reading.total_mib * MIB) if reading else None,
        reading=f"{format_duration(now - reading.at)} old" if reading else state.problem,
        measured_at=api_time(wall - (now - reading.at)) if reading else None,
        held_by=holders_text(reading.holders) or None if reading else None,
        claims=tuple(
            GpuClaim(
                run=claim.run,
                clips=claim.clips,
                memory="unknown" if claim.mib is None else format_bytes(claim.mib * MIB),
                since=None if claim.since is None else api_time(wall - (now - claim.since)),
            )
            for claim in claims[:MOST_CLAIMS]
        ),
        gate="Closed" if state.closed else "Open",
    )
