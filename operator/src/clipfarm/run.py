"""The BenchmarkRun: what a person asks for, as frozen types.

The one description of the resource. A YAML file and an object of the API server are parsed here, once, and no
other code looks at a raw document. :mod:`clipfarm.run_mistakes` turns what is wrong into lines for people.
"""

import json
from functools import cached_property
from typing import Literal

from pydantic import ConfigDict, Field

from clipfarm import encode, groups, source
from clipfarm.cel import Rule
from clipfarm.decide.rules.table import RuleOptions
from clipfarm.decide.vram.options import Vram
from clipfarm.declared import declared, problem
from clipfarm.encode import Encode
from clipfarm.experiment import Experiment
from clipfarm.export import FEATURES_CEL, LAYERS_CEL, Export, unknown_features, unknown_layers
from clipfarm.laws_in_cel import WITHIN
from clipfarm.model import Labels, Model, Seconds
from clipfarm.phases import ClipRange
from clipfarm.render import Render
from clipfarm.retry import Retry
from clipfarm.source import Source
from clipfarm.storage import Storage
from clipfarm_contract.bounds import LAST_CLIP, MOST_FRICTION
from clipfarm_contract.experiment import Experiment as ContractExperiment
from clipfarm_contract.experiments.groups import QUADRUPLET, clips_problem
from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.indexes import Indexes

RUN_NAME = r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$"
"""It is a label of all that is made for the run, and the beginning of host names, which have no dots."""
API_VERSION = "clipfarm.dev/v1alpha1"
KIND = "BenchmarkRun"


def _uncovered(spec: "RunSpec") -> str | None:
    if spec.source is not None:
        return None
    clip = spec.scene.first_uncovered(spec.to_render)
    return None if clip is None else f"experiment.phases: no phase holds clip {clip}, expected each clip in one phase"


def _split_group(spec: "RunSpec") -> str | None:
    if spec.source is not None:
        return None
    found = clips_problem(spec.to_render.start, spec.to_render.end, groups.group(spec.scene))
    return None if found is None else f"clips: {found}"


def _two_renderers(spec: "RunSpec") -> str | None:
    if spec.source is not None or spec.scene.module is None or not spec.render.command:
        return None
    return "render.command: found beside experiment.module, which the built-in renderer runs; expected one of the two"


def _too_large(spec: "RunSpec") -> str | None:
    if spec.render.command or spec.source is not None:
        return None
    found = problem(spec.declared(), spec.scene, own_renderer=False)
    return None if found is None else f"experiment.{found}, or a renderer of your own (render.command)"


class SpecFields(Model):
    """Fields of ``spec`` that no rule of admission brings."""

    seed: int = Field(default=0, ge=0, lt=2**53)
    """Seed of all randomness in all clips; 0 is a seed like any other."""
    clips: ClipRange | None = None
    """The clips to make; required with an experiment."""
    workers: int | None = Field(default=None, ge=1, le=10_000)
    """Clips to render at a time; default: CPUs / render.threads - 2 of each machine that exists at the start, at least
    1, and on GPUs at most 2 per GPU."""
    storage: Storage | None = None
    """Volume for the clips, in a cluster; on one machine --output names a folder."""
    experiment: Experiment | None = None
    """The experiment to simulate and render; required without source."""
    source: Source | None = None
    """Videos to encode, in place of an experiment."""
    render: Render = Render()
    """How clips are rendered."""
    vram: Vram = Vram()
    """When GPU memory holds new clips back."""
    retry: Retry = Retry()
    """What to do if clips cannot be rendered."""
    encode: Encode
    """How clips become features."""
    export: Export | None = None
    """A data set of the complete clips, made when the run has ended. It may be added, changed and removed at any
    time."""
    ttl_after_finished: Seconds | None = None
    """Time after which a finished run is deleted from the cluster; its clips stay."""


class RunSpec(RuleOptions, SpecFields):
    """``spec`` of a BenchmarkRun; the fields that rules of admission bring come last."""

    @property
    def scene(self) -> Experiment:
        """The experiment of a run that renders."""
        assert self.experiment is not None, "a run with a source renders nothing"
        return self.experiment

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return self.scene.frames if self.source is None else self.source.videos.frames

    @property
    def to_render(self) -> ClipRange:
        """The clips of a run that renders."""
        assert self.clips is not None, "a run with a source renders nothing"
        return self.clips

    @property
    def numbers(self) -> Indexes:
        """Numbers that its clips may have; how many clips videos give is known when they are listed."""
        clips = self.clips
        return Indexes.between(0, LAST_CLIP) if clips is None else Indexes.between(clips.start, clips.end)

    def declared(self) -> Declared:
        """Return the experiment as the renderer reads it."""
        return self._declared

    def contract(self) -> ContractExperiment:
        """Return the experiment as it is handed on."""
        return self.declared().experiment()

    def recipes_json(self) -> str:
        """Return the same for the encoder, which compares recipes: without the text of a module."""
        return json.dumps(self._declared.document(), sort_keys=True)

    def experiment_json(self) -> str:
        """Return the JSON that the renderer gets, all defaults filled in.

        How the background is rendered belongs to it, because the frames' bytes depend on it.
        """
        return self._handed_on

    @cached_property
    def _declared(self) -> Declared:
        return declared(self.scene, self.render.background)

    @cached_property
    def _handed_on(self) -> str:
        # Asked for several times in each tick.
        return json.dumps(self._declared.document_with_source(), sort_keys=True)

    rules = (
        *source.RULES,
        *encode.RULES,
        Rule(
            _uncovered,
            # Phases do not overlap, so each clip is in one when the parts of the run that they hold add up to the run.
            cel="!has(self.experiment) || !has(self.clips) || self.experiment.phases.map(p,"
            " (p.clips.end < self.clips.end ? p.clips.end : self.clips.end)"
            " - (p.clips.start > self.clips.start ? p.clips.start : self.clips.start) + 1)"
            ".filter(n, n > 0).sum() == self.clips.end - self.clips.start + 1",
            message="expected each clip of the run in one phase",
            field=".experiment.phases",
        ),
        Rule(
            _split_group,
            cel="!has(self.experiment) || !has(self.clips)"
            " || (!has(self.experiment.twins) || self.clips.start % self.experiment.twins.of == 0"
            " && (self.clips.end + 1) % self.experiment.twins.of == 0) && (!has(self.experiment.violations)"
            f" || self.clips.start % {QUADRUPLET} == 0 && (self.clips.end + 1) % {QUADRUPLET} == 0)",
            message="expected whole groups of clips (experiment.twins, experiment.violations)",
            field=".clips",
        ),
        Rule(
            lambda spec: unknown_features(spec.export, spec.encode),
            cel=FEATURES_CEL,
            message="expected feature sets of the run",
            field=".export.features",
        ),
        Rule(
            lambda spec: None if spec.source else unknown_layers(spec.export, spec.scene.layers),
            cel=f"!has(self.experiment) || {LAYERS_CEL}",
            message="expected layers of the experiment but rgb",
            field=".export.layers",
        ),
        Rule(
            _two_renderers,
            cel="!has(self.experiment) || !has(self.experiment.module) || self.render.command.size() == 0",
            message="expected experiment.module, which the built-in renderer runs, or render.command",
            field=".render.command",
        ),
        Rule(
            _too_large,
            cel="!has(self.experiment) || self.render.command.size() > 0 || self.experiment.phases.all(p,"
            f" !has(p.friction) || p.friction.max <= {MOST_FRICTION}) || has(self.experiment.module)",
            message=f"expected friction of {MOST_FRICTION:g} or less, or a renderer of your own (render.command)",
            field=".experiment.phases",
        ),
        Rule(
            lambda _: None,  # with the rule before
            cel=f"!has(self.experiment) || self.render.command.size() > 0 || {WITHIN}",
            message="expected what the built-in renderer can make, or render.command"
            " (docs/experiments.md; clipfarm plan names the factor)",
            field=".experiment.factors",
        ),
    )


class Metadata(Model):
    """The part of Kubernetes' metadata that is read; the rest is the API server's business."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(pattern=RUN_NAME)
    namespace: str | None = None
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class Run(Model):
    """A BenchmarkRun."""

    api_version: Literal["clipfarm.dev/v1alpha1"]
    kind: Literal["BenchmarkRun"]
    metadata: Metadata
    spec: RunSpec

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.metadata.name


def default_workers(cpus: int, threads: int) -> int:
    """Return how many clips render at a time: two fewer than would fit, which leaves room for system and encoder."""
    return max(1, cpus // threads - 2)
