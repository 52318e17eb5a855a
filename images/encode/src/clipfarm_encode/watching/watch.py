"""The loop of an encoder that watches: look at the folder, yield what is claimed, pause."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.selection import Turn
from clipfarm_encode.watching.listing import Listing
from clipfarm_encode.watching.one_set import SetWatch

POLL_SECONDS = 1.0
POLL_SECONDS_AT_MOST = 30.0
POLL_SHARE = 50
"""A look is followed by a pause of this many times its own length: looking takes 2 % of one core at most."""
RECHECKED = 16
"""Clips with features that each look inspects again, of all sets: two small files are opened for each."""


class Watch:
    """Clips as they become complete, each claimed for a feature set before it is yielded."""

    def __init__(
        self,
        root: Path,
        sets: Sequence[SetWatch],
        reporter: Reporter,
        sleep: Callable[[float], None] = time.sleep,
        wanted: Container[int] | None = None,
    ) -> None:
        """Prepare to watch.

        Args:
            root: the folder.
            sets: one for each feature set, by their numbers.
            reporter: of all sets.
            sleep: called between two looks, with seconds.
            wanted: numbers of the clips to look at; None: all.
        """
        self._sets = sets
        self._reporter = reporter
        self._sleep = sleep
        self._listing = Listing(root, wanted)
        self._marker = RunFolder(root).all_rendered
        self._blind: int | None = None
        """Why the last look failed, as an error number."""

    def __iter__(self) -> Iterator[Turn | None]:
        """Yield clips without features, and None whenever there is none for the moment.

        Ends when the run's ``all-rendered`` marker is there and every clip has had its turn in every set: this
        encoder's, or that of another which has finished it. A clip that another one has replaced gets another turn.
        """
        while True:
            start = time.monotonic()
            try:
                no_more = self._marker.exists()  # before the listing: so what was complete when it was set is listed
                self._look()
            except OSError as error:
                if regular.is_gone(error):
                    raise
                self._cannot_look(error)
                yield None
                self._pause(0.0)
                continue
            self._blind = None
            looked = time.monotonic() - start
            busy = False
            for number, each in enumerate(self._sets):
                for found in each.turns():
                    busy = True
                    yield Turn(found, number)
            if busy:
                continue
            for each in self._sets:
                each.recheck_failures()
                each.recheck_done(max(1, RECHECKED // len(self._sets)))
            yield None
            if no_more and all(each.gives_up for each in self._sets):
                for each in self._sets:
                    each.claims.nothing_left = each.nothing_left
                return
            self._pause(looked)

    def settled(self, turn: Turn, *, unread: bool = False) -> None:
        """Give a clip's claim up: it has its features, or cannot get any here. May be called from any thread."""
        self._sets[turn.number].settled(turn.found, unread=unread)

    def _look(self) -> None:
        for each in self._sets:
            each.take_back_unread()
        changes = self._listing.look()
        for each in self._sets:
            each.look(changes, self._listing.clips)
        for each in self._sets:  # which may fail, and what has changed must have reached all sets before
            each.claims.look()

    def _cannot_look(self, error: OSError) -> None:
        if error.errno != self._blind:
            self._reporter.say(f"the folder cannot be read for the moment: {error.filename}: {regular.describe(error)}")
        self._blind = error.errno

    def _pause(self, looked: float) -> None:
        before, waiting = time.monotonic(), all(each.claims.held == 0 for each in self._sets)
        self._sleep(min(max(POLL_SECONDS, POLL_SHARE * looked), POLL_SECONDS_AT_MOST))
        if waiting:
            self._reporter.idle(time.monotonic() - before)
