"""Whose turn it is: the run with the smallest share of what there is goes first.

A turn is one clip. Shares come in steps of a clip, so a balance of up to half a clip keeps count of who had more than
its share for a while.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
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
        """Begin with all runs. Of equal ones the oldest comes first, then the one that is named first."""
        self._drafts = sorted(drafts, key=lambda each: each.created)
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


def take_turns(drafts: Iterable[Draft], ledger: Ledger, now: float, balance: Balance | None = None) -> None:
    """Let the runs take turns until none of them starts another clip: see :func:`turns`."""
    for _ in turns(drafts, ledger, now, balance):
        pass


def turns(
    drafts: Iterable[Draft],
    ledger: Ledger,
    now: float,
    balance: Balance | None = None,
    guard: Callable[[Draft], AbstractContextManager[object]] = nullcontext,
) -> Iterator[None]:
    """Enter the clips of all runs into the ledger, and let the runs take turns until none of them starts another clip.

    Between two yields a part of one run is done. With hundreds of GPUs all of it takes a good part of a second.

    Args:
        drafts: one for each run.
        ledger: of the clips of all runs.
        now: on the clock of the runs' worlds, seconds.
        balance: how much more than its share each has had; None: this is the first tick.
        guard: is around whatever is done for a run. If it keeps back an exception, the run takes no further part.
    """
    found, entered, begun = list(drafts), set(), []
    ledger.release()
    # A clip of unknown size is bounded by what clips of known size leave.
    for draft in sorted(found, key=lambda each: each.per_clip is None):
        with guard(draft):
            draft.enter(ledger)
            entered.add(draft.name)
        yield
    for draft in found:
        if draft.name in entered:
            with guard(draft):
                draft.begin(ledger)
                begun.append(draft)
            yield
    balance = balance or Balance()
    order = FairOrder(begun, balance.clips)
    while (next_ := order.pop()) is not None:
        with guard(next_):
            if next_.turn():
                order.push(next_)
        yield
    order.settle(balance, now)
