"""Whose turn it is: the run with the smallest share of what there is goes first.

A turn is one clip. Shares come in steps of a clip, so a balance of up to half a clip keeps count of who had more than
its share for a while.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clipfarm.decide.plan import Draft
from clipfarm.decide.shares import Whole
from clipfarm.decide.vram.ledger import Ledger

BALANCED_SECONDS = 60.0
"""Time in which a run that has one clip too many gains one clip in its balance."""
MOST_BALANCE = 0.5
"""Clips. More would let a run that had to wait for long take everything afterwards."""


@dataclass(slots=True)
class Balance:
    """How much more than its share each run has had lately, in clips. A restart begins with zero."""

    clips: dict[str, float] = field(default_factory=dict)
    at: float | None = None
    """When it was last brought up to date."""


class FairOrder:
    """The runs of one tick, in the order of their shares."""

    def __init__(self, drafts: Iterable[Draft], balance: Mapping[str, float]) -> None:
        """Begin with all runs. Of equal ones, those that are named first come first."""
        self._drafts = list(drafts)
        whole = Whole.of(
            [draft.world for draft in self._drafts], [each.per_clip for each in self._drafts if each.per_clip]
        )
        self._numbers = {draft.name: number for number, draft in enumerate(self._drafts)}
        self._clips = {draft.name: whole.of_clip(draft.run, draft.per_clip) for draft in self._drafts}
        self._balance = balance
        self._heap = [(self._key(draft), number) for number, draft in enumerate(self._drafts)]
        heapq.heapify(self._heap)

    def share(self, draft: Draft) -> float:
        """Return a run's share, by its priority."""
        return draft.at_work * self._clips[draft.name]

    def _key(self, draft: Draft) -> float:
        return self.share(draft) + self._balance.get(draft.name, 0.0) * self._clips[draft.name]

    def pop(self) -> Draft | None:
        """Return the run whose turn it is; None: none is left."""
        return self._drafts[heapq.heappop(self._heap)[1]] if self._heap else None

    def push(self, draft: Draft) -> None:
        """Take a run in again that has had a turn."""
        heapq.heappush(self._heap, (self._key(draft), self._numbers[draft.name]))

    def settle(self, balance: Balance, now: float) -> None:
        """Bring the balance up to date, after the last turn: with runs that wait for a place, and with no other."""
        seconds = 0.0 if balance.at is None else max(0.0, now - balance.at)
        waiting = [draft for draft in self._drafts if draft.waits]
        mean = sum(map(self.share, waiting)) / max(1, len(waiting))
        found = {}
        for draft in waiting:
            ahead = (self.share(draft) - mean) / self._clips[draft.name] * seconds / BALANCED_SECONDS
            found[draft.name] = min(MOST_BALANCE, max(-MOST_BALANCE, balance.clips.get(draft.name, 0.0) + ahead))
        balance.clips, balance.at = found, now


def take_turns(drafts: Iterable[Draft], ledger: Ledger, balance: Balance | None = None) -> None:
    """Let runs take turns until none of them starts another clip."""
    found = list(drafts)
    ledger.release()
    # A clip of unknown size is bounded by what clips of known size leave.
    for draft in sorted(found, key=lambda each: each.per_clip is None):
        draft.enter(ledger)
    for draft in found:
        draft.begin(ledger)
    balance = balance or Balance()
    order = FairOrder(found, balance.clips)
    while (next_ := order.pop()) is not None:
        if next_.turn():
            order.push(next_)
    if found:
        order.settle(balance, found[0].world.now)
