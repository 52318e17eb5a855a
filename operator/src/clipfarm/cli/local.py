"""``clipfarm local``: a run on this machine."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from rich.console import Console

from clipfarm.cli import exporting, needs, videos
from clipfarm.cli.exporting import export_options
from clipfarm.cli.options import FolderPath, Options, fail, one_line_errors, os_error_line, page_options, run_options
from clipfarm.cli.output import Sayer
from clipfarm.cli.plan import describe
from clipfarm.decide.status import Status
from clipfarm.local import executor, scan
from clipfarm.local.job import Job
from clipfarm.local.progress import counters, display
from clipfarm.local.report import Forecast, forecast, grouped, write_report
from clipfarm.units import format_bytes, format_clips, format_count, format_duration
from clipfarm_contract.indexes import compress


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option("--output", "--output-dir", "output", required=True, type=FolderPath(), help="Folder for the clips.")
@run_options
@click.option("--force-restart", is_flag=True, help="Remove this run's clips in the folder first, and start over.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and stop.")
@page_options
@export_options
@one_line_errors
def local(
    *,
    run_file: Path,
    output: Path,
    options: Options,
    force_restart: bool,
    dry_run: bool,
    page_port: int | None,
    page_host: str,
    export: str | None,
    export_to: str | None,
    license: str | None,  # noqa: A002 - the option's name
    export_replace: bool,
) -> None:
    """Render and encode the clips of RUN_FILE on this machine.

    The same command continues where it was stopped: a complete clip is never made twice. Exit code: 0 if every clip
    is done, 1 if some failed, 2 for a mistake in the file or the command line, 128 + N if signal N stopped the run.
    With --export, also 1 or 2 as `clipfarm export` ends.
    """
    run = options.read(run_file)
    if run.spec.source is not None:
        asked: dict[str, object] = {"force_restart": force_restart, "page_port": page_port}
        asked |= {"export": export, "export_to": export_to, "license": license, "export_replace": export_replace}
        options.refuse_with_source(run, **asked)
        if dry_run:
            videos.describe(run, run.spec.source.videos, output, Console())
            return
        if missing := needs.missing(run):
            fail(*(each.mistake for each in missing))
        videos.become_encode(run, run.spec.source.videos, output)
    job = options.job(run, output)
    exported = exporting.wanted(job, export, export_to, license, replace=export_replace)
    # Now, not after a night of rendering.
    if missing := needs.missing(job.run):
        fail(*(each.mistake for each in missing))
    console = Console()
    if dry_run:
        describe(job, missing, console)
        return
    try:
        with scan.locked(job.folder) as lock:
            page = None if page_port is None else (page_host, page_port)
            code = _run(job, lock, console, force_restart=force_restart, test=options.is_test, page=page)
            if exported and code in (0, 1):
                code = _export(exported, job, console, test=options.is_test) or code
    except scan.FolderError as error:
        fail(str(error))
    raise SystemExit(code)


def _run(
    job: Job, lock: scan.Lock, console: Console, *, force_restart: bool, test: bool, page: tuple[str, int] | None
) -> int:
    say = Sayer(console)
    if lock.unsure:
        say(f"NOTE: {lock.unsure}; start no second run in this folder, because nothing would stop it")
    if force_restart:
        say(f"removed {format_clips(scan.start_over(job))} to start over")
    found = scan.scan(job)
    swept = scan.sweep(job.folder)
    if swept.removed:
        say(f"removed half-made clips of a run that was killed: {swept.removed}")
    if swept.left:
        say(f"half-made clips that stay (.clip_*): {swept.left}; {swept.why}")
    for clip, reason in found.damaged:
        say(f"clip {clip} is damaged and will be made again: {reason}")
    count = format_clips(len(job.clips))
    say(f"{job.run.name}: {count} ({compress(job.clips)}), {len(found.complete)} already complete")
    for line in _settings(job):
        say(line)
    encodes = job.run.spec.encode.enabled
    started = time.monotonic()
    with _page(job, page, say) as show_page, display(console, encodes=encodes) as screen:

        def show(status: Status) -> None:
            screen.show(status)
            show_page(status)

        ended = executor.run(job, found, lock.descriptor, show)
    wall, status, stopped_by = time.monotonic() - started, ended.status, ended.stopped_by
    try:
        write_report(job, ended, wall, complete_before=len(found.complete))
    except OSError as error:
        say(f"no report: {os_error_line(error)}")
    if stopped_by:
        say(f"stopped by {stopped_by.name}; the same command continues from here")
        return 128 + stopped_by
    _summarise(job, status, wall, say, encodes=encodes)
    if test:
        expected = forecast(job, status.workers)
        if expected:
            say(_forecast_line(expected, status.workers))
    return 0 if status.phase == "Succeeded" else 1


def _export(wanted: exporting.Export, job: Job, console: Console, *, test: bool) -> int:
    """Export the clips that are complete, also if others have failed; return the exit code."""
    if test:
        Sayer(console)("no export of a test; it follows the whole run")
        return 0
    return wanted.run(job)


@contextmanager
def _page(job: Job, at: tuple[str, int] | None, say: Sayer) -> Iterator[Callable[[Status], None]]:
    """Serve a page about the run, if it is asked for; yield what takes in each status."""
    if at is None:
        yield lambda _: None
        return
    # Here, because a web server takes half a second to import.
    from clipfarm.live.local_page import LocalPage, served

    source = LocalPage(job)
    with ExitStack() as stack:
        try:
            address = stack.enter_context(served(source, *at))
        except OSError as error:
            # asyncio's own words are a sentence; a name that is not known has a number of its own kind.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            fail(f"--page-port: cannot serve at {at[0]}, port {at[1]}: {why}")
        say(f"page: {address}")
        yield source.show


def _settings(job: Job) -> list[str]:
    """Return the settings of rendering, GPU memory and encoding, one line each."""
    spec = job.run.spec
    parts = [f"render: {spec.render.device}, {format_count(spec.render.threads, 'thread')} a clip"]
    if spec.render.device == "cpu":
        parts.append("GPU memory: not used, clips are rendered on the CPU")
    elif not spec.vram.enabled:
        parts.append("GPU memory: not considered, vram.enabled is false")
    else:
        parts.append(f"GPU memory: no clip starts above {spec.vram.high:.0%} until below {spec.vram.low:.0%}")
    if spec.encode.enabled and spec.encode.weights:
        parts.append(f"encode: {spec.encode.model}, weights {spec.encode.weights.source}")
        if spec.encode.features:
            parts[-1] += f", features {', '.join(each.name for each in spec.encode.features)}"
        if spec.encode.replicas > 1:
            parts[-1] += f", {spec.encode.replicas} encoders"
        if spec.encode.weights.source == "random":
            parts[-1] += " (features of random weights have no meaning)"
    else:
        parts.append("encode: no")
    return parts


def _summarise(job: Job, status: Status, wall: float, say: Sayer, *, encodes: bool) -> None:
    for entry in grouped(status.failures):
        say(f"failed to {entry['stage']}: clips {entry['clips']}: {entry['reason']}")
    if status.stuck:
        say(status.stuck)
    made = counters(status, encodes=encodes).partition(", running")[0]
    say(f"{status.phase} after {format_duration(wall)}: {made}; report: {job.folder.root / 'report.md'}")


def _forecast_line(expected: Forecast, workers: int) -> str:
    encoding = f", {format_duration(expected.encode_seconds)} of encoding beside it" if expected.encode_seconds else ""
    rendering = f"{format_duration(expected.render_seconds)} of rendering with {format_count(workers, 'worker')}"
    disk = f"{format_bytes(expected.disk_bytes)} of disk"
    return f"the whole run of {format_clips(expected.clips)}: about {rendering}{encoding}, and {disk}"
