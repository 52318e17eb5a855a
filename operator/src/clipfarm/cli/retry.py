"""``clipfarm retry``: another attempt at what has failed in a cluster."""

from typing import Any

import click

from clipfarm.cli.in_cluster import find, run_arguments, with_cluster
from clipfarm.cli.options import fail


@click.command()
@run_arguments
@click.option("--failed", is_flag=True, required=True, help="Try again what has failed; there is nothing else yet.")
def retry(*, name: str, namespace: str | None, failed: bool) -> None:
    """Try the clips of the run NAME again that failed, once it has finished.

    The operator makes a new Job of these clips alone in the place of the one that has ended; clips that are complete
    stay as they are. Exit code: 0 when the operator was told, 2 when there is nothing to try again.
    """
    assert failed, "the option is required"

    async def work(api: Any, inside: str) -> int:
        from clipfarm.cluster.api import MERGE_PATCH
        from clipfarm.cluster.paths import run_path
        from clipfarm.cluster.retrying import NothingToRetryError, annotations, job_name

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
