"""What the clips of a run have in common, and what a range of them has: a scene, and its phases.

Their JSON is the one form in which an experiment is handed on and kept in ``clip.json``: a law comes out alike in
whichever of its forms a run file gives it. A phase records only what differs from the declaration, so a factor that a
later version adds leaves the recipes of earlier clips as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm_contract.experiments import EXPERIMENTS, laws, looks
from clipfarm_contract.experiments.covering import leaves_none
from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.exclusion import Exclusion
from clipfarm_contract.experiments.groups import (
    QUADRUPLET,
    Twins,
    Violations,
    law_problem,
    twins_problem,
    violations_problem,
)
from clipfarm_contract.experiments.laws import Choice, Law, Uniform
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.experiments.views import View
from clipfarm_contract.fields import Fields

SHORTHANDS = ("friction", "mass")
"""Factors that a phase may name by themselves, with a range, as the first run files did."""
SPLITS = ("train", "val", "test")
"""What a clip may be for."""


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
    """Of factors to which the whole experiment gives a law."""
    exclude: tuple[Exclusion, ...] = ()
    """What no clip of the whole experiment may show."""
    twins: Twins | None = None
    violations: Violations | None = None
    views: tuple[View, ...] = ()
    """Further views of each clip."""
    module: Module | None = None
    """The user's own module that has this experiment; None for a built-in one."""
    declared: Declaration | None = None
    """What the module declares; of one that is not run here, no more than the run says of it."""
    is_read: bool = True
    """Whether all that the experiment declares is known."""

    @property
    def group(self) -> int:
        """Clips of a group; 1 if each clip is for itself."""
        if self.violations is not None:
            return QUADRUPLET
        return 1 if self.twins is None else self.twins.of

    @property
    def declaration(self) -> Declaration:
        """What the experiment declares."""
        return self.declared or EXPERIMENTS[self.name]

    def shares_backgrounds(self, phase: "Phase", *, view: bool = False) -> bool:
        """Return whether clips of a phase have a look in common, so that it is worth keeping its background.

        Args:
            phase: the clips'.
            view: whether a further view is meant, whose camera is always the same.
        """
        return self.group > 1 or looks.count(self.declaration, phase.laws, camera=not view) is not None

    def problem(self, phase: "Phase", *, own_renderer: bool = False) -> str | None:
        """Return the first law that cannot be, as ``friction: found 2, expected 0 to 1``; None if all can.

        Of a module that is not run here nothing is known, so nothing is wrong.
        """
        if not self.is_read:
            return None
        for factor in self.declaration.factors:
            law = phase.laws[factor.name]
            if problem := factor.problem(law, self.frames, own_renderer=own_renderer):
                return f"{factor.name}: {problem}"
        if not own_renderer and (problem := looks.problem(phase.laws)):
            return problem
        for i, exclusion in enumerate(phase.exclude):
            if leaves_none([exclusion], self.declaration, phase.laws):
                return f"exclude[{i}]: found every clip held out, expected some that are not"
        if phase.exclude and leaves_none(phase.exclude, self.declaration, phase.laws):
            return "exclude: found every clip held out by its entries together, expected some that are not"
        if self.group > 1 and phase.exclude:
            # A clip that is held out draws again, and would no longer be like the others of its group.
            return f"exclude: found beside {'violations' if self.violations else 'twins'}, expected one of the two"
        return None if self.violations is None else law_problem(self.violations, self.declaration, phase.laws)

    def group_problem(self) -> str | None:
        """Return what is wrong with twins and violations, as ``twins.vary: found ...``; None if nothing is."""
        if self.twins is not None and self.violations is not None:
            return "twins: found beside violations, expected one of the two"
        if self.twins is not None:
            return twins_problem(self.twins, self.declaration)
        if self.violations is None:
            return None
        known = self.declaration.by_name if self.is_read else None
        return violations_problem(self.violations, self.name, known, self.frames)


@dataclass(frozen=True, slots=True)
class Phase:
    """A range of clips with laws of its own."""

    name: str
    laws: Mapping[str, Law]
    """Of every factor of the experiment."""
    exclude: tuple[Exclusion, ...] = ()
    """What no clip of it may show; that of the whole experiment is among it."""
    split: str = ""
    """One of ``SPLITS``; empty if the run says nothing."""


@dataclass(frozen=True, slots=True)
class PhaseClips:
    """A phase together with the clips that belong to it, both ends included."""

    start: int
    end: int
    phase: Phase


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
    if scene.module is not None:
        document["module"] = scene.module.to_json()
    elif "impulse" in scene.declaration.by_name:
        document["impulse"] = _impulse_json(scene)
    for name, group in (("twins", scene.twins), ("violations", scene.violations)):
        if group is not None:
            document[name] = group.to_json()
    if scene.views:
        document["views"] = [view.to_json() for view in scene.views]
    return document | ({"assets": scene.assets.to_json()} if scene.assets else {})


def phase_json(scene: Scene, phase: Phase) -> dict[str, Any]:
    """Return the JSON form of a phase: its shorthands, and each other factor whose law is not the one it has anyway."""
    document: dict[str, Any] = {"name": phase.name}
    expected, others = _expected(scene), laws_json(scene, phase)
    for name in scene.declaration.object_factors():
        if isinstance(law := phase.laws[name], Choice) and law != expected[name]:
            document["objects"] = list(law.values)
    document |= {name: law.to_json() for name, law in phase.laws.items() if _is_short(name, law)}
    document |= {"factors": others} if others else {}
    document |= {"exclude": [each.to_json() for each in phase.exclude]} if phase.exclude else {}
    return document | ({"split": phase.split} if phase.split else {})


def laws_json(scene: Scene, phase: Phase) -> dict[str, Any]:
    """Return the laws that are none of the shorthands, and not those which their factors have anyway."""
    expected, objects = _expected(scene), scene.declaration.object_factors()
    return {
        name: law.to_json()
        for name, law in phase.laws.items()
        if law != expected[name] and name not in objects and not _is_short(name, law)
    }


def _is_short(name: str, law: Law) -> bool:
    return name in SHORTHANDS and isinstance(law, Uniform)


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
    if scene.module is not None:
        return known
    impulse, at_frame = scene.laws.get("impulse"), scene.laws.get("atFrame")
    if isinstance(impulse, Uniform):
        known["impulse"] = impulse
    if isinstance(at_frame, Uniform) and at_frame.min == at_frame.max:
        known["atFrame"] = at_frame
    return known
