"""States of pods on this process's own clock.

Times in objects are other machines', whose clocks may be off. So a change that this process sees happens now. Objects
are asked for a time only about what happened before the process was there, and then only for an age.
"""

from collections.abc import Mapping
from dataclasses import replace

from clipfarm.cluster.api.pod_states import Reported, Silence, on_node
from clipfarm.cluster.observing.memory import Rendering
from clipfarm.cluster.observing.seen import Seen
from clipfarm.world import Standing


class Standings:
    """What one look at a run takes pods' states from."""

    def __init__(
        self, seen: Seen, rendering: Rendering, words: Mapping[str, tuple[str, str]], lost_after: float
    ) -> None:
        """Take note of nodes that do not answer, since when each.

        Args:
            seen: what there is to look at.
            rendering: what is remembered of the run's Job.
            words: what Events say of pods that start, by UID.
            lost_after: seconds after which a node that does not answer is given up.
        """
        self._now, self._wall = seen.now, seen.wall
        self._words = words
        self._lost_after = lost_after
        self._first_look = rendering.completed is None
        self._nodes = {node.name: node.silent_since for node in seen.store.nodes.all()}
        self._report = {node.name for node in seen.store.nodes.all() if node.reports}
        self.silent = {
            name: since for name, since in rendering.silent.items() if self._nodes.get(name, self._wall) is not None
        }
        """Nodes of the run's pods that do not answer, and since when, on this process's own clock."""

    def own(self, at: float | None) -> float:
        """Return a time that an object has, on this process's own clock; None is now."""
        age = max(0.0, self._wall - at) if self._first_look and at is not None else 0.0
        return self._now - age

    def may_change(self, uid: str, node: str, before: Standing) -> bool:
        """Return whether a pod whose object is as it was may stand elsewhere now: by its node, or by its Events."""
        if before.reason in ("NodeSilent", "NodeLost"):
            return True
        word = self._words.get(uid) if self._words else None
        if word is not None and word != (before.reason, before.message):
            return True
        return bool(node) and self._nodes.get(node, self._wall) is not None

    def of(self, uid: str, found: Reported, node: str, before: Standing | None) -> Standing:
        """Return where a pod is, given where it was at the last look."""
        if uid in self._words and found.state in ("Bound", "Starting") and not found.reason:
            found = replace(found, reason=self._words[uid][0], message=self._words[uid][1])
        if node:
            found = on_node(found, node, self._silence(node), self._lost_after, self._ending(found, before))
        since = before.since if before is not None and before.state == found.state else self.own(found.at)
        return Standing(found.state, since, found.reason, found.message)

    def _ending(self, found: Reported, before: Standing | None) -> float:
        """Return for how long a pod has been being deleted, seconds; one that was given up stays so."""
        if before is not None and before.state == "Lost":
            return float("inf")
        known = before.since if before is not None and before.state == "Ending" else None
        return self._now - (self.own(found.at) if known is None else known)

    def _silence(self, node: str) -> Silence | None:
        """Return for how long a node has not answered; None: it answers. One that is gone does not."""
        if node in self._nodes and self._nodes[node] is None:
            return None
        since = self.silent.setdefault(node, self.own(self._nodes.get(node)))
        return Silence(self._now - since, reports=node in self._report)
