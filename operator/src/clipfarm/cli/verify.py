"""``clipfarm verify``: compare clips with their hashes, or with clips made again."""

from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import Progress

from clipfarm.cli.made_again import MadeAgain
from clipfarm.cli.options import FolderPath, clips_in, fail, one_line_errors
from clipfarm.local import exported
from clipfarm.local import verify as verification
from clipfarm.units import format_clips, format_count
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.scratch import Scratch
from clipfarm_contract.text import printable

UNREAD = 3
"""Exit code if something could not be read, and nothing else is wrong."""


@click.command()
@click.argument("folder", type=FolderPath())
@click.option("--rerender", type=click.IntRange(0), default=0, help="Make this many clips again and compare them.")
@click.option("--exact", is_flag=True, help="Accept no clip whose bytes differ at all, for --rerender.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "gpu", "cuda", "optix"]),
    default="cpu",
    show_default=True,
    help="What to render on, for --rerender.",
)
@one_line_errors
def verify(*, folder: Path, rerender: int, exact: bool, device: str) -> None:
    """Check every hash of the clips and features in FOLDER, or of an export in it.

    A clip that --rerender makes again is identical; or equal within the bound of another processor or GPU, if another
    one made it; or different, which is a problem.

    Exit code: 0 if all is well, 1 if a clip or its features are wrong, 2 if there is nothing to check, 3 if something
    could not be read and nothing else is wrong.
    """
    if exported.is_export(folder):
        _verify_export(folder, rerender, device, exact=exact)
    run = RunFolder(folder)
    clips = clips_in(run)
    problems = unread = 0
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for clip in bar.track(clips, description="checking"):
            found = verification.look(run, clip)
            for line in [*found.wrong, *(f"cannot be read: {each}" for each in found.unread)]:
                bar.console.print(printable(f"clip {clip}: {line}"))
            problems += len(found.wrong)
            unread += len(found.unread)
    for problem in verification.mixtures(run, clips):
        console.print(printable(problem))
        problems += 1
    features = verification.count_features(run, clips)
    count = format_count(problems, "problem") if problems else "no problems"
    more = f", {unread} that could not be read" if unread else ""
    click.echo(f"checked {format_clips(len(clips))} and {format_count(features, 'feature file')}: {count}{more}")
    with Scratch() as place:
        made = MadeAgain(device, RunFolder(place.path), exact)
        for clip in verification.sample(clips, rerender):
            problems += not made.of_run(run, clip)
    raise SystemExit(1 if problems else UNREAD if unread else 0)


def _verify_export(folder: Path, rerender: int, device: str, *, exact: bool) -> NoReturn:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    files = exported.count_files(folder)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking", total=files)
        found = exported.examine(folder, lambda: bar.advance(task))
    for line in [*found.wrong, *(f"cannot be read: {each}" for each in found.unread)]:
        console.print(printable(line))
    problems, unread = len(found.wrong), len(found.unread)
    count = format_count(problems, "problem") if problems else "no problems"
    more = f", {unread} that could not be read" if unread else ""
    click.echo(f"checked {format_count(files, 'file')} of an export: {count}{more}")
    if rerender and not problems:
        try:
            clips = exported.clips(folder)
        except exported.ExportedError as error:
            fail(str(error))
        with Scratch() as place:
            made = MadeAgain(device, RunFolder(place.path), exact)
            for clip in verification.sample(clips, rerender):
                problems += not made.of_export(folder, clip)
    raise SystemExit(1 if problems else UNREAD if unread else 0)
