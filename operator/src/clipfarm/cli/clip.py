"""``clipfarm clip``: one clip made again from its own records."""

import os
from pathlib import Path

import click

from clipfarm.cli.made_again import MadeAgain
from clipfarm.cli.options import FolderPath, fail, one_line_errors
from clipfarm.local import exported
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
@click.option("--exact", is_flag=True, help="Accept no clip whose bytes differ at all.")
@one_line_errors
def clip(*, folder: Path, index: int, output: Path | None, device: str, exact: bool) -> None:
    """Make clip INDEX of FOLDER, a run or an export of one, again, and compare it with the existing one.

    The clip's clip.json or ground_truth.json has everything that is needed. Exit code: 0 if every byte is the same, or
    if no more differs than another processor or GPU can change; 1 if more does, or if the clip cannot be made; 2 for a
    mistake in the command line.
    """
    found = RunFolder(folder).clip(index)
    in_export = exported.is_export(folder)
    if not in_export and not found.folder.is_dir():
        fail(f"{found.folder}: not a folder")
    if output is not None and output == folder:
        fail(f"--output: found {output}, expected another folder than that of the clip")
    if output is not None and os.path.lexists(kept := RunFolder(output).clip(index).folder):
        fail(f"--output: {kept} exists already; move it away, or name another folder")
    with Scratch() as place:
        into = RunFolder(output or place.path)
        made = MadeAgain(device, into, exact)
        well = made.of_export(folder, index) if in_export else made.of_run(RunFolder(folder), index)
        if output and into.clip(index).manifest.exists():
            click.echo(f"kept in {into.clip(index).folder}")
    raise SystemExit(0 if well else 1)
