"""``clipfarm watch``: a run in a cluster until it has finished."""

import asyncio
import signal
import time
from collections.abc import Iterator
from typing import Any

import click

from clipfarm.cli.in_cluster import find, run_arguments, with_cluster
from clipfarm.cli.output import unread

AGAIN_SECONDS = 1.0
REPEAT_SECONDS = 60.0
"""Time after which a run that does not progress shows again what it waits for."""


@click.command()
@run_arguments
def watch(*, name: str, namespace: str | None) -> None:
    """Follow the run NAME in the cluster of the current kubeconfig, until it has finished.

    Exit code: 0 when every clip is done, 1 when some failed or the run was deleted, 2 where there is no such run.
    """
    with_cluster(lambda api, inside: _follow(api, inside, name), namespace)


async def _follow(api: Any, namespace: str, name: str) -> int:
    shown = _Shown()
    repeating = asyncio.create_task(_repeat(shown))
    try:
        return await _show_changes(api, namespace, name, shown)
    finally:
        repeating.cancel()


async def _repeat(shown: "_Shown") -> None:
    """Repeat what a run waits for, because a run that does not progress brings no new line."""
    while True:
        await asyncio.sleep(AGAIN_SECONDS)
        shown.repeat(time.time())


async def _show_changes(api: Any, namespace: str, name: str, shown: "_Shown") -> int:
    from clipfarm.cluster.api.errors import FAULTS, ApiError, WatchExpiredError

    while True:
        run = await find(api, namespace, name)
        path = f"/apis/{run['apiVersion']}/namespaces/{namespace}/benchmarkruns"
        try:
            if shown.show(run, time.time()):
                return shown.code
            version = run["metadata"]["resourceVersion"]
            async for kind, item in api.watch(path, version, fieldSelector=f"metadata.name={name}"):
                if kind == "DELETED":
                    click.echo(f"{name}: deleted")
                    return 1
                if kind != "BOOKMARK" and shown.show(item, time.time()):
                    return shown.code
        except WatchExpiredError:
            continue
        except (ApiError, *FAULTS):
            # A fault that lasts is found by the next request.
            await asyncio.sleep(AGAIN_SECONDS)


class _Shown:
    """What was shown last: a line is shown once, and again while the run does not progress."""

    def __init__(self) -> None:
        self.code = 0
        self._run: dict[str, Any] = {}
        self._counters = ""
        self._notes: list[str] = []
        self._shown_at = 0.0

    def show(self, run: dict[str, Any], wall: float) -> bool:
        """Show what is new, and return whether the run has finished."""
        from clipfarm.cluster.reporting.summary import FINISHED, counters, notes, phase

        line = f"{phase(run)}: {counters(run)}"
        now = list(notes(run))
        if line != self._counters:
            self._print(line, wall)
        for note in now:
            if note not in self._notes:
                _echo(note)
                self._shown_at = wall
        self._run, self._counters, self._notes = run, line, now
        self.code = 0 if phase(run) == "Succeeded" else 1
        return phase(run) in FINISHED

    def repeat(self, wall: float) -> None:
        """Show what the run waits for, or that no operator watches it, if nothing was shown for a minute."""
        if not self._run or wall < self._shown_at + REPEAT_SECONDS:
            return
        again = list(self._standstill(wall))
        if again:
            self._print(self._counters, wall)
        for note in again:
            _echo(note)

    def _standstill(self, wall: float) -> Iterator[str]:
        from clipfarm.cluster.reporting.summary import unattended, waits

        yield from unattended(self._run, wall)
        yield from waits(self._run)

    def _print(self, line: str, wall: float) -> None:
        _echo(f"{time.strftime('%H:%M:%S', time.localtime(wall))} {line}")
        self._shown_at = wall


def _echo(line: str) -> None:
    """Print a line; end the program, as a signal would, once nothing reads its output."""
    click.echo(line)
    if unread():
        raise SystemExit(128 + signal.SIGPIPE)
