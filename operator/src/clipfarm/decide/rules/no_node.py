"""There is no place at all: no node fits the run, or none of those that do is large enough."""

from clipfarm.decide.rules.rule import NoPlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.pod_options import requested


def _message(situation: Situation) -> str:
    found, render = len(situation.world.nodes), situation.run.spec.render
    if not found:
        return "no node fits the run's node selector and tolerations"
    threads, wanted = render.threads, requested(render.pod)
    pod = f"{threads} CPU{'s' if threads > 1 else ''}" + (f" and {wanted[0]}: {wanted[1]}" if wanted else "")
    nodes = "1 node fits" if found == 1 else f"{found} nodes fit"
    return f"{nodes} the run's node selector and tolerations, and none has {pod} for a pod"


RULE = NoPlaceRule(word="NoNode", passes=False, more_nodes_help=True, message=_message)
