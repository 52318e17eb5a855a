"""One ledger of the clips of all runs: what each run's clips claim on each GPU, and what readings show of them.

It is made anew from what is seen, so a restart loses nothing. A clip that starts is entered at once: the next run
decides with it.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm.decide.vram import others
from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.others import NONE, Others
from clipfarm.decide.vram.place import Place
from clipfarm.decide.vram.sent import Sent
from clipfarm.world import GpuId, Node, Reading, Requests


@dataclass(frozen=True, slots=True)
class Claim:
    """Memory that the clips of one run claim on a GPU, beyond what readings surely show."""

    run: str
    clips: int
    mib: float | None
    """All of it; None: nothing is known of what a clip takes."""
    since: float | None
    """When the first of these clips began; None: they start now."""


@dataclass(slots=True)
class Account:
    """The clips of one run."""

    per_clip: Expected | None
    """Memory that one takes; None: unknown."""
    counts: dict[PlaceKey, Counts]
    """By GPU; by node if the node gives out its GPUs itself."""
    sums: dict[PlaceKey, Others] = field(default_factory=dict)
    """The same, as other runs see them."""
    encodes: bool = False
    """Whether these are encoders and no clips."""


@dataclass(slots=True)
class Ledger:
    """Claims of all runs."""

    accounts: dict[str, Account] = field(default_factory=dict)
    """By the run's name."""
    shared: dict[Hashable, Any] = field(default_factory=dict)
    """Worked out once for the turns of a tick, for runs that are alike."""
    _totals: dict[PlaceKey, Others] = field(default_factory=dict)
    _claimants: dict[PlaceKey, set[str]] = field(default_factory=dict)
    """Runs that have claims in a place, or had some since they were last entered."""
    _kept: dict[PlaceKey, str] = field(default_factory=dict)
    """Places that are kept for a run in this tick."""
    _changes: dict[str, int] = field(default_factory=dict)
    """How often a clip was started on a node, or a place kept there, in this tick."""
    _listed: dict[GpuId, tuple[Claim, ...]] = field(default_factory=dict)
    """Claims that were worked out since the last change."""
    _sent: Sent = field(default_factory=Sent)

    def put(
        self,
        run: str,
        nodes: Iterable[Node],
        counts: Mapping[PlaceKey, Counts],
        per_clip: Expected | None,
        fresh: Mapping[GpuId, Reading],
        *,
        encodes: bool = False,
    ) -> None:
        """Enter the clips of a run in place of those entered before.

        Args:
            run: its name.
            nodes: where its clips may be.
            counts: its clips, by place.
            per_clip: memory that one takes; None: unknown.
            fresh: readings that are not too old, by GPU.
            encodes: whether these are encoders.
        """
        self.drop(run)
        account = Account(per_clip, {}, encodes=encodes)
        by_name = {node.name: node for node in nodes if node.gpus}
        # A fleet has many more GPUs than a run has clips.
        for key, count in counts.items():
            gpu = key if isinstance(key, GpuId) else None
            node = by_name.get(gpu.node if gpu else str(key))
            if node is not None and (gpu in node.gpus if node.sharing == "Chosen" else gpu is None):
                account.counts[key] = count.copy()
                reading = fresh.get(gpu) if gpu else None
                self._enter(run, account, key, reading.used_mib if reading else None)
        self.accounts[run] = account

    def drop(self, run: str) -> None:
        """Forget a run's clips."""
        account = self.accounts.pop(run, None)
        self._listed.clear()
        for key, mine in account.sums.items() if account else ():
            # No total is there if no run has a clip there any more, and some only remember one that ended.
            left = self._totals.pop(key, NONE).minus(mine)
            claimants = self._claimants.get(key)
            if claimants is not None:
                claimants.discard(run)
                if not claimants:
                    del self._claimants[key]
            if left.any:
                self._totals[key] = left

    def start(self, run: str, place: Place, requests: Requests = (), *, last_attempt: bool = False) -> None:
        """Enter one more clip of a run, which starts now, and what its pod requests of the node.

        ``last_attempt``: it would fail for good if it ran out of memory.
        """
        key, account = place.gpu or place.node.name, self.accounts.get(run)
        if account is None or not place.states:
            return  # it uses no GPU, or none is measured
        count = account.counts.setdefault(key, Counts())
        count.pods += 1
        count.unseen += 1
        count.last_attempts += last_attempt
        fullest = place.fullest
        known = fullest is not None and fullest.reading is not None and isinstance(key, GpuId)
        self._enter(run, account, key, fullest.reading.used_mib if known and fullest and fullest.reading else None)
        self._sent.add(run, requests, place.node.name)
        self._changes[place.node.name] = self._changes.get(place.node.name, 0) + 1

    def keep(self, run: str, place: Place) -> None:
        """Keep the memory that comes free in a place for a run, until the next tick."""
        self._keep(run, place.gpu or place.node.name, place.node.name)

    def keep_gpu(self, run: str, gpu: GpuId) -> None:
        """Keep the memory that comes free on a GPU for a run of another process."""
        self._keep(run, gpu, gpu.node)

    def _keep(self, run: str, key: PlaceKey, node: str) -> None:
        if key not in self._kept:
            self._kept[key] = run
            self._changes[node] = self._changes.get(node, 0) + 1

    def release(self) -> None:
        """Keep no place any more: a new tick begins."""
        for of_the_tick in (self._kept, self._changes, self._sent, self.shared):
            of_the_tick.clear()

    def refresh(self, run: str, requests: Requests, place: Place) -> bool:
        """Bring a place up to date with what other runs have there; return whether it has changed."""
        changes = self._changes.get(place.node.name, 0)
        if len(self.accounts) < 2 or changes == place.changes:
            return False
        found, before, place.changes = self.at(run, place), place.others, changes
        keys: tuple[PlaceKey, ...] = (place.node.name, *(state.gpu for state in place.states))
        place.kept_for = next((kept for key in keys if (kept := self._kept.get(key, run)) != run), "")
        place.others = found
        place.on_node.taken = self._sent.taken(run, requests, place.node.name)
        return found != before

    def on_gpu(self, run: str, node: Node, gpu: GpuId) -> Others:
        """Return the clips of all other runs on a GPU."""
        # Most nodes have no clips whose GPU they chose themselves.
        if node.name not in self._totals:
            return self._others(run, gpu)
        named, spread = self._others(run, gpu), self._others(run, node.name)
        return named.plus(spread.over(len(node.gpus))) if spread.any else named

    def there(self, node: Node, gpu: GpuId) -> Others:
        """Return the clips of all runs on a GPU; of those whose GPU the node chose, it has its part."""
        found = self._totals.get(gpu, NONE)
        if node.name not in self._totals:
            return found
        return found.plus(Others._make(each / len(node.gpus) for each in self._totals[node.name]))

    def at(self, run: str, place: Place) -> Others:
        """Return the clips of all other runs in a place: of several GPUs, on the fullest; all of them on whole GPUs."""
        if not place.states or place.fullest is None:
            return NONE
        if place.node.sharing != "Whole":
            return self.on_gpu(run, place.node, place.fullest.gpu)
        found = self._others(run, place.node.name)
        for state in place.states:
            found = found.plus(self._others(run, state.gpu))
        return found

    def largest_mib(self, run: str) -> float | None:
        """Return the largest clip of all other runs, MiB; None: none is known."""
        others = [each for name, each in self.accounts.items() if name != run and not each.encodes]
        known = [each.per_clip.most for each in others if each.per_clip]
        return max(known, default=None)

    def claims_on(self, gpus: Mapping[GpuId, object]) -> Mapping[GpuId, tuple[Claim, ...]]:
        """Return what runs claim on these GPUs; without those where there is nothing."""
        there = self._claimants
        # Clips that were sent to a GPU claim on it alone, as in most fleets; others on each GPU of their node.
        some = gpus if any(isinstance(key, str) for key in there) else [gpu for gpu in there if gpu in gpus]
        found = {gpu: self.claims(gpu.node, gpu) for gpu in some if isinstance(gpu, GpuId)}
        return {gpu: claims for gpu, claims in found.items() if claims}

    def claims(self, node: str, gpu: GpuId) -> tuple[Claim, ...]:
        """Return what runs claim on a GPU, the largest first; clips whose GPU the node chose count on each of them.

        All runs are shown the same, so it is worked out once for all, after the last turn of a tick.
        """
        known = self._listed.get(gpu)
        if known is None:
            known = self._listed[gpu] = self._claims(node, gpu)
        return known

    def _claims(self, node: str, gpu: GpuId) -> tuple[Claim, ...]:
        found = [
            Claim(name, count.unseen, None if mine.unknown > 0.5 else mine.claimed, count.since)
            for key in (gpu, node)
            for name in self._claimants.get(key, ())
            for count, mine in ((self.accounts[name].counts[key], self.accounts[name].sums[key]),)
            if count.unseen
        ]
        return tuple(sorted(found, key=lambda each: (-(math.inf if each.mib is None else each.mib), each.run)))

    def _enter(self, run: str, account: Account, key: PlaceKey, used: float | None) -> None:
        """Bring a run's sum in a place up to date with its count."""
        before, total = account.sums.get(key, NONE), self._totals.get(key, NONE)
        without = total if before is NONE else total.minus(before)
        count = account.counts[key]
        self._listed.clear()
        per_clip = account.per_clip
        if per_clip is None and used is not None and count.proven:
            # No clip takes more, on average, than what other runs' clips do not explain, divided by those that show.
            share = max(0.0, used - without.showing) / count.proven
            per_clip = Expected(share, share)
        mine = others.of(count, per_clip)
        if account.encodes:
            mine = mine._replace(encoders=mine.unseen)
        account.sums[key] = mine
        self._totals[key] = without.plus(mine)
        if count.unseen:
            self._claimants.setdefault(key, set()).add(run)

    def _others(self, run: str, key: PlaceKey) -> Others:
        total, account = self._totals.get(key), self.accounts.get(run)
        if total is None:
            return NONE
        mine = account.sums.get(key) if account else None
        found = total if mine is None else total.minus(mine)
        return found if found.any else NONE
