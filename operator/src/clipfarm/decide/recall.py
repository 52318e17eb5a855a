"""Clips that were released, wait for a node, and are taken back behind their gates."""

from collections.abc import Iterator
from dataclasses import dataclass

from clipfarm.decide.rules import Situation
from clipfarm.world import Running, World


@dataclass(frozen=True, slots=True)
class Recall:
    """A clip that no node has yet, and that is to wait at its gate again."""

    clip: int
    why: str


def recalls(world: World, situation: Situation, room: int) -> Iterator[Recall]:
    """Yield clips that wait for a node for nothing, or while they need not.

    An autoscaler would bring a node for them; and where a clip may go to new nodes alone it would not take room on one
    that is there.

    Args:
        world: the snapshot.
        situation: after all clips that start now are let in.
        room: places that are free after that.
    """
    waiting = [pod for pod in world.running if pod.waits]
    waiting.sort(key=lambda pod: -pod.clip)
    surplus = situation.at_work - situation.workers
    for pod in waiting:
        why = _why(pod, situation, surplus, room)
        if not why:
            continue
        surplus -= 1
        room -= pod.elsewhere
        yield Recall(pod.clip, why)


def _why(pod: Running, situation: Situation, surplus: int, room: int) -> str:
    if situation.fatal:
        return situation.fatal
    if situation.run.spec.suspend:
        return "spec.suspend is true"
    if surplus > 0:
        return f"{situation.at_work} clips were released, and workers is {situation.workers}"
    if pod.elsewhere and room > 0:
        return "a node that is there has room for it"
    return ""
