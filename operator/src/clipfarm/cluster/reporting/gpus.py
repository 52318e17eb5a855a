"""GPU memory in a run's status: the GPUs that matter to a reader, and how many there are in all.

A fleet has hundreds of GPUs, and each of its runs writes its status about once a second. All GPUs in each of them kept
the API server busier than the pods did, and an object of more than 1.5 MiB cannot be stored at all.
"""

from collections.abc import Mapping

from clipfarm.cluster.api.times import api_time
from clipfarm.decide.vram.ledger import Claim
from clipfarm.decide.vram.options import Vram
from clipfarm.status_parts import GpuClaim, GpuCounts, GpuMemory
from clipfarm.units import format_bytes, format_duration
from clipfarm.vram.users import holders_text
from clipfarm.world import GpuId, WatermarkState
from clipfarm_contract.result import MIB

MOST_GPUS = 32
"""GPUs that a status describes in full: four nodes of eight."""
MOST_CLAIMS = 5
"""Runs with claims that a status lists for each GPU."""

Claims = Mapping[GpuId, tuple[Claim, ...]]


def gpu_counts(states: Mapping[GpuId, WatermarkState]) -> GpuCounts:
    """Count a run's GPUs."""
    closed = sum(state.closed for state in states.values())
    unknown = sum(state.reading is None for state in states.values())
    return GpuCounts(total=len(states), closed=closed, unknown=unknown)


def gpu_memory(
    states: Mapping[GpuId, WatermarkState], claims: Claims, now: float, wall: float, *, every: bool = False
) -> tuple[GpuMemory, ...]:
    """Return the GPUs that a status lists, in the order of the nodes.

    Closed ones come first, then unknown ones, then those with the most claims. All closed ones are listed, because an
    operator that starts reads here which GPUs were closed; one that is not here was open.

    Args:
        states: of all GPUs that the run may use.
        claims: on these.
        now: the time, on this process's own clock.
        wall: the time, Unix.
        every: whether all are listed: see :func:`needs_every`.
    """
    ranked = list(states)
    if len(states) > MOST_GPUS:
        ranked.sort(key=lambda gpu: _rank(states[gpu], claims.get(gpu, ())))
    full = set(ranked[:MOST_GPUS])
    return tuple(
        _gpu_memory(state, claims.get(gpu, ()), now, wall, full=gpu in full)
        for gpu, state in states.items()
        if gpu in full or state.closed or every
    )


def needs_every(vram: Vram, fixed_workers: int | None) -> bool:
    """Return whether an operator that starts has to know all of a run's GPUs before it has measured them.

    Clips of a run that does not wait for readings are given their GPUs by it, and the number of GPUs may decide how
    many clips run at a time.
    """
    return not vram.enabled or vram.when_unknown == "Admit" or fixed_workers is None


def _rank(state: WatermarkState, claims: tuple[Claim, ...]) -> tuple[bool, bool, int]:
    return not state.closed, state.reading is not None, -sum(claim.clips for claim in claims)


def _gpu_memory(state: WatermarkState, claims: tuple[Claim, ...], now: float, wall: float, *, full: bool) -> GpuMemory:
    """Return an entry of a status; without claims and programs where it is not to be full."""
    reading, gpu = state.reading, state.gpu
    return GpuMemory(
        node=gpu.node,
        gpu=str(gpu.index),
        uuid=f"{gpu.uuid}/{gpu.instance}" if gpu.instance else gpu.uuid,
        used=f"{reading.used_fraction:.0%}" if reading else "unknown",
        total=format_bytes(reading.total_mib * MIB) if reading else None,
        reading=f"{format_duration(now - reading.at)} old" if reading else state.problem,
        measured_at=api_time(wall - (now - reading.at)) if reading else None,
        held_by=holders_text(reading.holders) or None if reading and full else None,
        claims=tuple(
            GpuClaim(
                run=claim.run,
                clips=claim.clips,
                memory="unknown" if claim.mib is None else format_bytes(claim.mib * MIB),
                since=None if claim.since is None else api_time(wall - (now - claim.since)),
            )
            for claim in claims[: MOST_CLAIMS if full else 0]
        ),
        gate="Closed" if state.closed else "Open",
    )
