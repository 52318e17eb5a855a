"""A run's experiment as all parts but the renderer see it: its picture, and the rest unread.

The operator hands on what a run asks for, and the encoder compares what a clip was made from with it. Both read how
many frames of which size there are, and nothing else, so an experiment that they have never heard of is one like any
other. The renderer reads the whole of it (:mod:`clipfarm_contract.experiments.scene`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

from clipfarm_contract.fields import ContractError, Fields, load, parse_text

SHAPES = ("cube", "sphere", "cylinder", "cone", "torus")
"""Objects that need no files."""
Layer = Literal["rgb", "segmentation", "flow", "depth", "normal", "object_coordinates"]
"""What a clip can show of each frame (:mod:`clipfarm_contract.layers`); ``rgb`` is always among them."""
LAYERS: tuple[str, ...] = get_args(Layer)
Background = Literal["cached", "full"]
"""How what stands still gets into the frames: rendered once for the run, or anew in every frame."""
BACKGROUNDS: tuple[str, ...] = get_args(Background)
COMPOSITING = 2
"""How clipfarm's own renderer makes frames over a cached background; another number, other bytes. 1: all pixels that an
object changes by themselves, at 8 samples where it changes but the indirect light. 2: these at 2 samples, smoothed."""

Document = Mapping[str, Any]
"""JSON that is handed on as it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a clip looks like to those who do not care what happens in it."""

    frames: int
    fps: int
    resolution: int
    """Width and height, pixels."""
    layers: tuple[str, ...]
    background: str = "full"
    """One of ``BACKGROUNDS``."""

    @classmethod
    def of(cls, document: Document, where: str) -> "Picture":
        """Read the picture of an experiment.

        Raises:
            ContractError: a field of it is missing or of the wrong type.
        """
        fields = Fields(document, where)
        return cls(
            frames=fields.take("frames", int),
            fps=fields.take("fps", int),
            resolution=fields.take("resolution", int),
            layers=fields.take_list("layers", parse_text),
            background=fields.take("background", str, "full"),
        )

    @property
    def compositing(self) -> int:
        """How clipfarm's own renderer of this version makes the frames, as ``COMPOSITING``."""
        return COMPOSITING if self.background == "cached" else 1


@dataclass(frozen=True)
class Experiment:
    """A run's whole experiment."""

    document: Document
    """Its JSON form: what all clips have in common, and ``phases``, each with its ``clips``."""
    where: str = field(default="experiment", compare=False)
    """What messages call it."""

    @classmethod
    def from_json(cls, text: str, where: str = "experiment") -> "Experiment":
        """Read the JSON of an experiment.

        Raises:
            ContractError: its picture, or the clips of a phase, cannot be read.
        """
        made = cls(Fields(load(text, where), where).rest(), where)
        _ = made.picture, made._of_clips  # for their errors
        return made

    @cached_property
    def picture(self) -> Picture:
        """What the encoder needs to know of each clip."""
        return Picture.of(self.document, self.where)

    def recipe(self, seed: int, index: int, *, own_renderer: bool = False) -> "ClipRecipe":
        """Return the recipe of one clip.

        Args:
            seed: the run's.
            index: of the clip.
            own_renderer: whether a renderer of the user's own makes it.

        Raises:
            ContractError: no phase holds the clip.
        """
        compositing = 1 if own_renderer else self.picture.compositing
        for start, end, document in self._of_clips:
            if start <= index <= end:
                return ClipRecipe(seed, index, document, compositing)
        raise ContractError(f"clip {index}: no phase of the experiment holds it")

    @cached_property
    def _of_clips(self) -> tuple[tuple[int, int, Document], ...]:
        """The first and the last clip of each phase, and the experiment of a clip between them."""
        common = {name: value for name, value in self.document.items() if name != "phases"}
        if isinstance(module := common.get("module"), dict):
            # A clip is known by the hash; the text stands in the run, and with the run's own files.
            common["module"] = {name: value for name, value in module.items() if name != "source"}
        phases = Fields(self.document, self.where).take_list("phases", _parse_phase)
        return tuple((start, end, common | {"phase": phase}) for start, end, phase in phases)


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """All that decides what one clip looks like. Equal recipes, equal clips."""

    seed: int
    """The run's seed; the clip's own comes from it and the index."""
    index: int
    experiment: Document
    """What all clips have in common, and ``phase``, the clip's own."""
    compositing: int = 1
    """As ``COMPOSITING``; always 1 where nothing is composited, or not by clipfarm's own renderer."""

    @classmethod
    def of(cls, seed: int, index: int, experiment: Document) -> "ClipRecipe":
        """Return the recipe by which clipfarm's own renderer of this version makes a clip."""
        return cls(seed, index, experiment, Picture.of(experiment, "experiment").compositing)

    @classmethod
    def parse(cls, value: object, where: str) -> "ClipRecipe":
        """Read the form that :meth:`to_json` returns."""
        fields = Fields(value, where)
        seed, index = fields.take("seed", int), fields.take("index", int)
        experiment = fields.take("experiment", dict)
        compositing = fields.take("compositing", int, 1)  # clips from before it had a number
        fields.done()
        Picture.of(experiment, f"{where}.experiment")
        phase = Fields(experiment, f"{where}.experiment").take("phase", dict)
        Fields(phase, f"{where}.experiment.phase").take("name", str)
        return cls(seed, index, experiment, compositing)

    @property
    def picture(self) -> Picture:
        """What the clip looks like to those who do not care what happens in it."""
        return Picture.of(self.experiment, "experiment")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that ``clip.json`` holds."""
        document = {"seed": self.seed, "index": self.index, "experiment": self.experiment}
        return document | ({"compositing": self.compositing} if self.compositing != 1 else {})

    def experiment_json(self) -> str:
        """Return what a renderer gets in ``CLIP_EXPERIMENT``: the scene and the clip's one phase."""
        return json.dumps(self.experiment, sort_keys=True)

    def run_experiment_json(self) -> str:
        """Return an experiment that holds this clip alone, for making it once more."""
        common = {name: value for name, value in self.experiment.items() if name != "phase"}
        phase = dict(self.experiment["phase"]) | {"clips": {"start": self.index, "end": self.index}}
        return json.dumps(common | {"phases": [phase]}, sort_keys=True)

    def of_phase(self, other: "ClipRecipe") -> "ClipRecipe":
        """Return the recipe of another clip of this run, in that clip's own phase."""
        experiment = {**self.experiment, "phase": other.experiment["phase"]}
        return replace(self, index=other.index, experiment=experiment)

    def difference(self, other: "ClipRecipe") -> str | None:
        """Return the first field in which two recipes differ, with both values; None where they are equal."""
        found = _first_difference(replace(self, compositing=1).to_json(), replace(other, compositing=1).to_json(), "")
        if found is None and self.compositing != other.compositing:
            earlier = "an earlier" if other.compositing < self.compositing else "a later"
            return f"{earlier} version of clipfarm (compositing {other.compositing} instead of {self.compositing})"
        return found


def _parse_phase(value: object, where: str) -> tuple[int, int, Document]:
    fields = Fields(value, where)
    clips = fields.take_object("clips", lambda each, path: Fields(each, path))
    start, end = clips.take("start", int), clips.take("end", int)
    clips.done()
    return start, end, fields.rest()


def _first_difference(ours: Any, theirs: Any, where: str) -> str | None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            path = f"{where}.{key}" if where else key
            found = _first_difference(ours.get(key), theirs.get(key), path)
            if found:
                return found
        return None
    return None if ours == theirs else f"{where} {json.dumps(theirs)} instead of {json.dumps(ours)}"
