"""``clipfarm-export``, which ``clipfarm export`` becomes: the command line."""

import os
import signal
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from clipfarm_contract import streams
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.signals import not_ignored
from clipfarm_contract.text import printable
from clipfarm_export.destination.folder import Folder
from clipfarm_export.destination.named import destination
from clipfarm_export.ending import reported
from clipfarm_export.errors import ExportError
from clipfarm_export.existing import Existing, Outcome
from clipfarm_export.export import export, module
from clipfarm_export.options import FORMATS, MIB, VIDEOS, Options
from clipfarm_export.progress import display

MOST_CLIPS = 1_000_000
"""That one command may name: each that is not there is listed in the export."""
USAGE = 2
FAILED = 1
_NOT_OF_A_LINE = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: controls, halves of pairs, ends of lines. Wide spaces and joiners belong to scripts."""
_SIGNALLED = 128
"""A program that signal N ends exits with 128 + N."""


CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "max_content_width": 100,
}


@click.command(context_settings=CONTEXT)
@click.argument("run_folder", type=click.Path())
@click.argument("dest")
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="What reads it.")
@click.option("--name", required=True, help="Title of the data set.")
@click.option("--license", "license_", required=True, help="Identifier of its licence, such as cc-by-4.0.")
@click.option(
    "--video",
    type=click.Choice(VIDEOS),
    default="lossless",
    show_default=True,
    help="How frames are stored: exactly, as browsers play them, or as the rendered pictures.",
)
@click.option(
    "--features", multiple=True, metavar="NAME", help="Feature set to export, too; may be repeated; all: every one."
)
@click.option("--layers", default="", metavar="NAMES", help="Layers to export, too, as depth,flow.")
@click.option(
    "--previews", type=click.IntRange(0, 1000), default=24, show_default=True, help="Clips that get a video for people."
)
@click.option(
    "--shard-size",
    type=click.IntRange(1),
    help="About how many MiB a file of clips has.  [default: 500 for hf, 1000 for webdataset, 200 for lerobot]",
)
@click.option("--clips", "only", metavar="RANGES", help="Only these clips of the folder, as 0-99,105.")
@click.option(
    "--replace", is_flag=True, help="Remove an export of other clips or options in DEST, but continue the same one."
)
@click.option("--overwrite", is_flag=True, help="Remove any export that is in DEST first.")
@click.option("--allow-left-out", is_flag=True, help="Exit with 0 also if clips that are there were left out.")
@click.option(
    "--termination-message", type=click.Path(path_type=Path), help="Write there, as JSON, what the export came to."
)
@click.pass_context
def command(
    context: click.Context,
    *,
    run_folder: str,
    dest: str,
    format_: str,
    name: str,
    license_: str,
    video: str,
    features: tuple[str, ...],
    layers: str,
    previews: int,
    shard_size: int | None,
    only: str | None,
    replace: bool,
    overwrite: bool,
    allow_left_out: bool,
    termination_message: Path | None,
) -> None:
    """Write the clips of RUN_FOLDER as a data set into DEST: a folder, or an address such as s3://bucket/name.

    Only complete clips are exported, and each one's hashes are computed first. The same command continues an export
    that was stopped, and the same clips give the same bytes.

    Exit code: 0 if every clip is exported, 1 if clips that are there were left out or the system refused a file, 2 for
    a mistake in the command line, 128 + N if signal N ended it.
    """
    asked = Options(
        format=format_,
        name=name,
        license=license_,
        video=video,
        features=tuple(dict.fromkeys(features)),
        layers=tuple(dict.fromkeys(filter(None, (each.strip() for each in layers.split(","))))),
        previews=previews,
        shard_bytes=(shard_size or module(format_).SHARD_MIB) * MIB,
    )
    existing = Existing.REMOVE if overwrite else Existing.REPLACE if replace else Existing.KEEP
    with reported(termination_message) as report:
        try:
            for which, value in (("RUN_FOLDER", run_folder), ("DEST", dest)):
                if not value:  # of an unset variable; it would be the current folder
                    raise ExportError(f"{which}: found nothing, expected a folder")
            run = RunFolder(Path(run_folder))
            if not run.root.is_dir():
                raise ExportError(f"{run.root}: not a folder")
            options = _with_words(asked)
            place = destination(dest)
            _apart(run.root, place)
            console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
            with display(console) as progress, _naming(place.url):
                outcome = export(run, place, options, progress, existing=existing, only=_clips(only))
        except ExportError as error:
            report.failed(str(error))
            click.echo(printable(f"{context.command_path}: {error}"), err=True)
            raise SystemExit(USAGE) from None
        report.made(outcome)
    _summarise(outcome, place.url)
    raise SystemExit(1 if any(each.is_there for each in outcome.left_out) and not allow_left_out else 0)


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Name the destination in an error of the system that names no file, as of a disk that is full."""
    try:
        yield
    except OSError as error:
        if error.filename or error.errno is None:
            raise
        raise OSError(error.errno, f"{os.strerror(error.errno)}; the same command continues", url) from error


def _with_words(options: Options) -> Options:
    """Return options, unless the card would have no title or licence, or more than a line of it."""
    for name, value, expected in (
        ("--name", options.name, "a title"),
        ("--license", options.license, "an identifier such as cc-by-4.0"),
    ):
        if not value.strip() or any(unicodedata.category(each) in _NOT_OF_A_LINE for each in value):
            raise ExportError(f"{name}: found {value[:60]!r}, expected {expected}, on one line")
    return options


def _clips(given: str | None) -> Indexes | None:
    if given is None:
        return None
    try:
        found = Indexes.parse(given)
    except ValueError as error:
        raise ExportError(f"--clips: {error}") from None
    if not found:
        raise ExportError("--clips: found none, expected ranges such as 0-99,105")
    if len(found) > MOST_CLIPS:
        raise ExportError(f"--clips: found {len(found)} clips, expected {MOST_CLIPS} at most")
    return found


def _apart(run: Path, place: object) -> None:
    """Refuse a destination inside of the run: no program adds files to it but those that make it."""
    if isinstance(place, Folder):
        ours, theirs = place.root.resolve(), run.resolve()
        if ours == theirs or theirs in ours.parents or ours in theirs.parents:
            raise ExportError(f"{place.root}: found a folder that holds the run or lies in it, expected one beside it")


def _summarise(outcome: Outcome, url: str) -> None:
    begun = "complete already: " if outcome.was_complete else "exported "
    click.echo(printable(f"{begun}{outcome.clips} clips in {outcome.files} files, {outcome.size / MIB:.1f} MiB: {url}"))
    for each in outcome.left_out[:10]:
        click.echo(printable(f"left out: {each.clip}: {each.reason}"))
    if len(outcome.left_out) > 10:
        click.echo(f"left out: {len(outcome.left_out) - 10} more, listed in export.json")


def main(name: str = "clipfarm-export") -> None:
    """Run the command line; a mistake is reported in one line.

    A signal ends it with 128 + its number. What it was making is removed on the way out; what is finished stays.
    """
    streams.guard(name)
    for number in not_ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        command.main(prog_name=name, standalone_mode=False)
    except SystemExit as ended:
        if isinstance(ended.code, int) and ended.code > _SIGNALLED:
            which = signal.Signals(ended.code - _SIGNALLED).name
            click.echo(f"{name}: stopped by {which}; the same command continues", err=True)
        raise
    except click.UsageError as error:
        click.echo(printable(f"{name}: {' '.join(error.format_message().split())}"), err=True)
        sys.exit(USAGE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(printable(f"{name}: {where}{error.strerror or error}"), err=True)
        sys.exit(FAILED)


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(_SIGNALLED + number)
