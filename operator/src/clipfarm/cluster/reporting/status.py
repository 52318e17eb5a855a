"""From a decided status to what the API server keeps: counters of clips, not of blocks, and reasons, not too many."""

from collections.abc import Iterable, Mapping
from typing import Any

from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.clips import MOST_HELD, MOST_REASONS, failed_entries, held_entries, retried_clips
from clipfarm.cluster.reporting.conditions import conditions
from clipfarm.cluster.reporting.exporting import export_status
from clipfarm.cluster.reporting.gpus import gpu_counts, gpu_memory, needs_every
from clipfarm.decide.plan import Plan
from clipfarm.decide.status import Status
from clipfarm.manifests import export as export_manifest
from clipfarm.run_status import RunStatus
from clipfarm.status_parts import (
    Condition,
    PassedOver,
    PodCounts,
    SetCount,
    SlowNodes,
    VideoCounts,
)
from clipfarm.units import format_duration
from clipfarm.world import World

MOST_NODES = 20
"""Nodes that a status lists of those where the same is slow."""


def run_status(tracked: Tracked, world: World, plan: Plan, wall: float) -> dict[str, Any]:
    """Return the status to be written."""
    status = plan.status
    phase = _phase(tracked, status)
    held, held_clips = held_entries(tracked.memory.blocks, world, status)
    failures, failed = failed_entries(tracked.memory.blocks, status)
    finished, on_cpu = status.finished, tracked.run.spec.render.device == "cpu"
    # A run that is finished, or that uses no GPU, has nothing to report about them.
    silent = finished or on_cpu
    states = {state.gpu: state for state in status.watermarks}
    every = needs_every(tracked.run.spec.vram, status.fixed_workers)
    rendered = world.encodable
    refusal = tracked.work.refused.get(export_manifest.KIND, "")
    export = export_status(tracked.asked, tracked.memory.exporting, refusal, wall, finished=finished)
    found = tuple(conditions(tracked, status, export, world.now, wall))
    made = RunStatus(
        phase=phase,
        reason=_reason(phase, found),
        observed_generation=tracked.asked.generation,
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
        retried=sum(retried_clips(tracked.memory.blocks, end) for end in world.ended if not end.final),
        eta=format_duration(status.eta_seconds) if status.eta_seconds and not finished else "",
        completion_time=(tracked.status.get("completionTime") or api_time(wall)) if finished else None,
        gpus=() if silent else gpu_memory(states, plan.claims, world.now, wall, every=every),
        gpu_counts=None if silent else gpu_counts(states),
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


def _slow(lines_of: Mapping[str, tuple[str, ...]]) -> tuple[SlowNodes, ...]:
    nodes: dict[str, list[str]] = {}
    for node, lines in sorted(lines_of.items()):
        for line in lines:
            nodes.setdefault(line, []).append(node)
    found = sorted(nodes.items())[:MOST_HELD]
    return tuple(SlowNodes(nodes=tuple(on[:MOST_NODES]), message=line) for line, on in found)
