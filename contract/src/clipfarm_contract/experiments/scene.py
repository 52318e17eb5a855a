"""A run's experiment as its renderer reads it: strictly, by the experiment's declaration.

The same JSON, with the same field names, that a BenchmarkRun holds under ``spec.experiment``. What the clips of a run
have in common is a :class:`Scene`; what a range of them has, a :class:`Phase`.
:meth:`Declared.document` is the one form in which an experiment is handed on and kept in ``clip.json``: a law comes out
alike in whichever of its forms a run file gives it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm_contract.experiment import Experiment
from clipfarm_contract.experiments import EXPERIMENTS, laws
from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.laws import Choice, Law, Uniform
from clipfarm_contract.fields import ContractError, Fields, load, parse_text, show
from clipfarm_contract.text import any_of

SHORTHANDS = ("friction", "mass")
"""Factors that a phase may name by themselves, with a range, as the first run files did."""


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
    preview: bool
    """Whether the clip gets a ``preview.gif``."""
    assets: Assets | None = None
    background: str = "full"
    """One of ``BACKGROUNDS``; part of the scene because it changes the frames' bytes."""
    laws: Mapping[str, Law] = field(default_factory=dict)
    """Of factors that the whole experiment gives another law than its declaration does."""

    @property
    def declaration(self) -> Declaration:
        """What the experiment declares."""
        return EXPERIMENTS[self.name]

    def problem(self, phase: "Phase", *, own_renderer: bool = False) -> str | None:
        """Return the first law that cannot be, as ``friction: found 2, expected 0 to 1``; None if all can."""
        for factor in self.declaration.factors:
            law = phase.laws[factor.name]
            if problem := factor.problem(law, self.frames, own_renderer=own_renderer):
                return f"{factor.name}: {problem}"
        return None


@dataclass(frozen=True, slots=True)
class Phase:
    """A range of clips with laws of its own."""

    name: str
    laws: Mapping[str, Law]
    """Of every factor of the experiment."""


@dataclass(frozen=True, slots=True)
class PhaseClips:
    """A phase together with the clips that belong to it, both ends included."""

    start: int
    end: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Declared:
    """A run's whole experiment."""

    scene: Scene
    phases: tuple[PhaseClips, ...]

    @classmethod
    def from_json(cls, text: str, where: str = "experiment") -> "Declared":
        """Read the JSON of ``spec.experiment`` with all defaults filled in.

        Raises:
            ContractError: a field is missing, unknown or of the wrong type.
        """
        fields = Fields(load(text, where), where)
        scene = _take_scene(fields)
        phases = fields.take_list("phases", lambda value, path: _parse_phase_clips(value, path, scene))
        fields.done()
        return cls(scene, phases)

    def document(self) -> dict[str, Any]:
        """Return the JSON form of the whole experiment."""
        phases = [
            phase_json(self.scene, entry.phase) | {"clips": {"start": entry.start, "end": entry.end}}
            for entry in self.phases
        ]
        return scene_json(self.scene) | {"phases": phases}

    def experiment(self) -> Experiment:
        """Return it as those parts see it that read only its picture."""
        return Experiment(self.document())


def parse_clip(document: Mapping[str, Any], where: str) -> tuple[Scene, Phase]:
    """Read the experiment of one clip, as ``CLIP_EXPERIMENT`` and ``clip.json`` have it.

    Raises:
        ContractError: a field is missing, unknown or of the wrong type.
    """
    fields = Fields(dict(document), where)
    scene = _take_scene(fields)
    phase = fields.take_object("phase", lambda value, path: _parse_phase(value, path, scene))
    fields.done()
    return scene, phase


def clip_json(scene: Scene, phase: Phase) -> dict[str, Any]:
    """Return the form that :func:`parse_clip` reads."""
    return scene_json(scene) | {"phase": phase_json(scene, phase)}


def scene_json(scene: Scene) -> dict[str, Any]:
    """Return the JSON form of what all clips have in common."""
    document = {
        "name": scene.name,
        "frames": scene.frames,
        "fps": scene.fps,
        "resolution": scene.resolution,
        "samplesPerPixel": scene.samples_per_pixel,
        "layers": list(scene.layers),
        "objects": list(scene.objects),
        "preview": scene.preview,
        "background": scene.background,
    }
    if "impulse" in scene.declaration.by_name:
        document["impulse"] = _impulse_json(scene)
    return document | ({"assets": scene.assets.to_json()} if scene.assets else {})


def phase_json(scene: Scene, phase: Phase) -> dict[str, Any]:
    """Return the JSON form of a phase: its shorthands, and each other factor whose law is not the one it has anyway."""
    document: dict[str, Any] = {"name": phase.name}
    expected, others = _expected(scene), {}
    for name, law in phase.laws.items():
        if isinstance(law, Choice) and scene.declaration.by_name[name].is_object:
            if law != expected[name]:
                document["objects"] = list(law.values)
        elif name in SHORTHANDS and isinstance(law, Uniform):
            document[name] = law.to_json()
        elif law != expected[name]:
            others[name] = law.to_json()
    return document | ({"factors": others} if others else {})


def _impulse_json(scene: Scene) -> dict[str, Any]:
    """Return ``impulse``, in which the first run files said all that is to be said of the push."""
    expected = _expected(scene)
    impulse, at_frame = expected["impulse"], expected["atFrame"]
    assert isinstance(impulse, Uniform)
    assert isinstance(at_frame, Uniform)
    return impulse.to_json() | {"atFrame": int(at_frame.min)}


def _expected(scene: Scene) -> dict[str, Law]:
    """Return the law that a factor has in a phase that does not record it.

    It comes from the declaration, and from those fields of the experiment that the first run files had.
    """
    known = dict(scene.declaration.defaults)
    known |= dict.fromkeys(scene.declaration.object_factors(), laws.choice(scene.objects))
    impulse, at_frame = scene.laws.get("impulse"), scene.laws.get("atFrame")
    if isinstance(impulse, Uniform):
        known["impulse"] = impulse
    if isinstance(at_frame, Uniform) and at_frame.min == at_frame.max:
        known["atFrame"] = at_frame
    return known


def _take_scene(fields: Fields) -> Scene:
    name = fields.take("name", str)
    if name not in EXPERIMENTS:
        raise ContractError(f"{fields.path('name')}: found {show(name)}, expected {any_of(EXPERIMENTS)}")
    declaration = EXPERIMENTS[name]
    given: dict[str, Law] = {}
    if fields.has("impulse") and "impulse" in declaration.by_name:
        given |= fields.take_object("impulse", _parse_impulse)
    objects = fields.take_list("objects", parse_text)
    if fields.has("factors"):
        given |= _take_laws(fields, declaration, given)
    return Scene(
        name=name,
        frames=fields.take("frames", int),
        fps=fields.take("fps", int),
        resolution=fields.take("resolution", int),
        samples_per_pixel=fields.take("samplesPerPixel", int),
        layers=fields.take_list("layers", parse_text),
        objects=objects,
        preview=fields.take("preview", bool),
        assets=fields.take_object("assets", Assets.parse) if fields.has("assets") else None,
        background=fields.take("background", str, "full"),
        laws=given,
    )


def _parse_impulse(value: object, where: str) -> dict[str, Law]:
    """Read ``{"min": 12, "max": 13, "atFrame": 1}``."""
    fields = Fields(value, where)
    at_frame = fields.take("atFrame", int)
    bounds = {name: fields.take(name, float) for name in ("min", "max")}
    fields.done()
    return {"impulse": laws.parse_range(bounds, where), "atFrame": Uniform(at_frame, at_frame)}


def _parse_phase_clips(value: object, where: str, scene: Scene) -> PhaseClips:
    fields = Fields(value, where)
    start, end = fields.take_object("clips", _parse_clips)
    phase = _take_phase(fields, scene)
    fields.done()
    return PhaseClips(start, end, phase)


def _parse_phase(value: object, where: str, scene: Scene) -> Phase:
    fields = Fields(value, where)
    phase = _take_phase(fields, scene)
    fields.done()
    return phase


def _take_phase(fields: Fields, scene: Scene) -> Phase:
    declaration = scene.declaration
    name, given = fields.take("name", str), dict[str, Law]()
    for shorthand in SHORTHANDS:
        if shorthand in declaration.by_name and fields.has(shorthand):
            given[shorthand] = fields.take_object(shorthand, laws.parse_range)
    if fields.has("factors"):
        given |= _take_laws(fields, declaration, given)
    objects: Law = laws.choice(fields.take_list("objects", parse_text) if fields.has("objects") else scene.objects)
    everywhere = {**declaration.defaults, **dict.fromkeys(declaration.object_factors(), objects), **scene.laws}
    return Phase(name, everywhere | given)


def _take_laws(fields: Fields, declaration: Declaration, given: Mapping[str, Law]) -> dict[str, Law]:
    """Take ``factors``."""
    where, found = fields.path("factors"), fields.take("factors", dict)
    made: dict[str, Law] = {}
    for name, value in found.items():
        if name not in declaration.by_name:
            raise ContractError(f"{where}.{name}: unknown factor, expected {any_of(declaration.by_name)}")
        if declaration.by_name[name].is_object:
            raise ContractError(f"{where}.{name}: found a factor that is an object, expected its names in objects")
        if name in given:
            raise ContractError(f"{where}.{name}: found a second law of {name}, expected one")
        made[name] = laws.parse(value, f"{where}.{name}")
    return made


def _parse_clips(value: object, where: str) -> tuple[int, int]:
    fields = Fields(value, where)
    clips = fields.take("start", int), fields.take("end", int)
    fields.done()
    return clips
