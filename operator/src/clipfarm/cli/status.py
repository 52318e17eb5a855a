"""``clipfarm status``: where a run in a cluster stands."""

import time
from typing import Any

import click

from clipfarm.cli.in_cluster import find, run_arguments, with_cluster


@click.command()
@run_arguments
def status(*, name: str, namespace: str | None) -> None:
    """Show where the run NAME stands in the cluster of the current kubeconfig.

    Exit code: 0, also for a run in which clips have failed; 2 where there is no such run.
    """

    async def work(api: Any, inside: str) -> int:
        from clipfarm.cluster.reporting.summary import lines

        for line in lines(await find(api, inside, name), time.time()):
            click.echo(line)
        return 0

    with_cluster(work, namespace)
