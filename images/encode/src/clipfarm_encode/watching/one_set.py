"""One feature set's clips in a folder that grows, from found to settled."""

import time
from collections.abc import Iterator, Mapping

from clipfarm_contract.features import State
from clipfarm_encode.files.claims import Claims
from clipfarm_encode.files.finding import Found
from clipfarm_encode.files.identity import Identity
from clipfarm_encode.reporting.account import Account
from clipfarm_encode.selection import Destination, Survey, report, survey
from clipfarm_encode.watching.claiming import Claiming
from clipfarm_encode.watching.listing import Changes

RETRY_SECONDS = 60.0
"""After which frames that could not be read are read again."""


class SetWatch:
    """Clips that need the features of one set; ``settled`` may be called from any thread, the rest from one."""

    def __init__(
        self,
        destination: Destination,
        account: Account,
        claims: Claims,
        surveyed: Survey | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Prepare to watch.

        Args:
            destination: where features go.
            account: counts each clip that is found, and those that need nothing.
            claims: this encoder's for the set, entered.
            surveyed: what was found of the folder a moment ago, so that features are not all looked at again.
            identity: the run whose clips are encoded; None: whose they are is not asked.
        """
        self.claims = claims
        self._destination = destination
        self._account = account
        self._claiming = Claiming(claims, account)
        self._identity = identity
        self._seen: dict[str, Found] = {}
        """By name, clips that have been looked at."""
        self._again: set[str] = set()
        """Names of clips that the next look takes for new ones."""
        self._pending: dict[str, Found] = {}
        self._unknown: set[str] = set()
        """Clips of which it is not known whose they are."""
        self._unreadable: dict[str, str] = {}
        """Reason by name, of clips that could not be looked at: the next look tries again."""
        self._unread: dict[str, tuple[Found, float]] = {}
        """By name, of clips whose frames could not be read: the clip, and when."""
        self._turn: list[str] = []
        """Clips with features that are inspected again next."""
        if surveyed is not None:
            self._seen = {found.name: found for found in surveyed.done}
            account.found(self._seen)
            account.skipped(self._seen)

    def look(self, changes: Changes, clips: Mapping[str, Found]) -> None:
        """Take in what has changed in the folder.

        Args:
            changes: since the last look.
            clips: all that are there, by name.
        """
        for name in changes.gone:
            self._again.discard(name)
            if name in self._seen:
                self._forget(name)
            if self._unreadable.pop(name, None) is not None:
                self._account.forget(name)
        new = {found.name: found for found in changes.fresh if not self._has_seen(found)}
        new |= {name: clips[name] for name in self._again if name in clips}
        self._again.clear()
        self._take_in(sorted(new.values(), key=lambda each: each.order))

    def turns(self) -> Iterator[Found]:
        """Yield the clips that this encoder has claimed now, each before the next is claimed."""
        self._claiming.begin()
        for found in list(self._pending.values()):
            if self._take(found):
                yield found
        self._claiming.end()

    @property
    def nothing_left(self) -> bool:
        """Whether every clip has had its turn: this encoder's, or that of another which has finished it."""
        return not self._pending

    @property
    def gives_up(self) -> bool:
        """Whether all that is left is what cannot be claimed."""
        return self._pending.keys() <= self._claiming.unclaimed

    def settled(self, found: Found, *, unread: bool = False) -> None:
        """Give a clip's claim up: it has its features, or cannot get any here."""
        if unread:
            self._unread[found.name] = found, time.monotonic()
        self.claims.release(found.name)

    def take_back_unread(self) -> None:
        """Let the next look find clips for new ones whose frames could not be read a while ago."""
        for name, (found, since) in list(self._unread.items()):
            if time.monotonic() - since >= RETRY_SECONDS:
                del self._unread[name]
                if self._has_seen(found):
                    self._look_again(name)

    def recheck_failures(self) -> None:
        """Take clips back that another encoder could do: it may have more memory, or have found the disk less full.

        Clips that may be another run's are not among them: their features say nothing of this one.
        """
        for name in self._account.failed_names():
            found = self._seen.get(name)
            if found is None or name in self._unknown:
                continue
            if self._destination.inspect(found)[0] is State.DONE:
                self._account.skipped([name])

    def recheck_done(self, count: int) -> None:
        """Inspect some of the clips that had features, in turn: if features were removed, the clip is encoded again."""
        if not self._turn:
            self._turn = self._account.done_names()
        for _ in range(min(count, len(self._turn))):
            name = self._turn.pop()
            found = self._seen.get(name)
            if found and self._destination.inspect(found)[0] not in (State.DONE, State.UNREADABLE):
                self._look_again(name)

    def _has_seen(self, found: Found) -> bool:
        seen = self._seen.get(found.name)
        return seen is not None and seen.inode == found.inode

    def _take_in(self, fresh: list[Found]) -> None:
        surveyed = survey(fresh, self._destination, self._identity)
        before = self._unreadable
        unreadable = {found.name: reason for found, reason in surveyed.unreadable}
        # What was reported by the last look is not reported again.
        surveyed.unreadable[:] = [(found, why) for found, why in surveyed.unreadable if before.get(found.name) != why]
        for found in fresh:
            name = found.name
            if name not in unreadable:
                self._seen[name] = found
            else:
                self._again.add(name)
                if name in self._seen:
                    self._forget(name)
            if name not in unreadable or unreadable[name] != before.get(name):
                self._account.forget(name)
            self._unknown.discard(name)
        self._unreadable = unreadable
        self._unknown |= {found.name for found, _ in surveyed.unknown}
        self._account.found(found.name for found, _ in surveyed.other)
        self._account.found(found.name for found in (*surveyed.pending, *surveyed.done))
        report(surveyed, self._account)
        self._account.skipped(found.name for found in surveyed.done)
        for found, reason in surveyed.other:
            self._account.failed(found.name, reason)
        self._pending |= {found.name: found for found in surveyed.pending}

    def _look_again(self, name: str) -> None:
        """Forget a clip, so that the next look takes it for a new one if it is there."""
        self._forget(name)
        self._again.add(name)

    def _forget(self, name: str) -> None:
        del self._seen[name]
        self._pending.pop(name, None)
        self._claiming.unclaimed.discard(name)
        self._unknown.discard(name)
        self._account.forget(name)

    def _take(self, found: Found) -> bool:
        """Claim a clip, unless it got its features meanwhile: looked at before the claim, and again under it."""
        for claimed in (False, True):
            state, reason = self._destination.inspect(found)
            if state is not State.ABSENT:
                self._drop(found, state, reason)
                if claimed:
                    self.claims.release(found.name)
                return False
            if not claimed and not self._claiming.take(found):
                return False
        self._pending.pop(found.name)
        return True

    def _drop(self, found: Found, state: State, reason: str) -> None:
        """Take note that a clip needs nothing from this encoder."""
        name = found.name
        self._pending.pop(name)
        self._claiming.unclaimed.discard(name)
        if state is State.DONE:
            self._account.skipped([name])
            return
        self._account.failed(name, reason)
        if state is State.UNREADABLE:
            self._unreadable[name] = reason
            del self._seen[name]
            self._again.add(name)
