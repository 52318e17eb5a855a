"""Clips that were released and wait for a node, and that go back behind their gates."""

from collections.abc import Iterator
from dataclasses import dataclass

from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.rules.table import why_taken_back
from clipfarm.world import Running, World


@dataclass(frozen=True, slots=True)
class Recall:
    """A released clip without a node that is to wait behind its gate again."""

    index: int
    """Its index in the Job."""
    why: str


def recalls(world: World, situation: Situation, room: int) -> Iterator[Recall]:
    """Yield clips that wait for a node in vain, or that need not.

    An autoscaler would add a node for them; and a clip that may only go to new nodes would not take room on an old one.

    Args:
        world: the snapshot.
        situation: after all clips that start now are admitted.
        room: places that are free after that.
    """
    waiting = [pod for pod in world.running if pod.waits]
    waiting.sort(key=lambda pod: -pod.index)
    surplus = situation.at_work - situation.workers
    taken_back = why_taken_back(situation)
    for pod in waiting:
        why = taken_back or _why(pod, situation, surplus, room)
        if not why:
            continue
        surplus -= 1
        room -= pod.elsewhere
        yield Recall(pod.index, why)


def _why(pod: Running, situation: Situation, surplus: int, room: int) -> str:
    if surplus > 0:
        released = "1 clip was" if situation.at_work == 1 else f"{situation.at_work} clips were"
        return f"{released} released, and workers is {situation.workers}"
    if pod.elsewhere and room > 0:
        return "a node that is there has room for it"
    return ""
