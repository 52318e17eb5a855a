"""``clipfarm clip``: one clip made again from its own records."""

from pathlib import Path

import click

from clipfarm.cli.options import FolderPath, fail, one_line_errors
from clipfarm.cli.output import show
from clipfarm.local.remake import RemakeError, differences, remake
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.scratch import Scratch


@click.command()
@click.argument("folder", type=FolderPath())
@click.argument("index", type=click.IntRange(0))
@click.option("--output", type=FolderPath(), help="Keep the new clip in this folder.  [default: compare only]")
@click.option(
    "--device",
    type=click.Choice(["cpu", "gpu", "cuda", "optix"]),
    default="cpu",
    show_default=True,
    help="What to render on.",
)
@one_line_errors
def clip(*, folder: Path, index: int, output: Path | None, device: str) -> None:
    """Make clip INDEX of FOLDER again, and compare it with the existing one.

    The clip's clip.json or ground_truth.json has everything that is needed. Exit code: 0 if every byte is the same, 1
    if not or if the clip cannot be made, 2 for a mistake in the command line.
    """
    found = RunFolder(folder).clip(index)
    if not found.folder.is_dir():
        fail(f"{found.folder}: not a folder")
    if output is not None and output == folder:
        fail(f"--output: found {output}, expected another folder than that of the clip")
    with Scratch() as place:
        try:
            again = remake(found, RunFolder(output or place.path), device)
            different = differences(found, again)
        except RemakeError as error:
            show(f"clip {index}: {error}")
            raise SystemExit(1) from None
    for difference in different:
        show(f"clip {index}, made again: {difference}")
    if not different:
        click.echo(f"clip {index}, made again: every byte is the same")
    if output:
        click.echo(f"kept in {again.folder}")
    raise SystemExit(1 if different else 0)
