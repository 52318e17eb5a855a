"""How far an export is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_SECONDS = 30.0


class Lines:
    """Prints a line every half minute, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._what, self._total, self._done = "", 0, 0
        self._begun = self._said = time.monotonic()

    def begin(self, what: str, clips: int) -> None:
        """Announce a step."""
        self._what, self._total, self._done = what, clips, 0
        self._begun = self._said = time.monotonic()

    def tick(self) -> None:
        """Count a clip."""
        self._done += 1
        now = time.monotonic()
        if now - self._said >= EVERY_SECONDS:
            self._said = now
            left = (now - self._begun) / self._done * max(0, self._total - self._done)
            shown = f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s"
            self._console.print(f"{self._what}: {self._done} of {self._total}, about {shown} left")


class Bar:
    """A bar for each step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None)

    def begin(self, what: str, clips: int) -> None:
        """Announce a step."""
        self._bars.reset(self._task, description=what, total=clips)

    def tick(self) -> None:
        """Count a clip."""
        self._bars.advance(self._task)


@contextmanager
def display(console: Console) -> Iterator[Lines | Bar]:
    """Return what shows the progress on a console."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        yield Bar(bars)
