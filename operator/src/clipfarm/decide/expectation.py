"""What clips of the run take of GPU memory, and how many of them readings show."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from clipfarm.run import Vram
from clipfarm.world import GpuId, Left, Reading, Running, World

MIB = 2**20
MARGIN = 1.1
"""What a clip is expected to take, of the most that one has taken so far: the next may be a larger one."""
FEW = 50
"""Of more clips than these the next is the largest so far once in fifty times, and hardly larger: no margin."""
PEAK = 1.5
"""A clip's peak, as a guess, by its average use."""
DEVIATIONS = 2.5
"""What clips together may have in use above their average, in standard deviations. By simulation."""
TYPICAL = 1 / 3
"""Time until a clip has allocated, as a part of the longest: a guess, where clips do not report it."""
P = TypeVar("P", Running, Left)
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

    deviation: float = math.inf
    """Standard deviation of what a clip has in use at any moment while it renders; infinite where it is not known."""

    def together(self, clips: int) -> float:
        """Return what so many clips have in use at a time, at the most, MiB.

        Peaks seldom fall together: the more clips, the closer is their sum to their average. The last one may be the
        largest so far.
        """
        every = (clips - 1) * self.mean + self.most
        usual = clips * self.average + DEVIATIONS * self.deviation * math.sqrt(clips)
        return min(every, usual + self.most - self.mean)

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
            max(given, most),
            learned.mean_mib,
            learned.average_mib,
            learned.allocated_after,
            given=given >= most,
            deviation=learned.deviation_mib,
        )
    shares = [gate.per_clip_mib for gate in world.gates.values() if gate.per_clip_mib]
    # Neighbours may have changed on some of the GPUs: the one in the middle is right.
    average = statistics.median(shares) if shares else 0.0
    if not average and not given:
        return None
    peak = given or average * PEAK
    average = min(average, peak)
    deviations = [gate.others.deviation_mib for gate in world.gates.values() if gate.others]
    told = [deviation for deviation in deviations if deviation is not None]
    deviation = statistics.median(told) if told else math.inf
    after = vram.allocation_time * TYPICAL
    return Expected(peak, peak, average, after, given=bool(given), guessed=not given, deviation=deviation)


@dataclass(slots=True)
class Counts:
    """Pods of this run in one place."""

    pods: int = 0
    unseen: int = 0
    """Of these, those that readings may not show with all that they take."""
    gone: int = 0
    """Pods that have ended, and that readings still show."""
    showing: float = 0.0
    """Pods that readings are expected to show, those that have ended since among them, if they are like the others."""
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
    several = {node.name: node.gpus for node in world.nodes if node.sharing == "Chosen" and node.gpus}
    for pod, where in _each(world.running, several):
        count = found.setdefault(where, Counts())
        count.pods += 1
        if not fresh:
            count.unseen += 1
            continue
        age = sure.get(where, -math.inf) - pod.started_at if pod.started_at is not None else -math.inf
        count.unseen += age < vram.allocation_time
        count.proven += age >= vram.allocation_time
        if per_clip is not None and pod.started_at is not None and where in sure:
            begun = pod.started_at + per_clip.allocated_after
            count.showing += _part(begun, math.inf, sure[where], told[where])
    for left, where in _each(world.left, several):
        count = found.setdefault(where, Counts())
        shown = sure.get(where, -math.inf) >= left.started_at + vram.allocation_time
        count.gone += shown and told.get(where, math.inf) < left.ended_at
        # Short clips end before a reading surely shows them; that they were there together is known all the same.
        count.proven += shown and left.ended_at > sure.get(where, -math.inf) - vram.allocation_time
        just_ended = sure.get(where, -math.inf) < left.ended_at
        count.ended += just_ended
        count.ran_out |= left.out_of_vram and just_ended
        if per_clip is not None and where in sure:
            begun = left.started_at + per_clip.allocated_after
            count.showing += _part(begun, left.ended_at, sure[where], told[where])
    return found


def _each(pods: Iterable[P], several: Mapping[str, tuple[GpuId, ...]]) -> Iterator[tuple[P, Where]]:
    """Yield pods with where they are: if they were not told which GPU to use, on each of their node's."""
    for pod in pods:
        yield pod, pod.gpu or pod.node
        if pod.gpu is None:
            for gpu in several.get(pod.node, ()):
                yield pod, gpu


def _part(begun: float, ended: float, first: float, last: float) -> float:
    """Return how likely a moment between the first and the last is after the beginning and before the end."""
    if last > first:
        return max(0.0, min(last, ended) - max(first, begun)) / (last - first)
    return float(begun <= last < ended)
