"""What the built-in renderer can make: asked before anything starts."""

from collections.abc import Callable

from clipfarm_contract import assets
from clipfarm_contract.bounds import A_DIVISOR, LEAST_PIXELS, MOST_PIXELS, STEP_RATE
from clipfarm_contract.experiment import BACKGROUNDS, LAYERS, SHAPES
from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.experiments.scene import PhaseClips, Scene
from clipfarm_contract.fields import ContractError
from clipfarm_contract.text import any_of


def refuse_unsupported(experiment: Declared) -> None:
    """Check an experiment against the rules.

    Raises:
        ContractError: the first thing that cannot be made, as ``field: found ..., expected ...``.
    """
    for rule in SCENE_RULES:
        problem = rule(experiment.scene)
        if problem:
            raise ContractError(f"experiment.{problem}")
    for i, entry in enumerate(experiment.phases):
        problem = _phase(entry, experiment.scene)
        if problem:
            raise ContractError(f"experiment.phases[{i}].{problem}")


def _layers(scene: Scene) -> str | None:
    odd = next((layer for layer in scene.layers if layer not in LAYERS), None)
    if odd is not None:
        return f'layers: found "{odd}", expected {any_of(LAYERS)}'
    return None if "rgb" in scene.layers else f"layers: found {list(scene.layers)}, expected rgb among them"


def _objects(scene: Scene) -> str | None:
    if not scene.objects:
        return f"objects: found [], expected {any_of(SHAPES)}"
    odd = [thing for thing in scene.objects if thing not in SHAPES]
    if odd and scene.assets is None:
        return f'objects: found "{odd[0]}", expected {any_of(SHAPES)}, or an asset of experiment.assets'
    return assets.problem(scene.assets, odd) if scene.assets else None


def _background(scene: Scene) -> str | None:
    if scene.background in BACKGROUNDS:
        return None
    return f'background: found "{scene.background}", expected {any_of(BACKGROUNDS)}'


def _frames(scene: Scene) -> str | None:
    return None if scene.frames >= 2 else f"frames: found {scene.frames}, expected 2 or more"


def _fps(scene: Scene) -> str | None:
    if scene.fps >= 1 and STEP_RATE % scene.fps == 0:
        return None
    return f"fps: found {scene.fps}, expected {A_DIVISOR}"


def _resolution(scene: Scene) -> str | None:
    if LEAST_PIXELS <= scene.resolution <= MOST_PIXELS:
        return None
    return f"resolution: found {scene.resolution}, expected {LEAST_PIXELS} to {MOST_PIXELS}"


def _samples(scene: Scene) -> str | None:
    return (
        None
        if scene.samples_per_pixel >= 1
        else f"samplesPerPixel: found {scene.samples_per_pixel}, expected 1 or more"
    )


def _groups(scene: Scene) -> str | None:
    return scene.group_problem()


def _phase(entry: PhaseClips, scene: Scene) -> str | None:
    if not 0 <= entry.start <= entry.end:
        return f"clips: found {entry.start} to {entry.end}, expected a range of whole numbers from 0"
    return scene.problem(entry.phase)


SCENE_RULES: tuple[Callable[[Scene], str | None], ...] = (
    _layers,
    _objects,
    _background,
    _frames,
    _fps,
    _resolution,
    _samples,
    _groups,
)
