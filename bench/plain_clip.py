"""One clip the plain way: what Kubric's own example scripts do, on the scene of clipfarm's push experiment.

``renderer.render()`` with all passes, 64 samples, denoised, as many threads as Blender likes; EXR files read back,
PNG files and a preview written. Run by bench/render.py as a process of its own, as clipfarm runs its renderer.

Kubric's search for segment numbers needs scikit-learn, so the segmentation is rendered and not read back: this way is
a little faster here than in full.
"""

import json
import sys
import tempfile
from pathlib import Path

from clipfarm_contract.experiments.reading import Declared, parse_clip
from clipfarm_contract.layout import Clip
from clipfarm_render import experiments
from clipfarm_render.picture import preview
from clipfarm_render.picture.cycles import CyclesRenderer, save_png
from clipfarm_render.scene import bodies, physics, stage
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Motion
from clipfarm_render.seeds import clip_seed

LAYERS = ("rgba", "backward_flow", "forward_flow", "depth", "normal", "object_coordinates")


class PlainRenderer(CyclesRenderer):
    """Kubric's renderer as it is, with this scene's materials."""

    def _leave_out_unused_passes(self) -> None:
        self.use_denoising = True


def main() -> None:
    """Make clip INDEX of the experiment in FILE in FOLDER: plain_clip.py FILE SEED INDEX FOLDER."""
    file, seed, index, folder = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    recipe = Declared.from_json(file.read_text()).experiment().recipe(seed, index)
    scene, phase = parse_clip(recipe.experiment, "experiment")
    clip = Clip(folder)
    with tempfile.TemporaryDirectory(prefix="clipfarm-plain-") as place:
        scratch = Path(place)
        _, sample = experiments.draw(scene, phase, clip_seed(seed, index))
        body = bodies.make(sample, scene.assets, AssetFiles(scratch))
        built = stage.build([body], Camera(scene.resolution), scene.frames, scene.fps)
        world = physics.simulator(built.scene, scratch)
        renderer = PlainRenderer(built, scene.samples_per_pixel, 2, "cpu", scratch)
        renderer.blender_scene.render.threads_mode = "AUTO"
        renderer.blender_scene.render.image_settings.file_format = "PNG"
        built.animate(Motion.of(physics.simulate(world, body, sample.pushes, scene.frames, scene.fps)))
        layers = renderer.render(return_layers=LAYERS)
        clip.rgb.mkdir(parents=True)
        for frame in range(scene.frames):
            save_png(layers["rgba"][frame, ..., :3].copy(), clip.frame(frame))
        preview.write(clip, scene.frames, scene.fps)
    clip.ground_truth.write_text(json.dumps({"friction": sample.friction}))


if __name__ == "__main__":
    main()
