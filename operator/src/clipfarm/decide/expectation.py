"""What clips of the run take of GPU memory, and how many of them readings show."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.run import Vram
from clipfarm.world import GpuId, Reading, World

MIB = 2**20
MARGIN = 1.1
"""What a clip is expected to take, of the most that one has taken so far: the next may be a larger one."""
FEW = 50
"""Of more clips than these the next is the largest so far once in fifty times, and hardly larger: no margin."""
PEAK = 1.5
"""A clip's peak, as a guess, by its average use."""
Where = GpuId | str
"""A GPU; or a node, of clips that get theirs from the node."""


@dataclass(frozen=True, slots=True)
class Expected:
    """GPU memory that a clip takes, MiB."""

    most: float
    """At its peak, if it is a large one."""
    mean: float
    """At its peak, on average."""
    average: float = 0.0
    """In use while it renders; 0 where that is not known."""
    allocated_after: float = math.inf
    """Seconds from its start, on average."""
    given: bool = False
    """By ``vram.perClip``; else learned."""
    guessed: bool = False
    """From readings of whole GPUs alone: these may have missed the peaks."""

    @property
    def alone(self) -> float:
        """What the first clip on a GPU has to find there, MiB.

        Without the margins, where it is learned: no clip of the run would ever make more room for it, and a clip that
        is never tried teaches nothing.
        """
        return self.most if self.given else self.mean


def expected(vram: Vram, world: World) -> Expected | None:
    """Return what a clip takes: the larger of what the run says and what its clips have reported.

    Where they report nothing, readings of GPUs tell what a clip takes on average, as soon as there was one without
    clips and one with such that all had allocated. None: nothing is known.
    """
    given, learned = (vram.per_clip or 0.0) / MIB, world.clip_memory
    if learned is not None:
        most = learned.peak_mib * (MARGIN if learned.clips < FEW else 1.0)
        return Expected(
            max(given, most), learned.mean_mib, learned.average_mib, learned.allocated_after, given=given >= most
        )
    shares = [gate.per_clip_mib for gate in world.gates.values() if gate.per_clip_mib]
    # Neighbours may have changed on some of the GPUs: the one in the middle is right.
    average = statistics.median(shares) if shares else 0.0
    if given:
        return Expected(given, given, min(average, given), vram.allocation_time, given=True)
    peak = average * PEAK
    return Expected(peak, peak, average, vram.allocation_time, guessed=True) if average else None


@dataclass(slots=True)
class Counts:
    """Pods of this run in one place."""

    pods: int = 0
    unseen: int = 0
    """Of these, those that readings may not show with all that they take."""
    gone: int = 0
    """Pods that have ended, and that readings still show."""
    allocated: int = 0
    """Pods that have allocated by the time of the readings, if they are like the others."""
    ended: int = 0
    """Pods that have ended, and of which readings may show something."""
    proven: int = 0
    """Pods that were there at a time, the latest for which readings show what came of it."""
    ran_out: bool = False
    """A pod ran out of GPU memory, and the readings may be of before that: they are not true any more."""

    @property
    def seen(self) -> int:
        """Pods that readings show."""
        return self.pods - self.unseen


def counts(vram: Vram, world: World, fresh: Mapping[GpuId, Reading], per_clip: Expected | None) -> dict[Where, Counts]:
    """Return the pods of each GPU, and of each node those that get their GPUs from it.

    Args:
        vram: the run's options.
        world: the snapshot.
        fresh: readings that are not too old.
        per_clip: what clips take.
    """
    found: dict[Where, Counts] = {}
    sure: dict[Where, float] = {}
    told: dict[Where, float] = {}
    for node in world.nodes:
        here = [fresh[gpu] for gpu in node.gpus if gpu in fresh]
        groups: list[tuple[Where, list[Reading]]] = [(node.name, here)]
        groups += [(reading.gpu, [reading]) for reading in here]
        for where, readings in groups:
            sure[where] = min((reading.at - reading.lag for reading in readings), default=-math.inf)
            told[where] = min((reading.at for reading in readings), default=math.inf)
    for pod in world.running:
        where = pod.gpu or pod.node
        count = found.setdefault(where, Counts())
        count.pods += 1
        age = sure.get(where, -math.inf) - pod.started_at if pod.started_at is not None else -math.inf
        count.unseen += age < vram.allocation_time
        count.proven += age >= vram.allocation_time
        count.allocated += per_clip is not None and age >= per_clip.allocated_after
    for left in world.left:
        where = left.gpu or left.node
        count = found.setdefault(where, Counts())
        shown = sure.get(where, -math.inf) >= left.started_at + vram.allocation_time
        count.gone += shown and told.get(where, math.inf) < left.ended_at
        # Short clips end before a reading surely shows them; that they were there together is known all the same.
        count.proven += shown and left.ended_at > sure.get(where, -math.inf) - vram.allocation_time
        just_ended = sure.get(where, -math.inf) < left.ended_at
        count.ended += just_ended
        count.ran_out |= left.out_of_vram and just_ended
    return found
