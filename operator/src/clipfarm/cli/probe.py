"""``clipfarm probe``: whether features carry physics."""

import json
import re
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from clipfarm.cli.options import FolderPath, clips_in, fail, one_line_errors
from clipfarm.cli.output import show
from clipfarm.units import format_clips
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.layout import RunFolder


@click.command()
@click.argument("folder", type=FolderPath())
@click.option("--features", required=True, help="Feature set; SET/TENSOR for one layer of it, states for true states.")
@click.option("--target", required=True, help="What to predict: a factor or an outcome, phase, or states.")
@click.option("--split", help="Use clips of this phase only.")
@click.option("--test-split", help="Learn from all other phases, and test on this one.")
@click.option(
    "--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts that clips are divided into."
)
@click.option("--shuffles", type=click.IntRange(0), default=5, show_default=True, help="Number of shuffled controls.")
@click.option("--clips", "most", type=click.IntRange(1), help="Use so many clips, evenly spread.  [default: all]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of folds and controls.")
@click.option("--output", type=FolderPath(), help="Folder of plot and document.  [default: FOLDER/probe]")
@one_line_errors
def probe(
    *,
    folder: Path,
    features: str,
    target: str,
    split: str | None,
    test_split: str | None,
    folds: int,
    shuffles: int,
    most: int | None,
    seed: int,
    output: Path | None,
) -> None:
    """Measure how well a linear probe reads a target from features of the clips in FOLDER.

    A probe is fitted for each layer and time step, and tested on clips that it has not seen. A number is predicted by
    ridge regression (score: R squared), a word by logistic regression (score: balanced accuracy). Controls learn the
    target shuffled among the clips. The command prints a table, and writes a plot and a JSON document.

    Exit code: 0 when the scores are there, 2 if there is nothing to learn from or for a mistake in the command line.
    """
    try:
        from clipfarm.probe import fit, report, samples
    except ImportError as error:
        fail(f"probes need {error.name}: pip install 'clipfarm[probe]'")

    run = RunFolder(folder)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        clips = _clips(run, split, most, keep=test_split)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("reading", total=len(clips))
            found = samples.read(run, clips, features, target, lambda: bar.advance(task))
            plan = fit.plan(found, folds, shuffles, seed, test_split)
            cells = len(found.layers) * found.features.shape[2]
            scores = list(bar.track(fit.scores(found, plan), total=cells, description="fitting"))
    except samples.ProbeError as error:
        fail(str(error))
    measure = "balanced accuracy" if found.words is not None else "R²"
    title = f"{target} from {features}, {format_clips(len(found.clips))}"
    if test_split is not None:
        title += f", tested on {test_split}"
    console.print(f"{title}: {measure} (of shuffled targets)")
    console.print(report.table(scores, measure))
    best = report.best(scores)
    where = f"{best.layer}, time step {best.step}" if best.layer else f"time step {best.step}"
    console.print(f"best: {best.score:.3f} at {where}; best of the shuffled there: {best.control_high:.3f}")
    if found.knows_future:
        console.print("NOTE: these features were made of whole clips, so each time step knows the frames after it")
    if found.left_out:
        name, reason = next(iter(found.left_out.items()))
        console.print(f"left out: {format_clips(len(found.left_out))}, such as {name}: {reason}")
    path = (output or folder / "probe") / re.sub(r"[^\w.-]+", "-", f"{features}-{target}")
    about = {
        "features": features, "target": target, "unit": found.unit, "measure": measure, "clips": len(found.clips),
        "split": split, "testSplit": test_split, "folds": len(plan.folds), "shuffles": shuffles, "seed": seed,
        "knowsFuture": found.knows_future,
    }  # fmt: skip
    text = json.dumps(report.document(scores, **about), indent=2, allow_nan=False)
    write_atomically(path.with_name(f"{path.name}.json"), text + "\n")
    picture = path.with_name(f"{path.name}.svg")
    write_atomically(picture, report.plot(scores, title, measure))
    show(f"plot: {picture.as_uri()}")


def _clips(run: RunFolder, split: str | None, most: int | None, keep: str | None) -> list[int]:
    """Return the clips that are asked for, evenly spread if some are left out."""
    from clipfarm.local.verify import sample
    from clipfarm.probe.samples import ProbeError
    from clipfarm.truth import phase_of

    clips = clips_in(run)
    if split is not None:
        phases = {clip: phase_of(run.clip(clip)) for clip in clips}
        chosen = [clip for clip in clips if phases[clip] in (split, keep)]
        if split not in phases.values():
            known = sorted({phase for phase in phases.values() if phase})
            raise ProbeError(f"--split: found no clips of phase {split}, expected one of {', '.join(known)}")
        clips = chosen
    return sample(clips, most) if most else clips
