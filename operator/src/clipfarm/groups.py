"""Groups of clips as a run file gives them: twins, and quadruplets with something impossible.

What they mean stands in :mod:`clipfarm_contract.experiments.groups`. Rules in CEL are made from its tables.
"""

import json
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from clipfarm.cel import Rule, ordered
from clipfarm.model import Model
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.groups import MOST_TWINS, ONLY, QUADRUPLET, Kind, clips_problem

if TYPE_CHECKING:
    from clipfarm.experiment import Experiment

FactorName = Annotated[str, Field(min_length=1, max_length=63)]


class Twins(Model):
    """Groups of consecutive clips that draw all factors alike but some."""

    of: int = Field(ge=2, le=MOST_TWINS)
    """Clips of a group. Phases consist of whole groups."""
    vary: tuple[FactorName, ...] = Field(min_length=1, max_length=32, strict=False)
    """Names of the factors that each clip of a group draws for itself."""


class Frames(Model):
    """Frames from ``min`` to ``max``."""

    rules = (ordered("min", "max"),)

    min: int = Field(ge=1, le=1023)
    """The earliest frame."""
    max: int = Field(ge=1, le=1023)
    """The latest frame."""


class Violations(Model):
    """Groups of four clips: two possible ones, and two that show something impossible."""

    kinds: tuple[Kind, ...] = Field(min_length=1, max_length=16, strict=False)
    """Kinds of impossible events; each group gets one, drawn at random."""
    at: Frames
    """The first frame that shows what is impossible. Kinds that begin with a hit take the frame of the hit."""


def not_whole(experiment: "Experiment") -> str | None:
    """Return which phase does not consist of whole groups."""
    of = group(experiment)
    for i, phase in enumerate(experiment.phases):
        if problem := clips_problem(phase.clips.start, phase.clips.end, of):
            return f"phases[{i}].clips: {problem}"
        if phase.eval is not None and phase.eval % of:
            return f"phases[{i}].eval: found {phase.eval}, expected a multiple of {of}, the clips of a group"
    return None


def group(experiment: "Experiment") -> int:
    """Return how many clips belong together; 1 if each is for itself."""
    if experiment.violations is not None:
        return QUADRUPLET
    return 1 if experiment.twins is None else experiment.twins.of


def _whole(field: str, of: str) -> str:
    return (
        f"!has(self.{field}) || self.phases.all(p, p.clips.start % {of} == 0 && (p.clips.end + 1) % {of} == 0"
        f" && (!has(p.eval) || p.eval % {of} == 0))"
    )


def _in_python(_: object) -> None:
    """Return nothing: in Python, the experiment as a whole is checked by the contract."""


_FACTORS = json.dumps({name: list(declaration.by_name) for name, declaration in EXPERIMENTS.items()}).replace('"', "'")
_ONLY = json.dumps({kind: list(names) for kind, names in ONLY.items()}).replace('"', "'")

_OBJECTS = "(has(p.objects) ? p.objects : self.objects)"
"""In CEL, the objects of a phase ``p``."""

RULES = (
    Rule(
        not_whole,
        cel=_whole("twins", "self.twins.of"),
        message="expected phases of whole groups of clips: from a multiple of twins.of to before one",
        field=".phases",
    ),
    Rule(
        _in_python,
        cel=_whole("violations", str(QUADRUPLET)),
        message="expected phases of whole groups of 4 clips: from a multiple of 4 to before one",
        field=".phases",
    ),
    Rule(
        _in_python,
        cel="!has(self.twins) || !has(self.violations)",
        message="expected twins or violations, and not both",
        field=".twins",
    ),
    Rule(
        _in_python,
        cel="!has(self.twins) && !has(self.violations) || !has(self.exclude) && self.phases.all(p, !has(p.exclude))",
        message="expected without twins and violations, whose clips draw alike",
        field=".exclude",
    ),
    Rule(
        _in_python,
        cel=f"has(self.module) || !has(self.twins) || self.twins.vary.all(v, v in {_FACTORS}[self.name])",
        message="expected factors of this experiment (docs/experiments.md)",
        field=".twins.vary",
    ),
    Rule(
        _in_python,
        cel="!has(self.violations) || self.violations.at.max < self.frames",
        message="expected less than frames",
        field=".violations.at.max",
    ),
    Rule(
        _in_python,
        cel=f"!has(self.violations) || self.violations.kinds.all(k, !(k in {_ONLY}) || self.name in {_ONLY}[k])",
        message="expected kinds that this experiment has (docs/experiments.md)",
        field=".violations.kinds",
    ),
    Rule(
        _in_python,
        cel="!has(self.violations) || !('shape' in self.violations.kinds)"
        f" || self.phases.all(p, {_OBJECTS}.size() > 1)",
        message="expected more than one object, of which shape takes two",
        field=".objects",
    ),
    Rule(
        _in_python,
        cel="!has(self.violations) || !('perpetual' in self.violations.kinds)"
        f" || self.phases.all(p, !('sphere' in {_OBJECTS}))",
        message="expected other objects than sphere, which rolls, for perpetual",
        field=".objects",
    ),
)
"""Of an experiment."""
