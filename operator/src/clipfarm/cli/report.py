"""``clipfarm report``: writes the report of a run in a cluster, in the run's last pod."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from clipfarm.cli.options import fail, os_error_line
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder


@click.command(hidden=True)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--name", required=True, help="The run's name.")
@click.option("--namespace", required=True, help="The run's namespace.")
@click.option("--clips", default="", help="The run's clips, as 0-99,105.")
@click.option("--videos", is_flag=True, help="Its clips are those of videos; nothing was rendered.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads a clip.")
@click.option("--workers", type=click.IntRange(1), help="Clips at a time; left out if the status has their number.")
@click.option("--model", default="", help="The encoders' model; left out if nothing was to be encoded.")
@click.option("--created", help="When the run was created.")
@click.option("--status", envvar="CLIPFARM_STATUS", show_envvar=True, required=True, help="Its last status, JSON.")
def report(
    *,
    output: Path,
    name: str,
    namespace: str,
    clips: str,
    videos: bool,
    threads: int,
    workers: int | None,
    model: str,
    created: str | None,
    status: str,
) -> None:
    """Write report.md and report.json of a run that has ended in a cluster into its folder.

    Exit code: 0 when they are written, 1 when the folder cannot be written, 2 for a mistake in the command line.
    """
    from clipfarm.local.cluster_report import Ended, write

    if videos == bool(clips):
        fail("report: expected either --clips or --videos")
    try:
        since = datetime.fromisoformat(created) if created else None
        run = Ended(name, namespace, Indexes.parse(clips), threads, workers, model, since, _status(status))
    except ValueError as error:
        fail(f"report: {error}")
    try:
        write(RunFolder(output), run)
    except OSError as error:
        click.echo(f"report: {os_error_line(error)}", err=True)
        raise SystemExit(1) from None


def _status(text: str) -> dict[str, Any]:
    """Return a status that is at least an object, whose failures are a list of objects."""
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("--status: not JSON") from None
    failures = status.get("failures", []) if isinstance(status, dict) else None
    if not isinstance(failures, list) or not all(isinstance(each, dict) for each in failures):
        raise ValueError("--status: expected an object as the operator writes it")
    return dict(status)
