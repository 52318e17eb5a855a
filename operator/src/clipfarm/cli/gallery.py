"""``clipfarm gallery``: a page to look at the clips of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from clipfarm.cli.options import FolderPath, clips_in, fail, one_line_errors
from clipfarm.cli.output import show
from clipfarm.units import format_clips
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.layout import RunFolder

if TYPE_CHECKING:
    from clipfarm.gallery.rows import Row

PROBLEMS_SHOWN = 5


@click.command()
@click.argument("folder", type=FolderPath())
@click.option("--output", type=FolderPath(), help="Folder of the gallery.  [default: FOLDER/gallery]")
@click.option("--thumbnails/--no-thumbnails", default=True, help="Make a strip of small pictures for each clip.")
@click.option(
    "--features", multiple=True, help="Show this feature set as colours, too; SET/TENSOR for a layer. May be repeated."
)
@one_line_errors
def gallery(*, folder: Path, output: Path | None, thumbnails: bool, features: tuple[str, ...]) -> None:
    """Make a page that shows the clips of FOLDER, which a browser opens as a file.

    The page filters clips by phase and factor, plots factors and outcomes, plays each clip and shows its truth. It
    needs neither a server nor a network. Run the command again to add clips that are new; their thumbnails alone are
    made. Exit code: 0 when the page is written, 2 if there is nothing to show or for a mistake in the command line.
    """
    from clipfarm.gallery.rows import Failure, Row, failures, rows
    from clipfarm.gallery.write import foreign, write

    run = RunFolder(folder)
    clips = clips_in(run)
    target = output or folder / "gallery"
    if target in (folder, *folder.parents):
        fail(f"--output: found {target}, expected a folder of its own for the gallery")
    if theirs := foreign(target):
        fail(f"--output: found {target / theirs} of another page, expected a folder of its own for the gallery")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        found = list(bar.track(rows(run, clips), total=len(clips), description="reading"))
        complete = [row for row in found if isinstance(row, Row)]
        if thumbnails:
            _make_strips(run, complete, target, bar)
        for name in features:
            _make_feature_strips(name, run, complete, target, bar)
        failed = [each for each in found if isinstance(each, Failure)]
        failed += failures(run, (row.index for row in complete))
        write(target, run, complete, failed)
    more = f", {len(failed)} failures" if failed else ""
    show(f"gallery of {format_clips(len(complete))}{more}: {(target / 'index.html').as_uri()}")


def _make_strips(run: RunFolder, complete: Sequence["Row"], target: Path, bar: Progress) -> None:
    try:
        from clipfarm.gallery import strips
    except ImportError:
        fail("thumbnails need Pillow: pip install 'clipfarm[gallery]', or use --no-thumbnails")
    task = bar.add_task("thumbnails", total=len(complete))
    clips = [(row.index, run.clip(row.index)) for row in complete]
    problems = strips.make_all(clips, target, available_cpus(), lambda: bar.advance(task))
    _report(problems, "thumbnail")


def _make_feature_strips(name: str, run: RunFolder, complete: Sequence["Row"], target: Path, bar: Progress) -> None:
    try:
        from clipfarm.gallery import feature_strips
    except ImportError as error:
        fail(f"--features needs {error.name}: pip install 'clipfarm[gallery]'")
    task = bar.add_task(name, total=len(complete))
    clips = [(row.index, run.clip(row.index)) for row in complete]
    try:
        problems = feature_strips.make_all(name, clips, target, available_cpus(), lambda: bar.advance(task))
    except feature_strips.StripError as error:
        fail(str(error))
    _report(problems, f"picture of {name}")


def _report(problems: Mapping[int, str], what: str) -> None:
    for index, problem in sorted(problems.items())[:PROBLEMS_SHOWN]:
        show(f"clip {index} has no {what}: {problem}")
    if len(problems) > PROBLEMS_SHOWN:
        show(f"and {len(problems) - PROBLEMS_SHOWN} others have none")
