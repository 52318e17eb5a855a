"""Reading a run's experiment: strictly, by the experiment's declaration.

The same JSON, with the same field names, that a BenchmarkRun holds under ``spec.experiment``. Every error names the
field, what was found, and what was expected.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clipfarm_contract.experiment import Experiment
from clipfarm_contract.experiments import EXPERIMENTS, laws, views
from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.exclusion import Exclusion
from clipfarm_contract.experiments.groups import Twins, Violations
from clipfarm_contract.experiments.laws import Law, Uniform
from clipfarm_contract.experiments.module import Module, unread
from clipfarm_contract.experiments.scene import (
    SHORTHANDS,
    SPLITS,
    Assets,
    Phase,
    PhaseClips,
    Scene,
    phase_json,
    scene_json,
)
from clipfarm_contract.experiments.views import View
from clipfarm_contract.fields import ContractError, Fields, load, parse_text, show
from clipfarm_contract.text import any_of, meant

Declare = Callable[[str, Module], Declaration]
"""Returns what the experiment of a name declares in a module, by running it."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A run's whole experiment."""

    scene: Scene
    phases: tuple[PhaseClips, ...]

    @classmethod
    def from_json(cls, text: str, where: str = "experiment", declare: Declare | None = None) -> "Declared":
        """Read the JSON of ``spec.experiment`` with all defaults filled in.

        Args:
            text: the JSON.
            where: what messages call it.
            declare: runs a module; None: the laws of its factors are taken unread.

        Raises:
            ContractError: a field is missing, unknown or of the wrong type.
        """
        fields = Fields(load(text, where), where)
        scene = _take_scene(fields, declare)
        entries = fields.take_list("phases", lambda value, path: _parse_phase_clips(value, path, scene))
        fields.done()
        return cls(scene, tuple(itertools.chain.from_iterable(entries)))

    def document(self) -> dict[str, Any]:
        """Return the JSON form of the whole experiment."""
        phases = [
            phase_json(self.scene, entry.phase) | {"clips": {"start": entry.start, "end": entry.end}}
            for entry in self.phases
        ]
        return scene_json(self.scene) | {"phases": phases}

    def document_with_source(self) -> dict[str, Any]:
        """Return the same for the renderer, which runs the module."""
        document, module = self.document(), self.scene.module
        return document if module is None else document | {"module": module.to_json() | {"source": module.source}}

    def experiment(self) -> Experiment:
        """Return it as those parts see it that read only its picture."""
        return Experiment(self.document())


def parse_clip(document: Mapping[str, Any], where: str, declare: Declare | None = None) -> tuple[Scene, Phase]:
    """Read the experiment of one clip, as ``CLIP_EXPERIMENT`` and ``clip.json`` have it.

    Args:
        document: the experiment.
        where: what messages call it.
        declare: as for :meth:`Declared.from_json`.

    Raises:
        ContractError: a field is missing, unknown or of the wrong type.
    """
    fields = Fields(dict(document), where)
    scene = _take_scene(fields, declare)
    phase = fields.take_object("phase", lambda value, path: _parse_phase(value, path, scene))
    fields.done()
    return scene, phase


def _take_scene(fields: Fields, declare: Declare | None) -> Scene:
    document, name = fields.left, fields.take("name", str)
    module = fields.take_object("module", Module.parse) if fields.has("module") else None
    if module is None and name not in EXPERIMENTS:
        raise ContractError(f"{fields.path('name')}: found {show(name)}, expected {any_of(EXPERIMENTS)}")
    if module is None:
        declaration = EXPERIMENTS[name]
    else:
        declaration = unread(name, document) if declare is None else declare(name, module)
    given: dict[str, Law] = {}
    if fields.has("impulse"):
        _refuse_unknown("impulse", declaration, fields.path("impulse"))
        given |= fields.take_object("impulse", _parse_impulse)
    objects = fields.take_list("objects", parse_text)
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
        exclude=_take_exclusions(fields, declaration),
        twins=fields.take_object("twins", Twins.parse) if fields.has("twins") else None,
        violations=fields.take_object("violations", Violations.parse) if fields.has("violations") else None,
        views=_take_views(fields),
        module=module,
        declared=declaration if module else None,
        is_read=module is None or declare is not None,
    )


def _take_views(fields: Fields) -> tuple[View, ...]:
    found = fields.take_list("views", View.parse) if fields.has("views") else ()
    if problem := views.problem(found):
        raise ContractError(fields.path(problem))
    return found


def _parse_impulse(value: object, where: str) -> dict[str, Law]:
    """Read ``{"min": 12, "max": 13, "atFrame": 1}``."""
    fields = Fields(value, where)
    at_frame = fields.take("atFrame", int)
    bounds = {name: fields.take(name, float) for name in ("min", "max")}
    fields.done()
    return {"impulse": laws.parse_range(bounds, where), "atFrame": Uniform(at_frame, at_frame)}


def _parse_phase_clips(value: object, where: str, scene: Scene) -> tuple[PhaseClips, ...]:
    """Read an entry of ``phases``; with ``eval: N`` it is two, the last N clips being for validation."""
    fields = Fields(value, where)
    start, end = fields.take_object("clips", _parse_clips)
    held = fields.take("eval", int, 0)
    phase = _take_phase(fields, scene)
    fields.done()
    if not held:
        return (PhaseClips(start, end, phase),)
    if phase.split:
        raise ContractError(f"{where}.eval: found beside split, expected one of the two")
    if not 0 < held < end - start + 1:
        raise ContractError(f"{where}.eval: found {held}, expected 1 to {end - start}, so that some clips are left")
    return (
        PhaseClips(start, end - held, replace(phase, split="train")),
        PhaseClips(end - held + 1, end, replace(phase, split="val")),
    )


def _parse_phase(value: object, where: str, scene: Scene) -> Phase:
    fields = Fields(value, where)
    phase = _take_phase(fields, scene)
    fields.done()
    return phase


def _take_phase(fields: Fields, scene: Scene) -> Phase:
    declaration = scene.declaration
    name, given = fields.take("name", str), dict[str, Law]()
    for shorthand in SHORTHANDS:
        if fields.has(shorthand):
            _refuse_unknown(shorthand, declaration, fields.path(shorthand))
            given[shorthand] = fields.take_object(shorthand, laws.parse_range)
    given |= _take_laws(fields, declaration, given)
    objects: Law = laws.choice(fields.take_list("objects", parse_text) if fields.has("objects") else scene.objects)
    everywhere = {**declaration.defaults, **dict.fromkeys(declaration.object_factors(), objects), **scene.laws}
    exclude = scene.exclude + _take_exclusions(fields, declaration)
    split = fields.take("split", str, "")
    if split and split not in SPLITS:
        raise ContractError(f"{fields.path('split')}: found {show(split)}, expected {any_of(SPLITS)}")
    return Phase(name, everywhere | given, exclude, split)


def _take_exclusions(fields: Fields, declaration: Declaration) -> tuple[Exclusion, ...]:
    if not fields.has("exclude"):
        return ()
    where = fields.path("exclude")
    found = fields.take_list("exclude", Exclusion.parse)
    for i, exclusion in enumerate(found):
        for name, span in exclusion.factors.items():
            path = f"{where}[{i}].factors.{name}"
            _refuse_unknown(name, declaration, path)
            factor = declaration.by_name[name]
            if factor.default == laws.UNREAD:
                continue
            if odd := next((each for each in span.names if each not in factor.names), None):
                expected = any_of(factor.names) if factor.names else "min, max, values or value"
                raise ContractError(f"{path}.names: found {show(odd)}, expected {expected}")
            if factor.names and not span.names:
                raise ContractError(f"{path}: found numbers, expected names: {any_of(factor.names)}")
    return found


def _refuse_unknown(name: str, declaration: Declaration, where: str) -> None:
    known = [factor.name for factor in declaration.factors if not factor.is_object]
    if name == "true" and "y" in known:  # as kubectl reads it, a key y that is not in quotes
        expected = 'a factor; write "y" with its quotes, y alone is true in YAML'
        raise ContractError(f"{where}: found true, expected {expected}")
    if name not in known:
        raise ContractError(f"{where}: unknown factor of {declaration.name}{meant(name, known)}")


def _take_laws(fields: Fields, declaration: Declaration, given: Mapping[str, Law]) -> dict[str, Law]:
    """Take ``factors``."""
    if not fields.has("factors"):
        return {}
    where, found = fields.path("factors"), fields.take("factors", dict)
    made: dict[str, Law] = {}
    for name, value in found.items():
        _refuse_unknown(name, declaration, f"{where}.{name}")
        if name in given:
            raise ContractError(f"{where}.{name}: found a second law of {name}, expected one")
        made[name] = laws.parse(value, f"{where}.{name}")
    return made


def _parse_clips(value: object, where: str) -> tuple[int, int]:
    fields = Fields(value, where)
    clips = fields.take("start", int), fields.take("end", int)
    fields.done()
    return clips
