"""Clips that are released without a node, so that an autoscaler sees that one is missing."""

from dataclasses import dataclass, replace

from clipfarm.decide.rules.rule import Hold
from clipfarm.pod_options import requested
from clipfarm.run import Run
from clipfarm.world import HOSTNAME_LABEL, Label, Node, World


@dataclass(slots=True)
class ScaleUp:
    """How many more clips may be released without a node, and which nodes they keep away from."""

    left: int
    pending: int
    """Those that wait for a node already."""
    away_from: tuple[Label, ...]
    """By labels that only they have."""

    @classmethod
    def of(cls, run: Run, world: World) -> "ScaleUp":
        """Return what the run allows, less what waits already.

        The scheduler looks at no GPU memory. So such a clip keeps away from nodes whose GPUs clips share: it would
        start there, whatever is in use. And if clips may share a GPU of the new node, one at a time is released: the
        first on a GPU that was not measured yet.
        """
        sharing = [node for node in world.nodes if _shares(run, node)]
        shared = (*(node.label or (HOSTNAME_LABEL, node.name) for node in sharing), *world.unfit)
        allowed = run.spec.render.scale_up.pending if world.grows else 0
        if shared or _may_share(run):
            allowed = min(allowed, 1)
        pending = sum(not pod.node for pod in world.running)
        return cls(max(0, allowed - pending), pending, shared)

    def take(self) -> None:
        """Count one more."""
        self.left -= 1
        self.pending += 1

    def counted(self, hold: Hold) -> Hold:
        """Return a hold with how many wait for a node, if that would end it."""
        if not (hold.capacity and self.pending):
            return hold
        pods = "1 pod waits" if self.pending == 1 else f"{self.pending} pods wait"
        return replace(hold, message=f"{hold.message}; {pods} for a node to be added")


def _may_share(run: Run) -> bool:
    """Tell whether several clips may come to one GPU of a new node."""
    wanted = requested(run.spec.render.pod)
    return run.spec.render.device != "cpu" and (wanted is None or wanted[0].endswith(".shared"))


def _shares(run: Run, node: Node) -> bool:
    return run.spec.render.device != "cpu" and node.sharing != "Whole" and node.room != 0
