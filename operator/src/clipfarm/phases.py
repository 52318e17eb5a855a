"""Ranges of clips of an experiment, each with its laws."""

from typing import Annotated, Literal

from pydantic import Field

from clipfarm.cel import Rule, ordered
from clipfarm.laws import Exclusions, Laws, ObjectName
from clipfarm.model import Model, NonNegative, Positive, Text
from clipfarm_contract.bounds import LAST_CLIP

Objects = Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=1024, strict=False)]


class ClipRange(Model):
    """Clips from ``start`` to ``end``, both included."""

    rules = (ordered("start", "end"),)

    start: int = Field(ge=0, le=LAST_CLIP)
    """The first clip."""
    end: int = Field(ge=0, le=LAST_CLIP)
    """The last clip, included."""

    def __len__(self) -> int:
        return self.end - self.start + 1


class Range(Model):
    """Values from ``min`` to ``max``, drawn uniformly; equal bounds make a constant."""

    rules = (ordered("min", "max"),)

    min: float
    max: float


class FrictionRange(Range):
    """Coefficient of friction between object and floor; no unit."""

    min: NonNegative
    """The smallest value."""
    max: NonNegative
    """The largest value; the built-in renderer takes up to 1."""


class PositiveRange(Range):
    """A quantity above zero."""

    min: Positive
    """The smallest value."""
    max: Positive
    """The largest value."""


class Impulse(PositiveRange):
    """The push: magnitude in N s, direction random in the floor's plane."""

    at_frame: int = Field(default=1, ge=0)
    """Last frame that shows the object at rest."""


def said_twice(part: Model, *names: str) -> str | None:
    """Return what is wrong if a factor has a law of its own and one among the factors."""
    for name in names:
        if getattr(part, name) is not None and name in (getattr(part, "factors", None) or {}):
            return f"factors.{name}: found beside {name}, expected one of the two"
    return None


def _held(phase: "Phase") -> str | None:
    if phase.eval is None:
        return None
    if phase.split is not None:
        return "eval: found beside split, expected one of the two"
    least = len(phase.clips) - 1
    return (
        None if phase.eval <= least else f"eval: found {phase.eval}, expected {least} or less, so that clips are left"
    )


class Phase(Model):
    """A range of clips with laws of its own."""

    name: Text = Field(min_length=1)
    """Name of the phase, which each clip's ground_truth.json records."""
    clips: ClipRange
    """The clips that belong to the phase."""
    friction: FrictionRange | None = None
    """Coefficient of friction between object and floor, drawn uniformly; no unit. Short for factors.friction."""
    mass: PositiveRange | None = None
    """Mass of the object, drawn uniformly, kg. Short for factors.mass."""
    objects: Objects | None = None
    """Objects of this phase; default: those of the experiment."""
    factors: Laws | None = None
    """Laws of factors in this phase, by the factor's name; default: those of the experiment."""
    exclude: Exclusions | None = None
    """Combinations that no clip of this phase shows."""
    split: Literal["train", "val", "test"] | None = None
    """What the clips are for; each clip's ground_truth.json records it."""
    eval: int | None = Field(default=None, ge=1, le=LAST_CLIP)
    """Number of clips at the end of the phase that are for validation; the others are for training."""

    rules = (
        Rule(
            lambda phase: said_twice(phase, "friction", "mass"),
            cel="!has(self.factors) || !(has(self.friction) && 'friction' in self.factors"
            " || has(self.mass) && 'mass' in self.factors)",
            message="expected friction and mass either beside the factors or among them",
            field=".factors",
        ),
        Rule(
            _held,
            cel="!has(self.eval) || !has(self.split) && self.eval <= self.clips.end - self.clips.start",
            message="expected without split, and fewer than the phase has clips",
            field=".eval",
        ),
    )
