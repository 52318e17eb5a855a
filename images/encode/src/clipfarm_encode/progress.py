"""What the encoder has done so far: in a JSON file for programs, and on the screen for people.

The JSON document, replaced by rename after each batch, so that a reader never sees half of it::

    {"model": "vjepa2_vitl16",
     "weights": {"source": "vitl.pt", "sha256": "...", "key": "target_encoder"},   # and a note where random
     "device": "cuda", "dtype": "float16",
     "state": "running",                     # finished; stopped: by a signal, or because the parent is gone
     "clips": {"found": 5, "encoded": 2, "skipped": 1, "failed": 1},
     "failures": [{"clip": "clip_00003", "reason": "rgb: missing"}],
     "seconds": {"io": 1.2, "preprocess": 0.3, "encode": 9.8, "save": 0.1, "total": 10.4},
     "clips_per_second": 0.192}

``found`` counts complete clips seen so far; those that are neither encoded, skipped nor failed are waiting. Stages
overlap, so their seconds may add up to more than ``total``, which is wall time without the waiting for new clips;
``clips_per_second`` is ``encoded / total``.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from clipfarm_contract.clip import write_atomically
from clipfarm_contract.fields import dump
from clipfarm_encode.features import Recipe, remove_leftovers

LINE_EVERY_SECONDS = 10.0


@dataclass
class Tally:
    """Clips by name, and times; only the encoder's main thread changes them."""

    found: set[str] = field(default_factory=set)
    encoded: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    """Reason by name."""
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("io", "preprocess", "encode", "save"), 0.0)
    )
    idle: float = 0.0
    """Seconds spent waiting for new clips."""

    @property
    def settled(self) -> int:
        """Number of clips that need nothing more."""
        return len(self.encoded) + len(self.skipped) + len(self.failures)

    def forget(self, name: str) -> None:
        """Take back what became of a clip: it is gone, or another one took its place."""
        for names in (self.found, self.encoded, self.skipped):
            names.discard(name)
        self.failures.pop(name, None)


class Reporter:
    """Keeps the JSON file and the screen up to date."""

    def __init__(
        self,
        recipe: Recipe,
        device: str,
        log: Path | None,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self._head = {"model": recipe.model, "weights": dict(recipe.weights), "device": device, "dtype": recipe.dtype}
        self._log = log
        self._console = console
        self._clock = clock
        self._start = clock()
        self._line_due = self._start + LINE_EVERY_SECONDS
        self._state = "running"
        self._lock = threading.Lock()
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

    def failed(self, name: str, reason: str) -> None:
        """Count a failed clip, and name it on the screen at once."""
        self.tally.failures[name] = reason
        self.say(f"{name} failed: {reason}")

    def update(self) -> None:
        """Show where things stand; called after each batch."""
        self._write()
        if self._bar is not None:
            rate = f"{self._rate():.2f} clips/s, {len(self.tally.failures)} failed"
            self._bar.update(self._task, completed=self.tally.settled, total=len(self.tally.found), rate=rate)
        elif self._clock() >= self._line_due:
            self._line_due = self._clock() + LINE_EVERY_SECONDS
            self.say(self.line())

    def finish(self) -> None:
        """Show the end."""
        if self._state == "running":
            self._state = "finished"
        if self._bar is not None:
            self._bar.update(self._task, completed=self.tally.settled, total=len(self.tally.found))
            self._bar.stop()
        self._write()
        self.say(f"Finished: {self.line()}")

    def stopped(self) -> None:
        """Tell the JSON file that the encoder was stopped; may be called from any thread, and is the last word."""
        self._state = "stopped"
        self._write()
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
        tally = self.tally
        seconds = tally.seconds | {"total": self._total()}
        return self._head | {
            "state": self._state,
            "clips": {
                "found": len(tally.found),
                "encoded": len(tally.encoded),
                "skipped": len(tally.skipped),
                "failed": len(tally.failures),
            },
            "failures": [{"clip": name, "reason": reason} for name, reason in sorted(tally.failures.items())],
            "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
            "clips_per_second": round(self._rate(), 3),
        }

    def _write(self) -> None:
        if self._log is None:
            return
        with self._lock:
            try:
                write_atomically(self._log, dump(self.document()))
            except OSError as error:  # a summary that cannot be written is no reason to leave clips without features
                self.say(f"{self._log}: cannot be written ({error.strerror})")

    def _total(self) -> float:
        return self._clock() - self._start - self.tally.idle

    def _rate(self) -> float:
        total = self._total()
        return len(self.tally.encoded) / total if total > 0 else 0.0
