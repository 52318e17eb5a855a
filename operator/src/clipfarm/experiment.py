"""The experiment of a run: what is filmed, in which clips."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clipfarm.cel import FieldRule, Rule, ordered
from clipfarm.model import FileName, Model, NonNegative, Positive, Sha256, Text
from clipfarm_contract.bounds import A_DIVISOR, LAST_CLIP, LEAST_PIXELS, MOST_PIXELS, STEP_RATE
from clipfarm_contract.experiment import SHAPES, Layer
from clipfarm_contract.text import any_of

ObjectName = Annotated[str, Field(min_length=1, max_length=253)]


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


class Phase(Model):
    """A range of clips with one law for friction and mass."""

    name: Text = Field(min_length=1)
    """Name of the phase, which each clip's ground_truth.json records."""
    clips: ClipRange
    """The clips that belong to the phase."""
    friction: FrictionRange
    """Coefficient of friction between object and floor, drawn uniformly; no unit."""
    mass: PositiveRange
    """Mass of the object, drawn uniformly, kg."""


class Assets(Model):
    """A Kubric asset manifest: objects beyond the built-in ones."""

    manifest: FileName
    """Path of the JSON manifest as the renderer sees it: on this machine, or in a volume of the pod."""
    sha256: Sha256 | None = None
    """SHA-256 of the manifest, in hexadecimal; if given, any other file is refused."""


def _near(fps: int) -> str:
    """Return the rate next to one that does not divide; of two the lower."""
    rates = [rate for rate in range(8, STEP_RATE + 1) if STEP_RATE % rate == 0]
    return f", such as {min(rates, key=lambda rate: (abs(rate - fps), rate))}"


EVEN = FieldRule(
    "an even number: the encoder takes frames in pairs", holds=lambda frames: frames % 2 == 0, cel="self % 2 == 0"
)
DIVIDES = FieldRule(A_DIVISOR, holds=lambda fps: STEP_RATE % fps == 0, cel=f"{STEP_RATE} % self == 0", hint=_near)
SHOWS_COLOURS = FieldRule(
    "rgb among them: the encoder and the checks look at it", holds=lambda layers: "rgb" in layers, cel="'rgb' in self"
)


def _unknown_object(experiment: "Experiment") -> str | None:
    odd = next((i for i, name in enumerate(experiment.objects) if name not in SHAPES), None)
    if odd is None or experiment.assets is not None:
        return None
    return f'objects[{odd}]: found "{experiment.objects[odd]}", expected {any_of(SHAPES)}, or an id with assets'


def _late_push(experiment: "Experiment") -> str | None:
    frames, found = experiment.frames, experiment.impulse.at_frame
    if found <= frames - 2:
        return None
    expected = f"{frames - 2} or less, so that one of the {frames} frames shows motion"
    return f"impulse.atFrame: found {found}, expected {expected}"


def _overlap(experiment: "Experiment") -> str | None:
    for before, after in itertools.pairwise(sorted(experiment.phases, key=lambda phase: phase.clips.start)):
        if after.clips.start <= before.clips.end:
            return (
                f"phases: {before.name!r} ({before.clips.start}-{before.clips.end}) and {after.name!r}"
                f" ({after.clips.start}-{after.clips.end}) overlap, expected each clip in one phase"
            )
    return None


class Experiment(Model):
    """The experiment to simulate and render. ``push``: an object that rests on a floor with walls gets a push."""

    name: Literal["push"] = "push"
    """Name of the experiment; push is built in."""
    frames: Annotated[int, Field(ge=4, le=1024), EVEN] = 32
    """Frames per clip; even, because the encoder takes frames in pairs."""
    fps: Annotated[
        int, Field(ge=1, description=f"Frames a second. Divides {STEP_RATE}, the rate of the physics."), DIVIDES
    ] = 30
    resolution: int = Field(default=256, ge=LEAST_PIXELS, le=MOST_PIXELS)
    """Width and height of a frame, pixels."""
    samples_per_pixel: int = Field(default=64, ge=1, le=65536)
    """Light paths that Cycles traces per pixel; more of them give less noise."""
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=8, strict=False), SHOWS_COLOURS] = ("rgb",)
    """Layers to write for each frame; rgb must be among them."""
    objects: tuple[ObjectName, ...] = Field(default=("cube",), min_length=1, max_length=1024, strict=False)
    """Objects, of which each clip shows one, drawn at random: cube, sphere, cylinder, cone, torus, or ids of assets."""
    assets: Assets | None = None
    """Source of objects that are not built in."""
    impulse: Impulse = Impulse(min=12, max=13)
    """Impulse of the push, N s: magnitude drawn uniformly, direction random in the plane of the floor."""
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=64, strict=False)
    """Ranges of clips with their ranges of friction and mass; each clip belongs to exactly one phase."""
    preview: bool = True
    """Whether each clip gets a preview.gif."""

    rules = (
        Rule(
            _unknown_object,
            cel=f"has(self.assets) || self.objects.all(name, name in {list(SHAPES)})",
            message=f"expected {any_of(SHAPES)}, or an id with assets",
            field=".objects",
        ),
        Rule(
            _late_push,
            cel="self.impulse.atFrame <= self.frames - 2",
            message="expected frames - 2 or less, so that a frame shows motion",
            field=".impulse.atFrame",
        ),
        Rule(
            _overlap,
            cel="self.phases.all(a, self.phases.all(b, a.name == b.name || a.clips.end < b.clips.start"
            " || b.clips.end < a.clips.start))",
            message="phases overlap, expected each clip in one phase",
            field=".phases",
        ),
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        """Compare names: in the API server they are the keys of the list, which it compares itself."""
        names = [phase.name for phase in sorted(self.phases, key=lambda phase: phase.clips.start)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"phases: found the name {name!r} twice, expected each once")
        return self

    def first_uncovered(self, clips: ClipRange) -> int | None:
        """Return the first clip that no phase holds, None where all are held."""
        index = clips.start
        for phase in sorted(self.phases, key=lambda phase: phase.clips.start):
            if phase.clips.start <= index <= phase.clips.end:
                index = phase.clips.end + 1
        return index if index <= clips.end else None
