"""The children that a block of clips needs, one a clip.

The built-in renderer takes as long to load as a small clip takes to render. So its next child is started while the
present one renders; it loads everything, and waits for its clip. It is still one child a clip, and each could be
killed at any moment: one that has ended before it got its clip is replaced.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from clipfarm_contract import environment, tree
from clipfarm_contract.fields import ContractError
from clipfarm_contract.program import why_not_started
from clipfarm_contract.result import ChildReport
from clipfarm_render import child_environment
from clipfarm_render.child import Child, ChildEnd
from clipfarm_render.job import SHARED_WORK, TASK
from clipfarm_render.stopping import Stop

BUILT_IN = (sys.executable, "-m", "clipfarm_render.push", "--wait")


class Scratch:
    """A folder for temporary files of a child, whatever that has put there."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="clipfarm-")

    def cleanup(self) -> None:
        """Remove it."""
        tree.remove(Path(self.name))


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


class Children:
    """Starts them, each with a scratch folder of its own; to be left as a context, which ends the one that waits."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._waiting: Started | None = None

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting is not None:
            child, scratch = self._waiting
            child.discard()
            scratch.cleanup()

    def run(self, task: Mapping[str, str], stop: Stop, *, another: bool) -> tuple[ChildEnd, ChildReport]:
        """Give a child its task, and follow it to its end.

        Args:
            task: the variables that tell it what to make.
            stop: when it asks, the child is ended.
            another: whether a child for another clip is to be prepared meanwhile.

        Raises:
            CannotStartError: the command cannot be started, now or later.
            OSError: the child cannot be started now.
        """
        command = self.renderer.command
        child, scratch = self._take() if command is None else self._started(command, task)
        place = Path(scratch.name)
        try:
            if command is None:
                (place / TASK).write_text(json.dumps(dict(task)))
                if another:
                    self._prepare()
            end = child.follow(self.renderer.timeout, stop, place / SHARED_WORK)
            return end, _read_report(_report(place))
        finally:
            child.discard()
            scratch.cleanup()

    @property
    def pids(self) -> set[int]:
        """Processes that wait for the next clip."""
        return set() if self._waiting is None else {self._waiting[0].pid}

    def _prepare(self) -> None:
        # Where it cannot be started, the reason is found when its clip's turn comes.
        with contextlib.suppress(OSError):
            self._waiting = self._built_in()

    def _take(self) -> Started:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting[0].has_ended:
            waiting[0].discard()
            waiting[1].cleanup()
            waiting = None
        return waiting or self._built_in()

    def _built_in(self) -> Started:
        return self._started(BUILT_IN, {}, waits=True)

    def _started(self, command: Sequence[str], task: Mapping[str, str], *, waits: bool = False) -> Started:
        scratch = Scratch()
        try:
            return Child(command, self._environment(Path(scratch.name)) | dict(task), waits=waits), scratch
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


def _report(scratch: Path) -> Path:
    return scratch / "report.json"


def _read_report(path: Path) -> ChildReport:
    try:
        return ChildReport.read(path)
    except ContractError as error:
        return ChildReport(reason=f"its report is unreadable: {error}")
