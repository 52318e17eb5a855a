"""All clips are made on one kind of nodes (``render.requireIdenticalNodes``), and it is not settled which."""

from clipfarm.decide.rules.rule import ClipRule
from clipfarm.decide.rules.subjects import Candidate, Situation


def _holds(_candidate: Candidate, situation: Situation) -> str | None:
    return situation.world.node_kind.unsettled or None


RULE = ClipRule(
    word="NodeKind",
    means="`render.requireIdenticalNodes` is set, and it is not settled on which kind of nodes clips are made. No node"
    " that fits has labels that name its processor (and its GPU), none is known to have a GPU, or the first pod has no"
    " node yet.",
    remedy="If the message names a node without labels: install Node Feature Discovery (and NVIDIA's GPU feature"
    " discovery), or label the nodes. Or make a new run without it, and select nodes of one kind by"
    " `render.pod.nodeSelector`. Else nothing.",
    passes=False,
    holds=_holds,
)
