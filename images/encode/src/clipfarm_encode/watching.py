"""Following a folder that grows, beside any number of other encoders."""

import os
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.features import State
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.files.claims import Claims
from clipfarm_encode.files.clips import Found, found_in
from clipfarm_encode.files.identity import Identity
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.selection import Destination, Survey, report, survey

POLL_SECONDS = 1.0
POLL_SECONDS_AT_MOST = 30.0
POLL_SHARE = 50
"""A look is followed by a pause of this many times its own length: looking takes 2 % of one core at most."""
TROUBLE_SECONDS = 60.0
"""How long claims may fail before their clips count as failed: a full disk or a server that is away may pass."""
RETRY_SECONDS = 60.0
"""After which frames that could not be read are read again."""
RECHECKED = 16
"""Clips with features that each look inspects again, in turn: two small files are opened for each."""


class Watch:
    """Clips as they become complete, each claimed before it is yielded.

    Each look is one listing of the folder, which works on file systems that report no changes, such as NFS. A
    folder's time of modification would be cheaper to ask for, but an NFS client may hold an old one for a minute.
    """

    def __init__(
        self,
        root: Path,
        destination: Destination,
        reporter: Reporter,
        claims: Claims,
        sleep: Callable[[float], None] = time.sleep,
        surveyed: Survey | None = None,
        wanted: Container[int] | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Prepare to watch.

        Args:
            root: the folder.
            destination: where features go.
            reporter: told of each clip that is found, and of those that need nothing.
            claims: this encoder's, entered.
            sleep: called between two looks, with seconds.
            surveyed: what was found of the folder a moment ago, so that features are not all looked at again.
            wanted: numbers of the clips to look at; all where it is None.
            identity: the run whose clips are encoded; None: whose they are is not asked.
        """
        self._root = root
        self._destination = destination
        self._reporter = reporter
        self._claims = claims
        self._sleep = sleep
        self._wanted = wanted
        self._identity = identity
        self._marker = RunFolder(root).all_rendered
        self._seen: dict[str, int] = {}
        """Inode by name, of clips that have been looked at."""
        self._pending: dict[str, Found] = {}
        self._unknown: set[str] = set()
        """Clips of which it is not known whose they are."""
        self._unreadable: dict[str, str] = {}
        """Reason by name, of clips that could not be looked at: the next look tries again."""
        self._unread: dict[str, tuple[Found, float]] = {}
        """By name, of clips whose frames could not be read: the clip, and when."""
        self._turn: list[str] = []
        """Clips with features that are inspected again next."""
        self._trouble: tuple[int | None, float] | None = None
        """Why the last claim could not be made, as an error number, and since when none could."""
        self._blind: int | None = None
        """Why the last look failed, as an error number."""
        self._unclaimed: set[str] = set()
        """Of those pending, clips that count as failed for that."""
        if surveyed is not None:
            self._seen = {found.name: found.inode for found in surveyed.done}
            reporter.found(self._seen)
            reporter.skipped(self._seen)

    def __iter__(self) -> Iterator[Found | None]:
        """Yield clips without features, and None whenever there is none for the moment.

        Ends when the run's ``all-rendered`` marker is there and every clip has had its turn: this encoder's, or that
        of another which has finished it. A clip that another one has replaced gets another turn.
        """
        while True:
            start = time.monotonic()
            try:
                no_more = self._marker.exists()  # before the listing: so what was complete when it was set is listed
                self._take_back_unread()
                self._list()
                self._claims.look()
            except OSError as error:
                if regular.is_gone(error):
                    raise
                self._cannot_look(error)
                yield None
                self._pause(0.0)
                continue
            self._blind = None
            looked = time.monotonic() - start
            busy, self._refused = False, False
            for found in list(self._pending.values()):
                if self._take(found):
                    busy = True
                    yield found
            if not self._refused:
                self._trouble = None
            if busy:
                continue
            self._recheck_failures()
            self._recheck_done()
            yield None
            if no_more and self._pending.keys() <= self._unclaimed:
                self._claims.nothing_left = not self._pending
                return
            self._pause(looked)

    def settled(self, found: Found, *, unread: bool = False) -> None:
        """Give a clip's claim up: it has its features, or cannot get any here. May be called from any thread."""
        if unread:
            self._unread[found.name] = found, time.monotonic()
        self._claims.release(found.name)

    def _list(self) -> None:
        """Find clips that are new, replaced or gone."""
        fresh: list[Found] = []
        present = set()
        with os.scandir(self._root) as entries:
            for entry in entries:
                present.add(entry.name)
                if self._seen.get(entry.name) == entry.inode():
                    continue
                found = found_in(entry)
                if found and found.is_one_of(self._wanted):
                    fresh.append(found)
        for name in self._seen.keys() - present:
            # Forgotten: its inode may be given to the one that takes its place.
            self._forget(name)
        for name in self._unreadable.keys() - present:
            self._reporter.forget(name)
        fresh = sorted(
            (found for found in fresh if regular.may_exist(found.clip.manifest)), key=lambda each: each.order
        )
        surveyed = survey(fresh, self._destination, self._identity)
        before, self._unreadable = self._unreadable, {found.name: reason for found, reason in surveyed.unreadable}
        # What was reported by the last look is not reported again.
        surveyed.unreadable[:] = [(found, why) for found, why in surveyed.unreadable if before.get(found.name) != why]
        for found in fresh:
            name = found.name
            if name not in self._unreadable:
                self._seen[name] = found.inode
            elif name in self._seen:
                self._forget(name)
            if name not in self._unreadable or self._unreadable[name] != before.get(name):
                self._reporter.forget(name)
        self._unknown -= {found.name for found in fresh}
        self._unknown |= {found.name for found, _ in surveyed.unknown}
        self._reporter.found(found.name for found, _ in surveyed.other)
        self._reporter.found(found.name for found in (*surveyed.pending, *surveyed.done))
        report(surveyed, self._reporter)
        self._reporter.skipped(found.name for found in surveyed.done)
        for found, reason in surveyed.other:
            self._reporter.failed(found.name, reason)
        self._pending |= {found.name: found for found in surveyed.pending}

    def _take_back_unread(self) -> None:
        """Let the listing find clips for new ones whose frames could not be read a while ago."""
        for name, (found, since) in list(self._unread.items()):
            if time.monotonic() - since >= RETRY_SECONDS:
                del self._unread[name]
                if self._seen.get(name) == found.inode:
                    self._forget(name)

    def _forget(self, name: str) -> None:
        """Forget a clip, so that the next look takes it for a new one if it is there."""
        del self._seen[name]
        self._pending.pop(name, None)
        self._unclaimed.discard(name)
        self._unknown.discard(name)
        self._reporter.forget(name)

    def _take(self, found: Found) -> bool:
        """Claim a clip, unless it got its features meanwhile: looked at before the claim, and again under it."""
        for claimed in (False, True):
            state, reason = self._destination.inspect(found)
            if state is not State.ABSENT:
                self._pending.pop(found.name)
                self._unclaimed.discard(found.name)
                if state is State.DONE:
                    self._reporter.skipped([found.name])
                else:
                    self._reporter.failed(found.name, reason)
                    if state is State.UNREADABLE:
                        self._unreadable[found.name] = reason
                        del self._seen[found.name]
                if claimed:
                    self._claims.release(found.name)
                return False
            if not claimed and not self._claim(found):
                return False
        self._pending.pop(found.name)
        return True

    def _claim(self, found: Found) -> bool:
        try:
            taken = self._claims.take(found.name)
        except OSError as error:  # the disk is full, the server is away: both pass
            self._cannot_claim(found, error)
            return False
        self._trouble = None
        if found.name in self._unclaimed:
            self._unclaimed.discard(found.name)
            self._reporter.forget(found.name)
            self._reporter.found([found.name])
        return taken

    def _cannot_look(self, error: OSError) -> None:
        if error.errno != self._blind:
            self._reporter.say(f"the folder cannot be read for the moment: {error.filename}: {regular.describe(error)}")
        self._blind = error.errno

    def _cannot_claim(self, found: Found, error: OSError) -> None:
        why = f"{error.filename2 or error.filename}: {regular.describe(error)}"
        number, since = self._trouble or (None, time.monotonic())
        if number != error.errno:
            self._reporter.say(f"clips cannot be claimed for the moment: {why}")
        self._trouble, self._refused = (error.errno, since), True
        if time.monotonic() - since >= TROUBLE_SECONDS and found.name not in self._unclaimed:
            self._unclaimed.add(found.name)
            self._reporter.failed(found.name, f"cannot be claimed: {why}")

    def _recheck_failures(self) -> None:
        """Take clips back that another encoder could do: it may have more memory, or have found the disk less full.

        Clips that may be another run's are not among them: their features say nothing of this one.
        """
        for name in self._reporter.failed_names():
            if name in self._unknown or name in self._unreadable:
                continue
            found = Found(name, self._seen.get(name, 0), self._root / name)
            if self._destination.inspect(found)[0] is State.DONE:
                self._reporter.skipped([name])

    def _recheck_done(self) -> None:
        """Inspect some of the clips that had features, in turn: if features were removed, the clip is encoded again."""
        if not self._turn:
            self._turn = self._reporter.done_names()
        for _ in range(min(RECHECKED, len(self._turn))):
            name = self._turn.pop()
            found = Found(name, self._seen.get(name, 0), self._root / name)
            if name in self._seen and self._destination.inspect(found)[0] not in (State.DONE, State.UNREADABLE):
                self._forget(name)

    def _pause(self, looked: float) -> None:
        before, waiting = time.monotonic(), self._claims.held == 0
        self._sleep(min(max(POLL_SECONDS, POLL_SHARE * looked), POLL_SECONDS_AT_MOST))
        if waiting:
            self._reporter.idle(time.monotonic() - before)
