"""``clipfarm watch``: a run in a cluster until it has finished."""

import asyncio
import time
from typing import Any

import click

from clipfarm.cli.in_cluster import find, run_arguments, with_cluster

AGAIN_SECONDS = 1.0


@click.command()
@run_arguments
def watch(*, name: str, namespace: str | None) -> None:
    """Follow the run NAME in the cluster of the current kubeconfig, until it has finished.

    Exit code: 0 when every clip is done, 1 when some failed or the run was deleted, 2 where there is no such run.
    """
    with_cluster(lambda api, inside: _follow(api, inside, name), namespace)


async def _follow(api: Any, namespace: str, name: str) -> int:
    from clipfarm.cluster.api import FAULTS, ApiError, WatchExpiredError

    shown = _Shown()
    while True:
        run = await find(api, namespace, name)
        path = f"/apis/{run['apiVersion']}/namespaces/{namespace}/benchmarkruns"
        try:
            if shown.show(run):
                return shown.code
            version = run["metadata"]["resourceVersion"]
            async for kind, item in api.watch(path, version, fieldSelector=f"metadata.name={name}"):
                if kind == "DELETED":
                    click.echo(f"{name}: deleted")
                    return 1
                if kind != "BOOKMARK" and shown.show(item):
                    return shown.code
        except WatchExpiredError:
            continue
        except (ApiError, *FAULTS):
            # It is on its way out or in; what is for good is found out by the next look.
            await asyncio.sleep(AGAIN_SECONDS)


class _Shown:
    """What was shown last: a line is shown once."""

    def __init__(self) -> None:
        self.code = 0
        self._counters = ""
        self._notes: list[str] = []

    def show(self, run: dict[str, Any]) -> bool:
        """Show what is new; tell whether the run has finished."""
        from clipfarm.cluster.report import FINISHED, counters, notes, phase

        line = f"{phase(run)}: {counters(run)}"
        now = list(notes(run))
        if line != self._counters:
            click.echo(f"{time.strftime('%H:%M:%S')} {line}")
        for note in now:
            if note not in self._notes:
                click.echo(note)
        self._counters, self._notes = line, now
        self.code = 0 if phase(run) == "Succeeded" else 1
        return phase(run) in FINISHED
