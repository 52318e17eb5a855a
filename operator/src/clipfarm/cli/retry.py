"""``clipfarm retry``: another attempt at what has failed in a cluster."""

from typing import Any

import click

from clipfarm.cli.in_cluster import find, run_arguments, with_cluster
from clipfarm.cli.options import fail


@click.command()
@run_arguments
@click.option("--failed", is_flag=True, hidden=True, expose_value=False, help="Once required; changes nothing.")
def retry(*, name: str, namespace: str | None) -> None:
    """Try the failed clips of the run NAME again, once the run has finished.

    The operator replaces the run's Job by a new one of these clips alone; complete clips stay as they are. Exit code:
    0 when the attempt is recorded in the run, 2 when there is nothing to try again.
    """

    async def work(api: Any, inside: str) -> int:
        from clipfarm.cluster.acting.retrying import NothingToRetryError, annotations, job_name
        from clipfarm.cluster.api.client import MERGE_PATCH
        from clipfarm.cluster.api.paths import run_path

        run = await find(api, inside, name)
        try:
            job = await api.get(f"/apis/batch/v1/namespaces/{inside}/jobs/{job_name(run)}")
            made, what = annotations(run, job)
        except NothingToRetryError as error:
            fail(f"{name}: {error}")
        metadata = {"annotations": made, "resourceVersion": run["metadata"]["resourceVersion"]}
        await api.patch(run_path((inside, name)), {"metadata": metadata}, MERGE_PATCH)
        click.echo(f"{name}: tries again {what}")
        return 0

    with_cluster(work, namespace)
