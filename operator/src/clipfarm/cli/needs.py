"""What `clipfarm local` needs of this machine for a run, checked before anything starts.

`clipfarm plan` and `clipfarm local` make the same checks: what the one accepts, the other does not refuse.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipfarm.manifests.common import CLIPS
from clipfarm.run import Run
from clipfarm_contract import assets
from clipfarm_contract.environment import ThreadLimitError, apply_thread_limits
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.program import why_not
from clipfarm_contract.text import printable


@dataclass(frozen=True)
class Missing:
    """Something that this machine lacks for a run."""

    mistake: str
    """What was found and what was expected."""
    in_a_cluster: str = ""
    """Why it need not matter in a cluster; empty if it is a mistake there, too."""


def missing(run: Run) -> list[Missing]:
    """Return every reason why `clipfarm local` cannot make a run on this machine."""
    return [found for need in NEEDS if (found := need(run))]


def _packages(run: Run) -> Missing | None:
    needed = ["clipfarm_encode"] if run.spec.encode.enabled else []
    if run.spec.source is None:
        needed.insert(0, "clipfarm_render")
    lacking = [name for name in needed if importlib.util.find_spec(name) is None]
    if not lacking:
        return None
    return Missing(f"not installed: {', '.join(lacking)} (`make setup`)", "in a cluster they are in the images")


def _command(run: Run) -> Missing | None:
    render = run.spec.render
    problem = why_not(render.command) if render.command else ""
    if not problem:
        return None
    elsewhere = f"in a cluster it has to be in {render.image}" if render.image else ""
    return Missing(f"spec.render.command: {problem}", elsewhere)


def _manifest(run: Run) -> Missing | None:
    """Check the asset manifest as the built-in renderer does; another renderer may read it in its own way."""
    if run.spec.source is not None:
        return None
    found = run.spec.declared().scene
    if found.assets is None or run.spec.render.command:
        return None
    problem = assets.problem(found.assets, [name for name in found.objects if name not in SHAPES])
    if problem is None:
        return None
    elsewhere = _on_the_volume(Path(found.assets.manifest))
    if not elsewhere and run.spec.render.image:
        elsewhere = f"in a cluster it has to be in {run.spec.render.image}"
    return Missing(f"spec.experiment.{problem}", elsewhere)


def _module(run: Run) -> Missing | None:
    """Try the run's own experiment in a process of the renderer's; nothing here runs it."""
    if (
        run.spec.source is not None
        or run.spec.scene.module is None
        or importlib.util.find_spec("clipfarm_render") is None
    ):
        return None
    given = json.dumps({"experiment": run.spec.declared().document_with_source(), "seed": run.spec.seed})
    command = [sys.executable, "-m", "clipfarm_render.trying"]
    limit = run.spec.render.timeout
    try:
        tried = subprocess.run(
            command, input=given, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return Missing(
            f"spec.experiment.module: found the first clip not drawn, built and moved after {limit:g} s, expected that"
            " within render.timeout"
        )
    if tried.returncode == 0:
        return None
    said = [line.strip() for line in tried.stderr.splitlines() if line.strip()]
    if tried.returncode == ExitCode.USAGE and said:
        return Missing(f"spec.{printable(said[-1])}")
    how = f"the renderer ended with {tried.returncode} when it tried the module"
    return Missing(f"spec.experiment.module: {how}" + (f": {printable(said[-1])}" if said else ""))


def _weights(run: Run) -> Missing | None:
    encode = run.spec.encode
    if not encode.enabled:
        return None
    named = [("weights", encode.weights)]
    named += [(f"features[{i}].weights", each.weights) for i, each in enumerate(encode.features)]
    for field, weights in named:
        if weights is None or not weights.is_local or (source := Path(weights.source)).exists():
            continue
        elsewhere = _on_the_volume(source)
        others = "or random" if elsewhere else f"random, or a path below {CLIPS} for a cluster"
        expected = f"expected a file or folder that exists, {others}"
        return Missing(f"spec.encode.{field}.source: found {str(source)!r}, {expected}", elsewhere)
    return None


def _videos(run: Run) -> Missing | None:
    """Check that the videos are on this machine."""
    source = run.spec.source
    if source is None or Path(source.videos.folder).exists():
        return None
    videos = source.videos
    where = f"the claim {videos.claim_name}" if videos.claim_name else "the run's volume"
    mistake = f"spec.source.videos.folder: found {videos.folder!r}, expected a folder with videos that exists"
    return Missing(mistake, f"in a cluster it is {videos.in_a_pod}, on {where}")


def _threads(run: Run) -> Missing | None:
    """Check the variables that encoders inherit from this shell; renderers get their own."""
    if not run.spec.encode.enabled:
        return None
    try:
        apply_thread_limits(1, dict(os.environ))
    except ThreadLimitError as error:
        return Missing(f"the variable {error}", "in a cluster this shell's variables do not count")
    return None


def _to_go_on(run: Run) -> Missing | None:
    if not run.spec.suspend:
        return None
    return Missing(
        "spec.suspend: found true, expected false on this machine, where it cannot be changed during the run",
        "in a cluster it can be changed at any time",
    )


def _on_the_volume(path: Path) -> str:
    """Return that a path is on the run's volume in a cluster; empty if it is not."""
    if Path(CLIPS) not in path.parents:
        return ""
    return f"in a cluster {CLIPS} is the run's volume, and this has to be on it"


NEEDS: tuple[Callable[[Run], Missing | None], ...] = (
    _packages,
    _command,
    _manifest,
    _module,
    _weights,
    _videos,
    _threads,
    _to_go_on,
)
