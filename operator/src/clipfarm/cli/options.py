"""Options that ``local`` and ``plan`` share, and how they change a run."""

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from clipfarm.cli.output import show
from clipfarm.local import exported
from clipfarm.local.job import Job, spread
from clipfarm.run import Run
from clipfarm.run_file import RunFileError, read_run
from clipfarm_contract.layout import RunFolder

Command = TypeVar("Command", bound=Callable[..., Any])

USAGE = 2
"""Exit code for a mistake that the caller has to fix; click's own, too."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options that ``local`` and ``plan`` share."""

    workers: int | None
    seed: int | None
    start_job: int | None
    end_job: int | None
    hold_for_vram: bool
    test: bool
    test_clips: int | None
    no_encode: bool
    no_gif: bool

    def read(self, path: Path) -> Run:
        """Read the run file, with this command line's values in place of the file's; ends the program where wrong."""
        values: dict[tuple[str, ...], Any] = {
            ("spec", "workers"): self.workers,
            ("spec", "seed"): self.seed,
            ("spec", "clips", "start"): self.start_job,
            ("spec", "clips", "end"): self.end_job,
            ("spec", "vram", "enabled"): self.hold_for_vram or None,
            ("spec", "encode", "enabled"): False if self.no_encode else None,
            ("spec", "experiment", "preview"): False if self.no_gif else None,
        }
        try:
            return read_run(path, {place: value for place, value in values.items() if value is not None})
        except RunFileError as error:
            # Of a file that is right by itself, an option is wrong.
            with suppress(RunFileError):
                self.refuse_with_source(read_run(path, {}))
            fail(*error.lines)

    def refuse_with_source(self, run: Run, **others: object) -> None:
        """End the program if a run renders nothing, and an option is about rendering, or about what follows it."""
        if run.spec.source is None:
            return
        given = {each.name: getattr(self, each.name) for each in fields(self)} | others
        names = [
            f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None and value is not False
        ]
        if names:
            fail(f"{', '.join(names)}: expected only with an experiment; this run has a source")

    def job(self, run: Run, output: Path) -> Job:
        """Return a run with the clips that are wanted and the folder they go to."""
        clips = range(run.spec.to_render.start, run.spec.to_render.end + 1)
        if self.is_test:
            return Job(run, RunFolder(output), spread(run, self.test_clips))
        return Job(run, RunFolder(output), tuple(clips))

    @property
    def is_test(self) -> bool:
        """Whether only some clips are made."""
        return self.test or self.test_clips is not None


class FolderPath(click.Path):
    """A folder's path; refuses the empty one, which an unset variable gives and which would be the current folder.

    It need not exist, but what leads to it and exists has to be a folder.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, absolute."""
        if not str(value):
            self.fail("found nothing, expected a folder", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx))).absolute()
        found = next((each for each in (path, *path.parents) if os.path.lexists(each)), path)
        if os.path.lexists(found) and not os.path.isdir(found):  # noqa: PTH112 - pathlib's raises for some paths
            self.fail(f"found {found}, expected a folder", param, ctx)
        return path


def run_options(command: Command) -> Command:
    """Add the shared options to a command; it gets them as the keyword ``options``."""

    @functools.wraps(command)
    def with_options(**arguments: Any) -> Any:
        names = Options.__dataclass_fields__.keys()
        options = Options(**{name: arguments.pop(name) for name in names})
        return command(options=options, **arguments)

    decorated: Any = with_options
    for option in reversed(
        [
            click.option(
                "--workers",
                type=click.IntRange(1),
                help="Clips to render at a time.  [default: CPUs / render.threads - 2; on GPUs at most 2 per GPU]",
            ),
            click.option("--seed", type=click.IntRange(0), help="Seed of the run, in place of spec.seed."),
            click.option("--start-job", type=click.IntRange(0), help="First clip, in place of spec.clips.start."),
            click.option("--end-job", type=click.IntRange(0), help="Last clip, included, in place of spec.clips.end."),
            click.option(
                "--hold-for-vram",
                "--auto-scale",
                "hold_for_vram",
                is_flag=True,
                help="Hold clips back while GPU memory is high (spec.vram).",
            ),
            click.option("--test", is_flag=True, help="Make a few clips over all phases; then forecast."),
            click.option(
                "--test-clips",
                type=click.IntRange(1),
                help="Number of these clips; implies --test.  [default: 5, or one of each phase if there are more]",
            ),
            click.option("--no-encode", is_flag=True, help="Render only."),
            click.option("--no-gif", is_flag=True, help="Make no preview.gif."),
        ]
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def page_options(command: Command) -> Command:
    """Add the address of a page that is served while the command runs."""
    port = click.option(
        "--page-port", type=click.IntRange(0, 65535), help="Serve a page that shows the run live at this port; 0: any."
    )
    host = click.option("--page-host", default="127.0.0.1", show_default=True, help="Address of that page.")
    return port(host(command))


def one_line_errors(command: Command) -> Command:
    """Report an error of the system (a name that is too long, a file in place of a folder) in one line."""

    @functools.wraps(command)
    def guarded(**arguments: Any) -> Any:
        try:
            return command(**arguments)
        except OSError as error:
            fail(os_error_line(error))

    return guarded  # type: ignore[return-value]


def os_error_line(error: OSError) -> str:
    """Return which path the system refused, and why."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def fail(*lines: str) -> NoReturn:
    """Print lines to standard error and end with the exit code for usage."""
    for line in lines:
        show(line, error=True)
    raise SystemExit(USAGE)


def clips_in(run: RunFolder) -> list[int]:
    """Return the clips of a folder, at least one; ends the program where there are none."""
    clips = run.clips()
    if not run.root.is_dir():
        fail(f"{run.root}: not a folder")
    if not clips and exported.is_export(run.root):
        fail(f"{run.root}: found an export, expected the folder of the run, with folders such as clip_00042")
    if not clips:
        fail(f"{run.root}: no clips, expected folders such as clip_00042")
    return clips
