"""There is no place at all: no node fits the run, or none of those that do is large enough."""

from clipfarm.decide.rules.rule import NoPlaceRule
from clipfarm.decide.rules.subjects import Situation


def _message(situation: Situation) -> str:
    found, render = len(situation.world.nodes), situation.run.spec.render
    if not found:
        labels = ", ".join(f"{key}={value}" for key, value in situation.world.node_kind.labels)
        kind = f", and has the labels of its first node ({labels}; render.requireIdenticalNodes)" if labels else ""
        return f"no node fits the run's node selector and tolerations{kind}"
    threads, wanted = render.threads, render.pod.gpu_request
    pod = f"{threads} CPU{'s' if threads > 1 else ''}" + (f" and {wanted[0]}: {wanted[1]}" if wanted else "")
    nodes = "1 node fits" if found == 1 else f"{found} nodes fit"
    return f"{nodes} the run's node selector and tolerations, and none has {pod} for a pod"


RULE = NoPlaceRule(
    word="NoNode",
    means=(
        "No node fits the run's node selector and tolerations, or none that fits is large enough for one "
        "pod. The message says which, and how many pods wait for an autoscaler to add a node."
    ),
    remedy=(
        "With an [autoscaled pool](install.md#autoscaled-pools), nothing in the first minutes. Else compare "
        "`render.pod.nodeSelector` and `tolerations` with `kubectl get nodes --show-labels`, and "
        "`render.threads` and `render.pod.resources` with what nodes have."
    ),
    passes=False,
    more_nodes_help=True,
    message=_message,
)
