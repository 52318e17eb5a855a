"""``clipfarm plan``: what a run would do, decided by the same code."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from clipfarm.cli import backgrounds, needs, videos
from clipfarm.cli.options import FolderPath, Options, fail, one_line_errors, run_options
from clipfarm.cli.output import Sayer
from clipfarm.cli.set_lines import features_line
from clipfarm.decide.plan import Plan, decide
from clipfarm.experiment import Experiment
from clipfarm.groups import group
from clipfarm.local import scan
from clipfarm.local.job import Job
from clipfarm.local.observe import observe
from clipfarm.local.progress import hold_line
from clipfarm.local.state import State
from clipfarm.manifests import export as export_manifest
from clipfarm.manifests import preview
from clipfarm.phases import Phase
from clipfarm.units import format_clips, format_count
from clipfarm.world import Moment
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.experiments.laws import UNREAD
from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.experiments.scene import SHORTHANDS
from clipfarm_contract.indexes import compress


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option("--output", "--output-dir", "output", type=FolderPath(), help="Folder that may contain clips already.")
@click.option("--manifests", is_flag=True, help="Print the objects that the operator would create in a cluster.")
@run_options
@one_line_errors
def plan(*, run_file: Path, output: Path | None, manifests: bool, options: Options) -> None:
    """Show what RUN_FILE asks for and what `clipfarm local` would do now, without starting or writing anything.

    A run for a cluster can be planned on any machine: the plan lists what this one lacks.
    """
    if manifests:
        click.echo(preview.as_yaml(options.read(run_file)), nl=False)
        return
    run = options.read(run_file)
    if run.spec.source is not None:
        options.refuse_with_source(run)
        videos.describe(run, run.spec.source.videos, output, Console())
        return
    # A folder that cannot exist holds no clips.
    job = options.job(run, output or Path(os.devnull, "none"))
    missing = needs.missing(job.run)
    if mistakes := [each.mistake for each in missing if not each.in_a_cluster]:
        fail(*mistakes)
    describe(job, missing, Console())


def describe(job: Job, missing: Sequence[needs.Missing], console: Console) -> None:
    """Print the plan of the first tick.

    Args:
        job: what would be done.
        missing: what this machine lacks for it.
        console: where to.
    """
    try:
        found = scan.scan(job)
    except scan.FolderError as error:
        fail(str(error))
    state = State.start(job, found, os.uname().nodename, available_cpus())
    world = observe(state, Moment(time.monotonic(), time.time()))
    say = Sayer(console)
    for line in _lines(job, missing, found, decide(job.run, world)):
        say(line)


def _lines(job: Job, obstacles: Sequence[needs.Missing], found: scan.Scan, plan: Plan) -> list[str]:
    spec, status = job.run.spec, plan.status
    lines = [f"run {job.run.name}: {format_clips(len(job.clips))} ({compress(job.clips)}), seed {spec.seed}"]
    made = spec.declared()
    for phase in spec.scene.phases:
        clips = [clip for clip in job.clips if phase.clips.start <= clip <= phase.clips.end]
        if clips:
            lines.append(f"  phase {phase.name}: {format_clips(len(clips))} ({compress(clips)}){_laws(made, phase)}")
    scene = spec.scene
    lines += _experiment(scene)
    lines += [
        f"  view {view.name}: from azimuth {view.azimuth:g}, elevation {view.elevation:g}, {view.distance:g} m away;"
        f" layers {', '.join(view.layers)}"
        for view in made.scene.views
    ]
    lines += [
        f"  {scene.frames} frames of {scene.resolution} x {scene.resolution} at {scene.fps} a second,"
        f" {scene.samples_per_pixel} samples a pixel",
        *(backgrounds.lines(made, job.clips) if not spec.render.command else []),
        f"complete already: {len(found.complete)}; to be made again, damaged: {len(found.damaged)}",
        f"workers: {status.workers}, {format_count(spec.render.threads, 'thread')} each, on {spec.render.device}",
    ]
    for gate in status.watermarks:
        use = f"{gate.reading.used_fraction:.0%} in use" if gate.reading else f"unknown ({gate.problem})"
        lines.append(f"  {gate.gpu}: {use}, {'closed' if gate.closed else 'open'}")
    if obstacles:
        lines += [f"`clipfarm local` cannot do it here: {each.mistake}; {each.in_a_cluster}" for each in obstacles]
    else:
        starts = [f"{start.index} on {start.gpu}" if start.gpu else str(start.index) for start in plan.start]
        lines.append(f"starts now: clips {', '.join(starts)}" if starts else "starts now: nothing")
        lines += [hold_line(held) for held in status.held]
    if spec.encode.enabled and spec.encode.weights:
        lines.append(
            f"encoder: {spec.encode.model}, weights {spec.encode.weights.source}, batches of {spec.encode.batch_size},"
            f" {'starts now' if plan.encoders and not obstacles else 'starts when the first clip is complete'}"
        )
        lines += [features_line(each, scene.frames, len(job.clips)) for each in spec.encode.sets]
    else:
        lines.append("encoder: none")
    if spec.export is not None:
        place = export_manifest.destination(job.run, spec.export)
        lines.append(f"export: {spec.export.format}, {spec.export.license}, to {place}, when the run has ended")
    return lines


def _experiment(scene: Experiment) -> list[str]:
    """Return which experiment this is, unless it is plain ``push``, and how its clips belong together."""
    parts = [f"experiment {scene.name}"]
    if scene.twins is not None:
        parts.append(f"twins: groups of {scene.twins.of} clips that differ in {', '.join(scene.twins.vary)}")
    if scene.violations is not None:
        parts.append(f"groups of {group(scene)} clips, two of them impossible: {', '.join(scene.violations.kinds)}")
    return [f"  {'; '.join(parts)}"] if parts != ["experiment push"] else []


def _laws(made: Declared, phase: Phase) -> str:
    """Return what is random in a phase: the factors to which the run gives a law, and friction and mass."""
    scene, laws = made.scene, next(each.phase.laws for each in made.phases if each.phase.name == phase.name)
    shown = [
        factor.words(laws[factor.name])
        for factor in scene.declaration.factors
        if laws[factor.name] != UNREAD and (factor.name in SHORTHANDS or laws[factor.name] != factor.default)
    ]
    held = f"; {phase.eval} for validation" if phase.eval else f"; for {phase.split}" if phase.split else ""
    return "".join(f", {words}" for words in shown) + held
