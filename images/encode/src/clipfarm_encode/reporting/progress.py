"""What the encoder has done so far: for programs in a JSON file and over HTTP, for people on the screen.

The document, in the file as at ``/progress``, is described in :mod:`clipfarm_contract.encoder_progress`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from clipfarm_contract.clip import write_atomically
from clipfarm_contract.encoder_progress import Counts, EncoderProgress, Failure, State
from clipfarm_contract.fields import dump
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import clip_index
from clipfarm_encode.files.features import Recipe, remove_leftovers
from clipfarm_encode.reporting.tally import DeviceTally, Tally

LINE_EVERY_SECONDS = 10.0
WRITE_EVERY_SECONDS = 0.2
MOST_REASONS = 3 * 2**20
"""Characters of all reasons together: who asks takes 8 MiB, and 100,000 clips may fail."""
SHORTEST_REASON = 20


class Reporter:
    """Keeps the tally, the JSON file and the screen up to date; every method may be called from any thread."""

    def __init__(
        self,
        recipe: Recipe,
        devices: Sequence[DeviceTally],
        log: Path | None,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        wanted: Indexes | None = None,
    ) -> None:
        """Begin to report.

        Args:
            recipe: how features are made.
            devices: that compute.
            log: where to keep the document; None: nowhere.
            console: the screen.
            clock: returns the time, seconds.
            wanted: numbers of the clips that are asked for; None: all that are there.
        """
        self.tally = Tally()
        self.devices = devices
        self._recipe = recipe
        self._wanted = wanted
        self._log = log
        self._console = console
        self._clock = clock
        self._start = clock()
        self._line_due = self._start + LINE_EVERY_SECONDS
        self._write_due = self._start
        self._state = State.RUNNING
        self._lock = threading.RLock()
        self._writing = threading.Lock()
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

    def found(self, names: Iterable[str]) -> None:
        """Count complete clips."""
        with self._lock:
            self.tally.found.update(names)

    def skipped(self, names: Iterable[str]) -> None:
        """Count clips that have features, from any encoder."""
        with self._lock:
            for name in names:
                self.tally.skipped.add(name)
                self.tally.failures.pop(name, None)

    def foreign(self, differences: Mapping[str, str]) -> None:
        """Count clips of another run, by name, and say in what the first of them differs."""
        with self._lock:
            self.tally.foreign.update(differences)
        if differences:
            name, difference = next(iter(differences.items()))
            count = "1 clip is" if len(differences) == 1 else f"{len(differences)} clips are"
            self.say(f"{count} of another run, and left alone: {name} was made with {difference}")

    def failed(self, name: str, reason: str) -> None:
        """Count a failed clip, and name it on the screen at once."""
        with self._lock:
            self.tally.failures[name] = reason
        self.say(f"{name} failed: {reason}")

    def done_names(self) -> list[str]:
        """Return the clips that have features."""
        with self._lock:
            return sorted(self.tally.encoded | self.tally.skipped)

    def failed_names(self) -> list[str]:
        """Return the clips that failed."""
        with self._lock:
            return list(self.tally.failures)

    def forget(self, name: str) -> None:
        """Take back what became of a clip: it is gone, or another one took its place."""
        with self._lock:
            self.tally.forget(name)

    def started(self) -> None:
        """Count a clip that goes to the decoders."""
        with self._lock:
            self.tally.encoding += 1

    def ended(self) -> None:
        """Count a clip that was started and is under way no more."""
        with self._lock:
            self.tally.encoding -= 1

    def saved(self, name: str, *, ours: bool) -> None:
        """Count a clip that has its features now; ``ours`` where they did not come from another encoder."""
        with self._lock:
            (self.tally.encoded if ours else self.tally.skipped).add(name)

    def spent(self, stage: str, seconds: float) -> None:
        """Add to the time of a stage."""
        with self._lock:
            self.tally.seconds[stage] += seconds

    def idle(self, seconds: float) -> None:
        """Add to the time in which there was nothing to do."""
        with self._lock:
            self.tally.idle += seconds

    def computed(self, device: int, *, clips: int, tokens: int, flop: float, seconds: float) -> None:
        """Add a batch to a device's account."""
        with self._lock:
            tally = self.devices[device]
            tally.clips += clips
            tally.batch_size = clips
            tally.tokens += tokens
            tally.flop += flop
            tally.seconds += seconds
            self.tally.seconds["encode"] += seconds

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
        tally, seconds = self.tally, self.tally.seconds
        return (
            f"{len(tally.encoded)} encoded, {len(tally.skipped)} skipped, {len(tally.failures)} failed "
            f"of {len(tally.found)}; "
            f"{self._rate():.2f} clips/s; seconds: I/O {seconds['io']:.1f}, preprocess {seconds['preprocess']:.1f}, "
            f"encode {seconds['encode']:.1f}, save {seconds['save']:.1f}, total {self._total():.1f}"
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        with self._lock:
            tally = self.tally
            return EncoderProgress(
                model=self._recipe.model,
                weights=dict(self._recipe.weights),
                device=self.devices[0].name.partition(":")[0],
                dtype=self._recipe.dtype,
                state=self._state,
                clips=Counts(
                    found=len(tally.found),
                    waiting=tally.waiting,
                    encoding=tally.encoding,
                    encoded=len(tally.encoded),
                    skipped=len(tally.skipped),
                ),
                foreign=len(tally.foreign),
                absent=self._absent(),
                failures=_failures(tally.failures),
                seconds=tally.seconds | {"total": self._total()},
                clips_per_second=self._rate(),
                devices=tuple(device.to_json() for device in self.devices),
            ).to_json()

    def _absent(self) -> Indexes | None:
        if self._wanted is None:
            return None
        numbers = (clip_index(name) for name in self.tally.found)
        return self._wanted.without(Indexes.of(number for number in numbers if number is not None))

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
        return self._clock() - self._start - self.tally.idle

    def _rate(self) -> float:
        total = self._total()
        return len(self.tally.encoded) / total if total > 0 else 0.0


def _failures(failures: Mapping[str, str]) -> tuple[Failure, ...]:
    """Return the clips that failed, by name; of very many the reasons are cut."""
    most = max(SHORTEST_REASON, MOST_REASONS // max(1, len(failures)))
    return tuple(Failure(name, reason[:most]) for name, reason in sorted(failures.items()))
