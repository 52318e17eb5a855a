"""The experiment of a run: what is filmed, in which clips."""

import itertools
from typing import Annotated, Self

from pydantic import Field, model_validator

from clipfarm import groups
from clipfarm.cel import FieldRule, Rule
from clipfarm.declared import declared, problem
from clipfarm.groups import Twins, Violations
from clipfarm.laws import Exclusions, Laws
from clipfarm.laws_in_cel import KNOWN, LAWFUL
from clipfarm.model import FileName, Model, Sha256
from clipfarm.module import Module
from clipfarm.phases import ClipRange, Impulse, Objects, Phase, said_twice
from clipfarm.views import Layers, Views
from clipfarm_contract.bounds import A_DIVISOR, LEAST_PIXELS, MOST_PIXELS, STEP_RATE
from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.module import NAME
from clipfarm_contract.fields import ContractError
from clipfarm_contract.text import any_of


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


def _unknown_name(experiment: "Experiment") -> str | None:
    built_in = experiment.name in EXPERIMENTS
    if built_in and experiment.module is not None:
        return f'name: found "{experiment.name}", expected the name that the module declares, which is not built in'
    if not built_in and experiment.module is None:
        return f'name: found "{experiment.name}", expected {any_of(EXPERIMENTS)}, or another with module'
    return None


ExperimentName = Annotated[str, Field(min_length=1, max_length=63, pattern=NAME)]
DIVIDES = FieldRule(A_DIVISOR, holds=lambda fps: STEP_RATE % fps == 0, cel=f"{STEP_RATE} % self == 0", hint=_near)


def _unknown_object(experiment: "Experiment") -> str | None:
    if experiment.assets is not None:
        return None
    lists = [("", experiment.objects), *((f"phases[{i}].", p.objects or ()) for i, p in enumerate(experiment.phases))]
    excluding = [("", experiment.exclude), *((f"phases[{i}].", p.exclude) for i, p in enumerate(experiment.phases))]
    for where, exclusions in excluding:
        lists += [(f"{where}exclude[{i}].", each.objects or ()) for i, each in enumerate(exclusions or ())]
    for where, objects in lists:
        odd = next((i for i, name in enumerate(objects) if name not in SHAPES), None)
        if odd is not None:
            return f'{where}objects[{odd}]: found "{objects[odd]}", expected {any_of(SHAPES)}, or an id with assets'
    return None


_EXCLUDES_KNOWN = (
    f"(!has({{0}}.exclude) || {{0}}.exclude.all(e, !has(e.objects) || e.objects.all(name, name in {list(SHAPES)})))"
)
"""In CEL, whether what an experiment or a phase holds out is known; to be formatted with it."""


def _late_push(experiment: "Experiment") -> str | None:
    frames, found = experiment.frames, experiment.impulse.at_frame if experiment.impulse else 0
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


def _shorthand_of_push(experiment: "Experiment") -> str | None:
    if experiment.module is None or experiment.impulse is None:
        return None
    return "impulse: found beside module, expected factors in its place"


PAGE = "docs/experiments.md; clipfarm plan names the factor"


def _nothing(_: object) -> None:
    return None


def _unlawful(experiment: "Experiment") -> str | None:
    """Return what is wrong with the factors, of any renderer."""
    try:
        return problem(declared(experiment, "full"), experiment, own_renderer=True)
    except ContractError as error:
        return str(error)


class Experiment(Model):
    """The experiment to simulate and render."""

    name: Annotated[
        ExperimentName, Field(description=f"Name of the experiment: {any_of(EXPERIMENTS)}, or that of the module.")
    ] = "push"
    module: Module | None = None
    """An experiment of your own, which only the renderer runs."""
    frames: int = Field(default=32, ge=4, le=1024)
    """Frames per clip; a multiple of what the encoder's model takes at a time (2 for V-JEPA 2) if a set of features is
    of the whole clip."""
    fps: Annotated[
        int, Field(ge=1, description=f"Frames a second. Divides {STEP_RATE}, the rate of the physics."), DIVIDES
    ] = 30
    resolution: int = Field(default=256, ge=LEAST_PIXELS, le=MOST_PIXELS)
    """Width and height of a frame, pixels."""
    samples_per_pixel: int = Field(default=64, ge=1, le=65536)
    """Light paths that Cycles traces per pixel; more of them give less noise."""
    layers: Layers = ("rgb",)
    """Layers to write for each frame; rgb must be among them."""
    objects: Objects = ("cube",)
    """Objects, of which each clip shows one, drawn at random: cube, sphere, cylinder, cone, torus, or ids of assets."""
    assets: Assets | None = None
    """Source of objects that are not built in."""
    impulse: Impulse | None = None
    """Impulse of the push, N s: magnitude drawn uniformly, by default from 12 to 13; direction random in the plane of
    the floor. Short for factors.impulse and factors.atFrame."""
    factors: Laws | None = None
    """Laws of factors in all phases, by the factor's name; docs/experiments.md lists the factors of each experiment."""
    exclude: Exclusions | None = None
    """Combinations that no clip shows."""
    twins: Twins | None = None
    """Groups of clips that draw all factors alike but some."""
    violations: Violations | None = None
    """Groups of four clips, two of which show something impossible."""
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=64, strict=False)
    """Ranges of clips with their laws; each clip belongs to exactly one phase."""
    views: Views | None = None
    """Further views of each clip, rendered from other cameras beside its own; the encoder does not read them."""
    preview: bool = True
    """Whether each clip gets a preview.gif."""

    rules = (
        Rule(
            _unknown_name,
            cel=f"has(self.module) != (self.name in {list(EXPERIMENTS)})",
            message=f"expected {any_of(EXPERIMENTS)}, or with module the name that it declares",
            field=".name",
        ),
        Rule(
            _shorthand_of_push,
            cel="!has(self.module) || !has(self.impulse)",
            message="expected factors in its place beside module",
            field=".impulse",
        ),
        Rule(
            _unknown_object,
            cel=f"has(self.assets) || self.objects.all(name, name in {list(SHAPES)})"
            f" && self.phases.all(p, !has(p.objects) || p.objects.all(name, name in {list(SHAPES)}))",
            message=f"expected {any_of(SHAPES)}, or an id with assets",
            field=".objects",
        ),
        Rule(  # with the rule before
            _nothing,
            cel=f"has(self.assets) || {_EXCLUDES_KNOWN.format('self')}"
            f" && self.phases.all(p, {_EXCLUDES_KNOWN.format('p')})",
            message=f"expected {any_of(SHAPES)}, or an id with assets",
            field=".exclude",
        ),
        Rule(
            _late_push,
            cel="!has(self.impulse) || self.impulse.atFrame <= self.frames - 2",
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
        Rule(
            lambda experiment: said_twice(experiment, "impulse"),
            cel="!has(self.impulse) || !has(self.factors) || !('impulse' in self.factors || 'atFrame' in self.factors)",
            message="expected impulse and atFrame either beside the factors or among them",
            field=".factors",
        ),
        Rule(_unlawful, cel=KNOWN[0], message=f"expected factors of this experiment ({PAGE})", field=".factors"),
        # With the rule before, in the API server's own terms.
        Rule(_nothing, cel=KNOWN[1], message=f"expected factors of this experiment ({PAGE})", field=".phases"),
        Rule(_nothing, cel=KNOWN[2], message=f"expected factors of this experiment ({PAGE})", field=".exclude"),
        *(
            Rule(_nothing, cel=rule, message=f"expected laws within their factors' bounds ({PAGE})", field=".factors")
            for rule in LAWFUL
        ),
        *groups.RULES,
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
