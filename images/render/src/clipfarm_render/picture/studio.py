"""The renderer of this process, kept from clip to clip.

Between two clips of a run often nothing changes but the objects and the camera. So Cycles keeps its device, its
kernels, and what stands still; only these are exchanged. The pictures are those of a renderer set up anew, to the bit.
"""

from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.picture.cycles import CyclesRenderer
from clipfarm_render.scene.arena import Sun
from clipfarm_render.scene.stage import Stage


@dataclass(frozen=True, slots=True)
class _Settings:
    """What has to be the same."""

    size: tuple[int, int, int, int]
    bodies: tuple[str, ...]
    fixtures: tuple[str, ...]
    suns: tuple[Sun, ...]
    floor: str
    threads: int
    device: str


_kept: tuple[_Settings, CyclesRenderer] | None = None


def renderer(stage: Stage, scene: Scene, threads: int, device: str, scratch: Path) -> CyclesRenderer:
    """Return a renderer of the stage, which has not been animated yet.

    Raises:
        ClipError: the machine has no such GPU, or an asset cannot be read.
    """
    global _kept
    size = scene.resolution, scene.samples_per_pixel, scene.frames, scene.fps
    bodies, fixtures = (body.asset.name for body in stage.bodies), (fixture.look for fixture in stage.fixtures)
    settings = _Settings(size, tuple(bodies), tuple(fixtures), stage.look.suns, stage.look.floor, threads, device)
    from_files = any(body.described for body in stage.bodies)
    if _kept is not None and _kept[0] == settings and not from_files:
        made = _kept[1]
        made.exchange(stage, scratch)
        return made
    _kept = None  # the next line takes its scene apart
    made = CyclesRenderer(stage, scene.samples_per_pixel, threads, device, scratch)
    # Assets bring materials of their own along; other layers leave a scene of their own behind.
    layers = {*scene.layers, *(layer for view in scene.views for layer in view.layers)}
    keeps = layers == {"rgb"} and not from_files
    if keeps:
        _kept = settings, made
    return made
