"""What the supervisor asks of the child, and what the child reports."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipfarm_contract import environment
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.experiments.reading import parse_clip
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_contract.fields import ContractError, Fields, load
from clipfarm_contract.layout import Clip
from clipfarm_contract.result import ChildReport
from clipfarm_render import own_experiment
from clipfarm_render.output import say

TASK = "task.json"
"""In a waiting child's scratch folder: the variables that tell it what to make."""
SHARED_WORK = "shared-work"
"""In a child's scratch folder while it works for all clips of a run: its clip's time stands still."""


class ClipError(Exception):
    """A clip cannot be made, for a reason that says it all in one line."""


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to make."""

    seed: int
    """The clip's own."""
    clip: Clip
    recipe: ClipRecipe
    scene: Scene
    phase: Phase
    device: str
    report: Path | None
    cache: Path | None
    """Where the clips of a run share what they can make again."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Job":
        """Read the job.

        Raises:
            ContractError: a variable is missing or holds nonsense.
        """

        def whole(name: str) -> int:
            value = text(name)
            if not (value.isascii() and value.isdigit()):
                raise ContractError(f"{name}: found {value!r}, expected a whole number from 0")
            return int(value)

        def text(name: str) -> str:
            if not environ.get(name):
                raise ContractError(f"{name}: not set; the supervisor (clipfarm-render) sets it")
            return environ[name]

        where = environment.CLIP_EXPERIMENT
        experiment = Fields(load(text(where), where), where).rest()
        scene, phase = parse_clip(experiment, where, lambda name, module: _declare(name, module, environ))
        if scene.module is not None and (problem := scene.group_problem() or scene.problem(phase)):
            raise ContractError(f"experiment.{problem}")  # of a built-in one, the supervisor has looked
        report, cache = environ.get(environment.CLIP_REPORT), environ.get(environment.CLIP_CACHE)
        return cls(
            seed=whole(environment.CLIP_SEED),
            clip=Clip(Path(text(environment.CLIP_DIR))),
            recipe=ClipRecipe.of(whole(environment.CLIP_RUN_SEED), whole(environment.CLIP_INDEX), experiment),
            scene=scene,
            phase=phase,
            device=environ.get(environment.CLIP_DEVICE, "cpu"),
            report=Path(report) if report else None,
            cache=Path(cache) if cache else None,
        )

    @contextmanager
    def shared_work(self) -> Iterator[None]:
        """Do what is not for this clip alone; its time does not count as the clip's."""
        if self.report is None:
            yield
            return
        flag = self.report.with_name(SHARED_WORK)
        flag.touch()
        try:
            yield
        finally:
            flag.unlink(missing_ok=True)


def _declare(name: str, module: Module, environ: Mapping[str, str]) -> Declaration:
    """Run the run's own experiment, and return what it declares."""
    if not (path := environ.get(environment.CLIP_MODULE)):
        raise ContractError(f"{environment.CLIP_MODULE}: not set; the supervisor (clipfarm-render) sets it")
    return own_experiment.declare(name, own_experiment.read(Path(path), module))


def forget_prepared(environ: Mapping[str, str] = os.environ) -> None:
    """Delete what a child that was killed has left of :func:`preparing`; no child may be at work."""
    if path := environ.get(environment.CLIP_PREPARING):
        with suppress(OSError):  # as there
            Path(path).unlink(missing_ok=True)


@contextmanager
def preparing(what: str, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Say what is being prepared, in the log, and in the file that a pod's readiness probe looks for; or nothing."""
    with ExitStack() as kept:
        if what:
            say(what)
        if what and (path := environ.get(environment.CLIP_PREPARING)):
            with suppress(OSError):  # it is only told to the operator
                kept.callback(Path(path).unlink, missing_ok=True)
                Path(path).write_text(f"{what}\n")
        yield


@dataclass(slots=True)
class Report:
    """Collects what the child has to tell; written once, at the end."""

    seconds: dict[str, float] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; what it took before counts, too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def write(self, path: Path | None) -> None:
        """Write the report to where the supervisor looks for it."""
        if path is not None:
            document = ChildReport(self.seconds, self.checks, self.reason)
            path.write_text(json.dumps(document.to_json(), allow_nan=False))
