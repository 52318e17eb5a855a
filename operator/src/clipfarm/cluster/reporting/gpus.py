"""GPU memory in a run's status: the GPUs that matter to a reader, and how many there are in all.

A fleet has hundreds of GPUs, and each of its runs writes its status about once a second. All GPUs in each of them kept
the API server busier than the pods did, and an object of more than 1.5 MiB cannot be stored at all.
"""

import heapq
import itertools
from collections.abc import Mapping
from functools import lru_cache

from clipfarm.cluster.api.times import api_time
from clipfarm.decide.vram.ledger import Claim
from clipfarm.decide.vram.options import Vram
from clipfarm.status_parts import GpuClaim, GpuCounts, GpuMemory
from clipfarm.units import format_bytes, format_duration
from clipfarm.vram.users import holders_text
from clipfarm.world import GpuId, Reading, WatermarkState
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
    full = states.keys() if len(states) <= MOST_GPUS else set(_first(states, claims))
    return tuple(
        _gpu_memory(gpu, state.reading, state.problem, claims.get(gpu, ()), now, wall, closed=state.closed, full=True)
        if gpu in full
        else _gpu_memory(gpu, state.reading, state.problem, (), now, wall, closed=state.closed, full=False)
        for gpu, state in states.items()
        if gpu in full or state.closed or every
    )


def needs_every(vram: Vram, fixed_workers: int | None) -> bool:
    """Return whether an operator that starts has to know all of a run's GPUs before it has measured them.

    Clips of a run that does not wait for readings are given their GPUs by it, and the number of GPUs may decide how
    many clips run at a time.
    """
    return not vram.enabled or vram.when_unknown == "Admit" or fixed_workers is None


def _first(states: Mapping[GpuId, WatermarkState], claims: Claims) -> list[GpuId]:
    """Return the GPUs that are described in full, of more than so many.

    Most GPUs of a fleet are open, known and without claims, and all of these rank last: they need no comparison.
    """

    def is_plain(gpu: GpuId) -> bool:
        state = states[gpu]
        return not (state.closed or state.reading is None or claims.get(gpu))

    special = [gpu for gpu in states if not is_plain(gpu)]
    ranked = heapq.nsmallest(MOST_GPUS, special, key=lambda gpu: _rank(states[gpu], claims.get(gpu, ())))
    return [*ranked, *itertools.islice(filter(is_plain, states), MOST_GPUS - len(ranked))]


def _rank(state: WatermarkState, claims: tuple[Claim, ...]) -> tuple[bool, bool, int]:
    return not state.closed, state.reading is not None, -sum(claim.clips for claim in claims)


@lru_cache(maxsize=512)
def _gpu_memory(
    gpu: GpuId,
    reading: Reading | None,
    problem: str,
    claims: tuple[Claim, ...],
    now: float,
    wall: float,
    *,
    closed: bool,
    full: bool,
) -> GpuMemory:
    """Return an entry of a status; without claims and programs where it is not to be full.

    All runs whose status is worked out in one tick have much the same entries, so each is made once.
    """
    return GpuMemory(
        node=gpu.node,
        gpu=str(gpu.index),
        uuid=f"{gpu.uuid}/{gpu.instance}" if gpu.instance else gpu.uuid,
        used=f"{reading.used_fraction:.0%}" if reading else "unknown",
        total=format_bytes(reading.total_mib * MIB) if reading else None,
        reading=f"{format_duration(now - reading.at)} old" if reading else problem,
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
        gate="Closed" if closed else "Open",
    )
