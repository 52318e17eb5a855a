"""What the encoder has done so far: for programs in a JSON file and over HTTP, for people on the screen.

The document, in the file as at ``/progress``, is described in :mod:`clipfarm_contract.encoder_progress`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.encoder_progress import State
from clipfarm_contract.fields import dump
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.video_listing import Listing
from clipfarm_encode.files.features import remove_leftovers
from clipfarm_encode.files.recipe import Recipe
from clipfarm_encode.reporting.account import Account
from clipfarm_encode.reporting.document import Facts, progress
from clipfarm_encode.reporting.tally import STAGES, DeviceTally, Tally, Together

LINE_EVERY_SECONDS = 10.0
WRITE_EVERY_SECONDS = 0.2


class Reporter:
    """Keeps the tallies, the JSON file and the screen up to date; every method may be called from any thread."""

    def __init__(
        self,
        recipes: Sequence[Recipe],
        devices: Sequence[DeviceTally],
        log: Path | None,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        wanted: Indexes | None = None,
        listing: Listing | None = None,
    ) -> None:
        """Begin to report.

        Args:
            recipes: how the features of each set are made.
            devices: that compute.
            log: where to keep the document; None: nowhere.
            console: the screen.
            clock: returns the time, seconds.
            wanted: numbers of the clips that are asked for; None: all that are there.
            listing: of the videos that clips are cut from; None: there are none.
        """
        tallies = {recipe.set_name: Tally() for recipe in recipes}
        together = Together(tallies) if len(recipes) > 1 else None
        self.tally = together.whole if together else tallies[recipes[0].set_name]
        """Of all sets together."""
        self.devices = devices
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.idle_seconds = 0.0
        """Spent waiting for new clips."""
        self._wanted = wanted
        self._listing = listing
        self._log = log
        self._console = console
        self._clock = clock
        self._start = clock()
        self._line_due = self._start + LINE_EVERY_SECONDS
        self._write_due = self._start
        self._state = State.RUNNING
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._foreign: set[str] = set()
        noted = [self._foreign, *([None] * (len(recipes) - 1))]
        self.sets = [
            Account(recipe, tallies[recipe.set_name], together, foreign, self._lock, self.say)
            for recipe, foreign in zip(recipes, noted, strict=True)
        ]
        """One of each set, in the order of the recipes."""
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if log is not None:
            remove_leftovers(log)
        if console.is_terminal:
            columns = (
                TextColumn("encoding"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[rate]}"),
            )
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task("encoding", total=None, rate="")
            self._bar.start()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def spent(self, stage: str, seconds: float) -> None:
        """Add to the time of a stage."""
        with self._lock:
            self.seconds[stage] += seconds

    def idle(self, seconds: float) -> None:
        """Add to the time in which there was nothing to do."""
        with self._lock:
            self.idle_seconds += seconds

    def computed(self, device: int, *, clips: int, tokens: int, flop: float, seconds: float) -> None:
        """Add a batch to a device's account."""
        with self._lock:
            tally = self.devices[device]
            tally.clips += clips
            tally.batch_size = clips
            tally.tokens += tokens
            tally.flop += flop
            tally.seconds += seconds
            self.seconds["encode"] += seconds

    def update(self, *, at_once: bool = False) -> None:
        """Show where things stand; the file only if it was not written just now, or ``at_once``."""
        self._write(at_once=at_once)
        if self._bar is not None:
            rate = f"{self._rate():.2f} clips/s, {len(self.tally.failures)} failed"
            self._bar.update(self._task, completed=self.tally.settled, total=len(self.tally.found), rate=rate)
            return
        with self._lock:
            due = self._clock() >= self._line_due
            if due:
                self._line_due = self._clock() + LINE_EVERY_SECONDS
        if due:
            self.say(self.line())

    def finish(self) -> None:
        """Show the end."""
        if self._state is State.RUNNING:
            self._state = State.FINISHED
        if self._bar is not None:
            self._bar.update(self._task, completed=self.tally.settled, total=len(self.tally.found))
            self._bar.stop()
        self._write(at_once=True)
        self.say(f"Finished: {self.line()}")

    def stopped(self) -> None:
        """Tell the JSON file that the encoder was stopped; may be called from any thread, and is the last word."""
        self._state = State.STOPPED
        self._write(at_once=True)
        if self._bar is not None:
            self._bar.stop()  # gives the terminal its cursor back
        self.say(f"Stopped: {self.line()}")

    def line(self) -> str:
        """Return counts and times in one line."""
        seconds = self.seconds
        return (
            f"{self._counts()}; "
            f"{self._rate():.2f} clips/s; seconds: I/O {seconds['io']:.1f}, preprocess {seconds['preprocess']:.1f}, "
            f"encode {seconds['encode']:.1f}, save {seconds['save']:.1f}, total {self._total():.1f}"
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        with self._lock:
            facts = Facts(
                state=self._state,
                sets=[(account.recipe, account.tally) for account in self.sets],
                whole=self.tally,
                foreign=len(self._foreign),
                wanted=self._wanted,
                listing=self._listing,
                seconds=self.seconds | {"total": self._total()},
                clips_per_second=self._rate(),
                devices=self.devices,
            )
            return progress(facts).to_json()

    def _counts(self) -> str:
        return "; ".join(f"{account.label}{_count(account.tally)}" for account in self.sets)

    def _write(self, *, at_once: bool) -> None:
        if self._log is None:
            return
        with self._writing:
            if not at_once and self._clock() < self._write_due:
                return
            self._write_due = self._clock() + WRITE_EVERY_SECONDS
            try:
                write_atomically(self._log, dump(self.document()))
            except OSError as error:  # a summary that cannot be written is no reason to leave clips without features
                self.say(f"{self._log}: cannot be written ({error.strerror})")

    def _total(self) -> float:
        return self._clock() - self._start - self.idle_seconds

    def _rate(self) -> float:
        """Return clips a second; with several sets a clip counts in parts, one for each set."""
        total = self._total()
        encoded = sum(len(account.tally.encoded) for account in self.sets) / len(self.sets)
        return encoded / total if total > 0 else 0.0


def _count(tally: Tally) -> str:
    return (
        f"{len(tally.encoded)} encoded, {len(tally.skipped)} skipped, {len(tally.failures)} failed "
        f"of {len(tally.found)}"
    )
