"""The children that a block of clips needs.

The built-in renderer takes as long to load as a small clip takes to render. So its next child is started while the
present one renders; it loads everything, and waits for its clip. Each could be killed at any moment: one that has ended
before it got its clip is replaced.

On a CPU it is one child a clip. On a GPU a child makes one clip after the other, as a new one would have to set up the
GPU, too; it is replaced after a number of clips, and after one that failed.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from clipfarm_contract import environment
from clipfarm_contract.fields import ContractError
from clipfarm_contract.program import why_not_started
from clipfarm_contract.result import ChildReport, VramUse
from clipfarm_contract.scratch import Scratch
from clipfarm_render.job import SHARED_WORK, TASK, forget_prepared
from clipfarm_render.supervising import child_environment
from clipfarm_render.supervising.child import Child, ChildEnd
from clipfarm_render.supervising.stopping import Stop
from clipfarm_render.supervising.watch import End
from clipfarm_render.vram.observer import VramObserver
from clipfarm_render.vram.use import in_all

BUILT_IN = (sys.executable, "-m", "clipfarm_render.clip", "--wait")


Started: TypeAlias = tuple[Child, Scratch]


class CannotStartError(Exception):
    """The user's own renderer cannot be started, for this clip or any other; the message says why."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """How clips are made."""

    command: tuple[str, ...] | None
    """The user's own renderer; None for the built-in one."""
    device: str
    timeout: float
    """s a clip"""
    clips_per_process: int = 1
    """How many clips one process of the built-in renderer makes, at the most."""


class Children:
    """Starts them, each with a scratch folder of its own; to be left as a context, which ends the one that waits."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._waiting: Started | None = None
        self.go_on = False
        """Whether the child of the last clip waits for the next one."""
        self._gpu = VramObserver() if renderer.device != "cpu" else None

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting is not None:
            _drop(self._waiting)
        if self._gpu is not None:
            self._gpu.close()

    def run(self, task: Mapping[str, str], stop: Stop, *, another: bool) -> tuple[ChildEnd, ChildReport]:
        """Give a child its task, and follow it until it is done.

        Args:
            task: the variables that tell it what to make.
            stop: when it asks, the child is ended.
            another: whether another clip comes after this one, for which a child is to be there.

        Raises:
            CannotStartError: the command cannot be started, now or later.
            OSError: the child cannot be started now.
        """
        command, self.go_on = self.renderer.command, False
        forget_prepared()
        started = self._take() if command is None else self._started(command, task)
        child, scratch = started
        place = scratch.path
        try:
            if command is None:
                _report(place).unlink(missing_ok=True)
                (place / TASK).write_text(json.dumps(dict(task)))
                if another and child.clips + 1 >= self.renderer.clips_per_process:
                    self._prepare()
            if self._gpu is not None:
                self._gpu.begin(child.pid, child.started)
            end = child.follow(self.renderer.timeout, stop, place / SHARED_WORK)
            if self._gpu is not None:
                end = replace(end, vram=self._vram(child, end, Path(task[environment.CLIP_CACHE])))
            self.go_on = end.how is End.ANSWERED and another and child.clips < self.renderer.clips_per_process
            report = _read_report(_report(place))
        finally:
            if not self.go_on:
                _drop(started)
            forget_prepared()
        if self.go_on:
            self._waiting = started
        return end, report

    @property
    def pids(self) -> set[int]:
        """Processes that wait for the next clip."""
        return set() if self._waiting is None else {self._waiting[0].pid}

    def _vram(self, child: Child, end: ChildEnd, cache: Path) -> VramUse | None:
        assert self._gpu is not None
        counted = end.vram
        lives = end.how is End.ANSWERED
        measured = self._gpu.end(child.pid, lives=lives, at_least=counted.peak_mib if counted else 0.0)
        return in_all(counted, measured, cache)

    def _prepare(self) -> None:
        # Where it cannot be started, the reason is found when its clip's turn comes.
        with contextlib.suppress(OSError):
            self._waiting = self._built_in()

    def _take(self) -> Started:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting[0].has_ended:
            _drop(waiting)
            waiting = None
        return waiting or self._built_in()

    def _built_in(self) -> Started:
        return self._started(BUILT_IN, {}, waits=True)

    def _started(self, command: Sequence[str], task: Mapping[str, str], *, waits: bool = False) -> Started:
        scratch = Scratch()
        try:
            return Child(command, self._environment(scratch.path) | dict(task), waits=waits), scratch
        except OSError as error:
            scratch.cleanup()
            if command is self.renderer.command and (why := why_not_started(command, error)):
                raise CannotStartError(f"COMMAND: {why}") from error
            raise

    def _environment(self, scratch: Path) -> dict[str, str]:
        return child_environment.compose(os.environ, scratch, own_command=self.renderer.command is not None) | {
            environment.CLIP_DEVICE: self.renderer.device,
            environment.CLIP_REPORT: str(_report(scratch)),
        }


def _drop(started: Started) -> None:
    child, scratch = started
    child.discard()
    scratch.cleanup()


def _report(scratch: Path) -> Path:
    return scratch / "report.json"


def _read_report(path: Path) -> ChildReport:
    try:
        return ChildReport.read(path)
    except ContractError as error:
        return ChildReport(reason=f"its report is unreadable: {error}")
