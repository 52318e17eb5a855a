"""Clips that are released without a node, so that an autoscaler sees that one is missing."""

from dataclasses import dataclass, replace

from clipfarm.decide.rules.rule import Hold
from clipfarm.run import Run
from clipfarm.world import HOSTNAME_LABEL, Label, Node, World


@dataclass(slots=True)
class ScaleUp:
    """How many more clips may be released without a node, and which nodes they keep away from."""

    left: int
    pending: int
    """Clips that wait for a node already."""
    away_from: tuple[Label, ...]
    """Labels of those nodes, which no other node has."""

    @classmethod
    def of(cls, run: Run, world: World) -> "ScaleUp":
        """Return what the run allows, less the clips that wait already.

        Kubernetes' scheduler does not know GPU memory: it would start such a clip on a node whose GPUs clips share,
        however full they are. So the clip avoids these nodes. If clips may share a GPU of the new node, only one is
        released at a time, because that GPU is not measured yet.
        """
        sharing = [node for node in world.nodes if _shares(run, node)]
        shared = (*(node.label or (HOSTNAME_LABEL, node.name) for node in sharing), *world.unfit)
        allowed = run.spec.render.scale_up.pending if world.grows else 0
        # The first node decides on the kind of all that follow, if they have to be identical.
        undecided = run.spec.render.require_identical_nodes and not world.node_kind.labels
        if shared or _may_share(run) or undecided:
            allowed = min(allowed, 1)
        pending = sum(not pod.node for pod in world.running)
        return cls(max(0, allowed - pending), pending, shared)

    def take(self) -> None:
        """Count one more."""
        self.left -= 1
        self.pending += 1

    def counted(self, hold: Hold) -> Hold:
        """Return a hold that also says how many pods wait for a node, if a node would end it."""
        if not (hold.capacity and self.pending):
            return hold
        pods = "1 pod waits" if self.pending == 1 else f"{self.pending} pods wait"
        return replace(hold, message=f"{hold.message}; {pods} for a node to be added")


def _may_share(run: Run) -> bool:
    """Tell whether several clips may share a GPU of a new node."""
    wanted = run.spec.render.pod.gpu_request
    return run.spec.render.device != "cpu" and (wanted is None or wanted[0].endswith(".shared"))


def _shares(run: Run, node: Node) -> bool:
    return run.spec.render.device != "cpu" and node.sharing != "Whole" and node.capacity != 0
