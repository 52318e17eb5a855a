"""What to render: a run's experiment, and the recipe of one clip.

The same JSON, with the same field names, that a BenchmarkRun holds under ``spec.experiment``. The operator checks
it thoroughly before anything starts; here it is only read, strictly.
"""

import json
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Range:
    """Values from ``min`` to ``max``; equal bounds make a constant."""

    min: float
    max: float

    @classmethod
    def parse(cls, value: object, where: str) -> "Range":
        """Read ``{"min": 0.5, "max": 0.9}``."""
        fields = Fields(value, where)
        parsed = cls(min=fields.take("min", float), max=fields.take("max", float))
        fields.done()
        if parsed.min > parsed.max:
            raise ContractError(f"{where}: min {parsed.min:g} is above max {parsed.max:g}")
        return parsed

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"min": self.min, "max": self.max}


@dataclass(frozen=True, slots=True)
class Impulse:
    """The push: magnitude in N s, direction random in the floor's plane."""

    min: float
    max: float
    at_frame: int
    """The last frame that shows the object at rest; the push acts between it and the next one."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Impulse":
        """Read ``{"min": 12, "max": 13, "atFrame": 1}``."""
        fields = Fields(value, where)
        at_frame = fields.take("atFrame", int)
        low, high = fields.take("min", float), fields.take("max", float)
        fields.done()
        if low > high:
            raise ContractError(f"{where}: min {low:g} is above max {high:g}")
        return cls(min=low, max=high, at_frame=at_frame)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"min": self.min, "max": self.max, "atFrame": self.at_frame}


@dataclass(frozen=True, slots=True)
class Assets:
    """Where objects come from that are none of ``SHAPES``."""

    manifest: str
    """Path of a Kubric asset manifest, a JSON file, as the renderer sees it."""
    sha256: str = ""
    """Of the manifest; empty where it need not be a certain one."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Assets":
        """Read ``{"manifest": "/assets/KuBasic.json"}``."""
        fields = Fields(value, where)
        parsed = cls(fields.take("manifest", str), fields.take("sha256", str, ""))
        fields.done()
        return parsed

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"manifest": self.manifest} | ({"sha256": self.sha256} if self.sha256 else {})


@dataclass(frozen=True, slots=True)
class Phase:
    """A range of clips with one law for friction and mass."""

    name: str
    friction: Range
    """Coefficient of friction between object and floor, no unit."""
    mass: Range
    """kg"""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "friction": self.friction.to_json(), "mass": self.mass.to_json()}


@dataclass(frozen=True, slots=True)
class PhaseClips:
    """A phase together with the clips that belong to it, both ends included."""

    start: int
    end: int
    phase: Phase

    @classmethod
    def parse(cls, value: object, where: str) -> "PhaseClips":
        """Read one entry of ``experiment.phases``."""
        fields = Fields(value, where)
        start, end = fields.take_object("clips", _parse_clips)
        phase = _take_phase(fields)
        fields.done()
        return cls(start, end, phase)


@dataclass(frozen=True, slots=True)
class Scene:
    """What all clips of an experiment have in common."""

    name: str
    frames: int
    fps: int
    resolution: int
    """Width and height, pixels."""
    samples_per_pixel: int
    layers: tuple[str, ...]
    objects: tuple[str, ...]
    """Each clip shows one of them, drawn at random: names of ``SHAPES``, and asset ids of ``assets``."""
    impulse: Impulse
    preview: bool
    """Whether the clip gets a ``preview.gif``."""
    assets: Assets | None = None
    background: str = "full"
    """One of ``BACKGROUNDS``; part of the scene because it changes the frames' bytes."""

    @property
    def compositing(self) -> int:
        """How clipfarm's own renderer of this version makes the frames, as ``COMPOSITING``."""
        return COMPOSITING if self.background == "cached" else 1

    @classmethod
    def take(cls, fields: Fields) -> "Scene":
        """Take the scene's fields out of an experiment."""
        return cls(
            name=fields.take("name", str),
            frames=fields.take("frames", int),
            fps=fields.take("fps", int),
            resolution=fields.take("resolution", int),
            samples_per_pixel=fields.take("samplesPerPixel", int),
            layers=fields.take_list("layers", parse_text),
            objects=fields.take_list("objects", parse_text),
            impulse=fields.take_object("impulse", Impulse.parse),
            preview=fields.take("preview", bool),
            assets=fields.take_object("assets", Assets.parse) if fields.has("assets") else None,
            background=fields.take("background", str, "full"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "frames": self.frames,
            "fps": self.fps,
            "resolution": self.resolution,
            "samplesPerPixel": self.samples_per_pixel,
            "layers": list(self.layers),
            "objects": list(self.objects),
            "impulse": self.impulse.to_json(),
            "preview": self.preview,
            "background": self.background,
        } | ({"assets": self.assets.to_json()} if self.assets else {})


@dataclass(frozen=True, slots=True)
class Experiment:
    """A run's whole experiment."""

    scene: Scene
    phases: tuple[PhaseClips, ...]

    @classmethod
    def from_json(cls, text: str, where: str = "experiment") -> "Experiment":
        """Read the JSON of ``spec.experiment`` with all defaults filled in.

        Raises:
            ContractError: a field is missing, unknown or of the wrong type.
        """
        fields = Fields(load(text, where), where)
        phases = fields.take_list("phases", PhaseClips.parse)
        scene = Scene.take(fields)
        fields.done()
        return cls(scene, phases)

    def recipe(self, seed: int, index: int, *, own_renderer: bool = False) -> "ClipRecipe":
        """Return the recipe of one clip.

        Args:
            seed: the run's.
            index: of the clip.
            own_renderer: whether a renderer of the user's own makes it.

        Raises:
            ContractError: no phase holds the clip.
        """
        compositing = 1 if own_renderer else self.scene.compositing
        for entry in self.phases:
            if entry.start <= index <= entry.end:
                return ClipRecipe(seed, index, self.scene, entry.phase, compositing)
        raise ContractError(f"clip {index}: no phase of the experiment holds it")


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """All that decides what one clip looks like. Equal recipes, equal clips."""

    seed: int
    """The run's seed; the clip's own comes from it and the index."""
    index: int
    scene: Scene
    phase: Phase
    compositing: int = 1
    """As ``COMPOSITING``; always 1 where nothing is composited, or not by clipfarm's own renderer."""

    @classmethod
    def parse(cls, value: object, where: str) -> "ClipRecipe":
        """Read the form that :meth:`to_json` returns."""
        fields = Fields(value, where)
        seed, index = fields.take("seed", int), fields.take("index", int)
        scene, phase = fields.take_object("experiment", _parse_clip_experiment)
        compositing = fields.take("compositing", int, 1)  # clips from before it had a number
        fields.done()
        return cls(seed, index, scene, phase, compositing)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that ``clip.json`` holds."""
        document = {"seed": self.seed, "index": self.index, "experiment": self._experiment()}
        return document | ({"compositing": self.compositing} if self.compositing != 1 else {})

    def experiment_json(self) -> str:
        """Return what a renderer gets in ``CLIP_EXPERIMENT``: the scene and the clip's one phase."""
        return json.dumps(self._experiment(), sort_keys=True)

    def run_experiment_json(self) -> str:
        """Return an experiment that holds this clip alone, for making it once more."""
        phase = self.phase.to_json() | {"clips": {"start": self.index, "end": self.index}}
        return json.dumps(self.scene.to_json() | {"phases": [phase]}, sort_keys=True)

    def difference(self, other: "ClipRecipe") -> str | None:
        """Return the first field in which two recipes differ, with both values; None where they are equal."""
        found = _first_difference(replace(self, compositing=1).to_json(), replace(other, compositing=1).to_json(), "")
        if found is None and self.compositing != other.compositing:
            earlier = "an earlier" if other.compositing < self.compositing else "a later"
            return f"{earlier} version of clipfarm (compositing {other.compositing} instead of {self.compositing})"
        return found

    def _experiment(self) -> dict[str, Any]:
        return self.scene.to_json() | {"phase": self.phase.to_json()}


def parse_clip_experiment(text: str) -> tuple[Scene, Phase]:
    """Read ``CLIP_EXPERIMENT``.

    Raises:
        ContractError: a field is missing, unknown or of the wrong type.
    """
    return _parse_clip_experiment(load(text, "CLIP_EXPERIMENT"), "CLIP_EXPERIMENT")


def _parse_clip_experiment(value: object, where: str) -> tuple[Scene, Phase]:
    fields = Fields(value, where)
    phase = fields.take_object("phase", _parse_phase)
    scene = Scene.take(fields)
    fields.done()
    return scene, phase


def _parse_phase(value: object, where: str) -> Phase:
    fields = Fields(value, where)
    phase = _take_phase(fields)
    fields.done()
    return phase


def _take_phase(fields: Fields) -> Phase:
    return Phase(
        name=fields.take("name", str),
        friction=fields.take_object("friction", Range.parse),
        mass=fields.take_object("mass", Range.parse),
    )


def _parse_clips(value: object, where: str) -> tuple[int, int]:
    fields = Fields(value, where)
    clips = fields.take("start", int), fields.take("end", int)
    fields.done()
    return clips


def _first_difference(ours: Any, theirs: Any, where: str) -> str | None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            path = f"{where}.{key}" if where else key
            found = _first_difference(ours.get(key), theirs.get(key), path)
            if found:
                return found
        return None
    return None if ours == theirs else f"{where} {json.dumps(theirs)} instead of {json.dumps(ours)}"
