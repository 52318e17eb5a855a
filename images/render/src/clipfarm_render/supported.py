"""What the built-in renderer can make: asked before anything starts."""

import difflib
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.experiment import (
    BACKGROUNDS,
    LAYERS,
    SHAPES,
    Assets,
    Experiment,
    Impulse,
    Phase,
    PhaseClips,
    Scene,
)
from clipfarm_contract.fields import ContractError

MOST_MANIFEST_BYTES = 2**30
STEP_RATE = 240
"""Of the physics; a second spelling of ``physics.STEP_RATE``, which cannot be had without loading Blender."""


def refuse_unsupported(experiment: Experiment) -> None:
    """Check an experiment against the rules.

    Raises:
        ContractError: the first thing that cannot be made, as ``field: found ..., expected ...``.
    """
    for rule in SCENE_RULES:
        problem = rule(experiment.scene)
        if problem:
            raise ContractError(f"experiment.{problem}")
    for i, entry in enumerate(experiment.phases):
        problem = _phase(entry)
        if problem:
            raise ContractError(f"experiment.phases[{i}].{problem}")


def _name(scene: Scene) -> str | None:
    return None if scene.name == "push" else f'name: found "{scene.name}", expected push'


def _layers(scene: Scene) -> str | None:
    odd = next((layer for layer in scene.layers if layer not in LAYERS), None)
    if odd is not None:
        return f'layers: found "{odd}", expected {_any_of(LAYERS)}'
    return None if "rgb" in scene.layers else f"layers: found {list(scene.layers)}, expected rgb among them"


def _objects(scene: Scene) -> str | None:
    if not scene.objects:
        return f"objects: found [], expected {_any_of(SHAPES)}"
    odd = [thing for thing in scene.objects if thing not in SHAPES]
    if odd and scene.assets is None:
        return f'objects: found "{odd[0]}", expected {_any_of(SHAPES)}, or an asset of experiment.assets'
    return _assets(scene.assets, odd) if scene.assets else None


def _assets(assets: Assets, wanted: Sequence[str]) -> str | None:
    """Look into the manifest; the archives are opened by the clips that show them."""
    try:
        text = regular.read(Path(assets.manifest), f"assets.manifest: {assets.manifest}", MOST_MANIFEST_BYTES)
    except OSError as error:
        return f"assets.manifest: {assets.manifest} cannot be read: {error.strerror}"
    except ContractError as error:
        return str(error)
    if assets.sha256 and hashlib.sha256(text).hexdigest() != assets.sha256:
        return f"assets.sha256: {assets.manifest} is another file, of sha256 {hashlib.sha256(text).hexdigest()}"
    try:
        entries = json.loads(text)["assets"]
        kinds = {asset_id: entries[asset_id]["asset_type"] for asset_id in wanted if asset_id in entries}
    except (ValueError, KeyError, TypeError):
        return f"assets.manifest: {assets.manifest} is no manifest of Kubric's"
    for asset_id in wanted:
        if asset_id not in kinds:
            close = difflib.get_close_matches(asset_id, entries, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            return f'objects: found "{asset_id}", which {assets.manifest} does not list{hint}'
        if kinds[asset_id] != "FileBasedObject":
            return f'objects: "{asset_id}" is a {kinds[asset_id]}, expected a FileBasedObject'
    return None


def _background(scene: Scene) -> str | None:
    if scene.background in BACKGROUNDS:
        return None
    return f'background: found "{scene.background}", expected {_any_of(BACKGROUNDS)}'


def _frames(scene: Scene) -> str | None:
    return None if scene.frames >= 2 else f"frames: found {scene.frames}, expected 2 or more"


def _fps(scene: Scene) -> str | None:
    if scene.fps >= 1 and STEP_RATE % scene.fps == 0:
        return None
    return f"fps: found {scene.fps}, expected a divisor of {STEP_RATE}, the rate of the physics"


def _resolution(scene: Scene) -> str | None:
    return None if 16 <= scene.resolution <= 4096 else f"resolution: found {scene.resolution}, expected 16 to 4096"


def _samples(scene: Scene) -> str | None:
    return (
        None
        if scene.samples_per_pixel >= 1
        else f"samplesPerPixel: found {scene.samples_per_pixel}, expected 1 or more"
    )


def _impulse(scene: Scene) -> str | None:
    impulse: Impulse = scene.impulse
    if not 0 <= impulse.at_frame <= scene.frames - 2:
        return f"impulse.atFrame: found {impulse.at_frame}, expected 0 to {scene.frames - 2}, so that motion can follow"
    return None if impulse.min > 0 else f"impulse.min: found {impulse.min:g}, expected more than 0"


def _phase(entry: PhaseClips) -> str | None:
    phase: Phase = entry.phase
    if not 0 <= entry.start <= entry.end:
        return f"clips: found {entry.start} to {entry.end}, expected a range of whole numbers from 0"
    if not (phase.friction.min >= 0 and phase.friction.max <= 1):
        return f"friction: found {phase.friction.min:g} to {phase.friction.max:g}, expected 0 to 1"
    return None if phase.mass.min > 0 else f"mass.min: found {phase.mass.min:g}, expected more than 0"


def _any_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


SCENE_RULES: tuple[Callable[[Scene], str | None], ...] = (
    _name,
    _layers,
    _objects,
    _background,
    _frames,
    _fps,
    _resolution,
    _samples,
    _impulse,
)
