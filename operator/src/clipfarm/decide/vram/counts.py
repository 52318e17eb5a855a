"""How many clips of the run are on each GPU, and how many of them readings show."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.options import Vram
from clipfarm.world import Departed, GpuId, Reading, Running, World

P = TypeVar("P", Running, Departed)
PlaceKey = GpuId | str
"""A GPU; or a node, for clips that get their GPU from the node."""


@dataclass(slots=True)
class Counts:
    """Pods of this run in one place."""

    pods: int = 0
    unseen: int = 0
    """Of these, pods whose memory readings may not show in full: it is claimed."""
    gone: int = 0
    """Pods that have ended and that readings still show."""
    showing: float = 0.0
    """Expected number of pods that readings show, those included that have ended since."""
    ended: int = 0
    """Pods that have ended and whose memory readings may show in part."""
    proven: int = 0
    """Pods that were there together at the latest time whose outcome readings show."""
    ran_out: bool = False
    """A pod ran out of GPU memory, and the readings may be older than that: they do not hold any more."""

    last_attempts: int = 0
    """Pods whose clip would fail for good if it ran out of memory: it did so before, or is tried once only."""
    since: float | None = None
    """When the first of those that claim memory began or, if its renderer has not, was released; None: none does."""

    @property
    def seen(self) -> int:
        """Pods that readings show."""
        return self.pods - self.unseen

    def copy(self) -> "Counts":
        """Return a copy; ``dataclasses.replace`` takes five times as long."""
        return Counts(
            self.pods,
            self.unseen,
            self.gone,
            self.showing,
            self.ended,
            self.proven,
            self.ran_out,
            self.last_attempts,
            self.since,
        )


def counts(
    vram: Vram, world: World, fresh: Mapping[GpuId, Reading], per_clip: Expected | None, *, once: bool = False
) -> dict[PlaceKey, Counts]:
    """Return the pods of each GPU, and for each node the pods that get their GPUs from it.

    Args:
        vram: the run's options.
        world: the snapshot.
        fresh: readings that are not too old.
        per_clip: what clips take.
        once: whether each clip is tried once only.
    """
    found: dict[PlaceKey, Counts] = {}
    times = _Times(world, fresh)
    several = {node.name: node.gpus for node in world.nodes if node.sharing == "Chosen" and node.gpus}
    for pod, key in _each(world.running, several):
        count = found.setdefault(key, Counts())
        count.pods += 1
        count.last_attempts += once or pod.index in world.ran_out_before
        if not fresh:
            _claim(count, pod)
            continue
        not_before, reported = times[key]
        age = not_before - pod.started_at if pod.started_at is not None else -math.inf
        if age < vram.allocation_time:
            _claim(count, pod)
        count.proven += age >= vram.allocation_time
        if per_clip is not None and pod.started_at is not None and times.knows(key):
            begun = pod.started_at + per_clip.allocated_after
            count.showing += _part(begun, math.inf, not_before, reported)
    for gone, key in _each(world.departed, several):
        not_before, reported = times[key]
        if gone.ended_at <= not_before - vram.allocation_time:
            continue  # readings say nothing of it any more, as of most that are remembered
        count = found.setdefault(key, Counts())
        shown = not_before >= gone.started_at + vram.allocation_time
        count.gone += shown and reported < gone.ended_at
        # Short clips end before a reading surely shows them; that they were there together is known nevertheless.
        count.proven += shown and gone.ended_at > not_before - vram.allocation_time
        just_ended = not_before < gone.ended_at
        count.ended += just_ended
        count.ran_out |= gone.out_of_vram and just_ended
        if per_clip is not None and times.knows(key):
            begun = gone.started_at + per_clip.allocated_after
            count.showing += _part(begun, gone.ended_at, not_before, reported)
    return found


class _Times(dict[PlaceKey, tuple[float, float]]):
    """Of each place the time that no value of its readings is older than, and when the first of them was reported.

    They are worked out where there are pods: most GPUs have none of a run.
    """

    def __init__(self, world: World, fresh: Mapping[GpuId, Reading]) -> None:
        super().__init__()
        self._nodes = {node.name: node for node in world.nodes}
        self._fresh = fresh

    def knows(self, key: PlaceKey) -> bool:
        """Return whether a place is a node, or a GPU of a node with a fresh reading."""
        if isinstance(key, str):
            return key in self._nodes
        node = self._nodes.get(key.node)
        return node is not None and key in self._fresh and key in node.gpus

    def __missing__(self, key: PlaceKey) -> tuple[float, float]:
        found = -math.inf, math.inf
        if isinstance(key, GpuId):
            if self.knows(key):
                reading = self._fresh[key]
                found = reading.at - reading.lag, reading.at
        elif key in self._nodes:
            readings = [self._fresh[gpu] for gpu in self._nodes[key].gpus if gpu in self._fresh]
            if readings:
                found = min(each.at - each.lag for each in readings), min(each.at for each in readings)
        self[key] = found
        return found


def _claim(count: Counts, pod: Running) -> None:
    """Count a pod whose memory readings may not show in full."""
    count.unseen += 1
    began = pod.standing.since if pod.started_at is None else pod.started_at
    count.since = began if count.since is None else min(count.since, began)


def _each(pods: Iterable[P], several: Mapping[str, tuple[GpuId, ...]]) -> Iterator[tuple[P, PlaceKey]]:
    """Yield pods with key they are: if they were not reported which GPU to use, on each of their node's."""
    for pod in pods:
        yield pod, pod.gpu or pod.node
        if pod.gpu is None:
            for gpu in several.get(pod.node, ()):
                yield pod, gpu


def _part(begun: float, ended: float, first: float, last: float) -> float:
    """Return the probability that a moment between the first and the last is after the beginning and before the end."""
    if last > first:
        return max(0.0, min(last, ended) - max(first, begun)) / (last - first)
    return float(begun <= last < ended)
