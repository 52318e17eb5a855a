"""Two frames at very many samples, against which bench/render.py holds others."""

import tempfile
from pathlib import Path

import numpy as np

from clipfarm_contract.experiments.reading import Declared, parse_clip
from clipfarm_render import experiments
from clipfarm_render.picture import background, view
from clipfarm_render.picture.boxes import Box
from clipfarm_render.picture.cycles import CyclesRenderer
from clipfarm_render.picture.frames import CompositeFrames
from clipfarm_render.picture.region import Rule
from clipfarm_render.scene import bodies, physics, stage
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Motion
from clipfarm_render.seeds import clip_seed


def write(file: str, seed: str, index: str, frame: str, samples: str, target: str) -> None:
    """Write 8-bit ``pictures`` of the frame and the next, and ``near``: what the object changes in the first."""
    recipe = Declared.from_json(Path(file).read_text()).experiment().recipe(int(seed), int(index))
    scene, phase = parse_clip(recipe.experiment, "experiment")
    with tempfile.TemporaryDirectory(prefix="clipfarm-reference-") as place:
        scratch = Path(place)
        _, sample = experiments.draw(scene, phase, clip_seed(int(seed), int(index)))
        body = bodies.make(sample, scene.assets, AssetFiles(scratch))
        built = stage.build([body], Camera(scene.resolution), scene.frames, scene.fps)
        world = physics.simulator(built.scene, scratch)
        renderer = CyclesRenderer(built, scene.samples_per_pixel, 2, "cpu", scratch)
        motion = Motion.of(physics.simulate(world, body, sample.pushes, scene.frames, scene.fps))
        built.animate(motion)
        # Few samples are enough to know where the object changes anything.
        behind = background.get(None, renderer, 4, "cpu", scratch, built)
        frames = CompositeFrames(renderer, built, motion, behind, 4)
        region = Rule(behind.surroundings, built.look).find(frames.solids(int(frame)))
        near = region.weak.pixels
        everything = Box(0, 0, scene.resolution, scene.resolution)
        pictures = []
        for number in (int(frame), int(frame) + 1):
            renderer.go_to(number)
            pictures.append(view.seen(renderer.render_box(everything, int(samples))))
        np.savez(target, pictures=np.stack(pictures), near=near)
