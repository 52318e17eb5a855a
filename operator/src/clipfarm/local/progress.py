"""A run as it goes on, on a terminal or in a log."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clipfarm.decide.admission import Held
from clipfarm.decide.status import Failure, Status
from clipfarm.units import format_duration
from clipfarm_contract.indexes import compress
from clipfarm_contract.text import printable

FAILURES_SHOWN = 5
LOG_INTERVAL = 10.0
"""Seconds between two lines of counters in a log."""
SHORTEST_BAR, LONGEST_BAR = 10, 40
"""Columns."""


class Display(Protocol):
    """Shows statuses between entering and leaving."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, status: Status) -> None:
        """Show the newest status."""
        ...


def display(console: Console, *, encodes: bool) -> Display:
    """Return bars for a terminal, lines for anything else."""
    return _Bars(console, encodes) if console.is_terminal else _Lines(console, encodes)


def counters(status: Status, *, encodes: bool) -> str:
    """Return all counters in one line."""
    parts = [f"rendered {status.rendered}/{status.total}"]
    parts += [f"encoded {status.encoded}/{status.total}"] if encodes else []
    parts += [f"failed {len(status.failures)}", f"running {status.running}"]
    parts += [f"waiting to retry {status.retrying}"] if status.retrying else []
    parts += [f"held {_count(status.held)}"] if status.held else []
    return ", ".join([*parts, pace(status)])


def pace(status: Status) -> str:
    """Return clips an hour and the time left; None if unknown."""
    per_hour = status.clips_per_hour
    rate = f"{per_hour / 3600:.2g} clips/s ({per_hour:.0f}/h)" if per_hour else "clips/s not known yet"
    eta = f"ETA {format_duration(status.eta_seconds)}" if status.eta_seconds is not None else "ETA not known yet"
    return f"{rate}, {eta}"


def hold_line(held: Held) -> str:
    """Return what is held and why."""
    return f"held {compress(held.indexes)}: {held.hold.message}"


def failure_line(failure: Failure) -> str:
    """Return what failed and why."""
    return f"clip {failure.clip} failed to {failure.stage}: {failure.reason}"


class _Lines:
    """One line when something changes, and the counters now and then."""

    def __init__(self, console: Console, encodes: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._encodes = encodes
        self._clock = clock
        self._shown_at = float("-inf")
        self._counted = ""
        self._failures: set[Failure] = set()
        self._held: frozenset[tuple[str, str]] = frozenset()
        self._held_at = float("-inf")
        self._last: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last:
            self._count(self._last)

    def show(self, status: Status) -> None:
        for failure in status.failures:
            if failure not in self._failures:
                self._failures.add(failure)
                self._print(failure_line(failure))
        self._show_held(status)
        if status.stuck and (self._last is None or self._last.stuck != status.stuck):
            self._print(status.stuck)
        if self._clock() >= self._shown_at + LOG_INTERVAL:
            self._count(status)
        self._last = status

    def _show_held(self, status: Status) -> None:
        """Print what is held when a reason comes or goes; at most now and then when only the clips are others."""
        # The numbers in a message change with each reading, and the clips with each start.
        held = frozenset((str(entry.hold.reason), compress(entry.indexes)) for entry in status.held)
        same_reasons = {reason for reason, _ in held} == {reason for reason, _ in self._held}
        if same_reasons and (held == self._held or self._clock() < self._held_at + LOG_INTERVAL):
            return
        for entry in status.held:
            self._print(hold_line(entry))
        if not held:
            self._print("nothing is held any more")
        self._held, self._held_at = held, self._clock()

    def _count(self, status: Status) -> None:
        line = counters(status, encodes=self._encodes)
        if line != self._counted:
            self._print(line)
            self._counted, self._shown_at = line, self._clock()

    def _print(self, line: str) -> None:
        line = printable(f"{time.strftime('%H:%M:%S')} {line}")
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Bars:
    """Two bars, and below them what a person may want to know."""

    def __init__(self, console: Console, encodes: bool) -> None:
        self._encodes = encodes
        self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: Status) -> None:
        counts = {"rendered": status.rendered} | ({"encoded": status.encoded} if self._encodes else {})
        lines = [f"{status.running} of {status.workers} workers busy"]
        lines += [f"waiting to retry: {status.retrying}"] if status.retrying else []
        lines += [f"[yellow]{_escaped(hold_line(entry))}[/]" for entry in status.held]
        lines += [f"[red]{_escaped(failure_line(failure))}[/]" for failure in status.failures[-FAILURES_SHOWN:]]
        hidden = len(status.failures) - FAILURES_SHOWN
        lines += [f"[red]and {hidden} failures before these[/]"] if hidden > 0 else []
        lines += [f"[red]{_escaped(status.stuck)}[/]"] if status.stuck else []
        shown = Counts(counts, status.total, pace(status))
        self._live.update(Group(shown, *(Text.from_markup(line) for line in lines)))


class Counts:
    """Shows counts as bars if there is room for them, and the counts themselves at any width."""

    def __init__(self, counts: Mapping[str, int], total: int, note: str) -> None:
        self._counts = {name: (count, f"{count}/{total}") for name, count in counts.items()}
        self._total = total
        self._note = note

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits: names, bars, counts and note side by side; without the bars; or the note below."""
        names = max(map(len, self._counts))
        texts = max(len(text) for _, text in self._counts.values())
        room = options.max_width - names - texts - len(self._note) - len("   ")
        if room >= SHORTEST_BAR:
            yield self._bars(min(room, LONGEST_BAR))
            return
        beside = room >= -len(" ")
        for name, (_, text) in self._counts.items():
            yield Text(f"{name:{names}} {text:>{texts}} {self._note if beside and name == 'rendered' else ''}".rstrip())
        if not beside:
            parts = [self._note] if len(self._note) <= options.max_width else self._note.split(", ")
            yield from map(Text, parts)

    def _bars(self, width: int) -> Table:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(width=width)
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True)
        for name, (count, text) in self._counts.items():
            bar = ProgressBar(total=max(self._total, 1), completed=count, width=width)
            grid.add_row(name, bar, f"[green]{text}[/]", self._note if name == "rendered" else "")
        return grid


def _escaped(line: str) -> str:
    return escape(printable(line))


def _count(held: tuple[Held, ...]) -> int:
    return sum(len(entry.indexes) for entry in held)
