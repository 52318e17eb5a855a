"""Blender Cycles, through Kubric's renderer: the scene's assets are Kubric's, the picture is made directly.

Kubric's renderer is made for seven layers at once: a second view layer, a compositor, EXR files read back from disk.
A clip of plain frames needs none of them, so they are taken out again; what is left is one render call a
frame that writes the PNG.
"""

import math
from pathlib import Path

import bpy
from PIL import Image

from clipfarm_render import arena, device, materials
from clipfarm_render.kubric_compat import Blender, kb
from clipfarm_render.sample import Sample
from clipfarm_render.stage import Stage

PNG_COMPRESSION = 1
"""zlib level. Noise hardly compresses, and every reader of the frames pays for what is packed harder."""


class CyclesRenderer(Blender):  # type: ignore[misc]  # Kubric is published without types
    """Renders the frames of a stage; follows its scene from the moment it is made."""

    def __init__(
        self, stage: Stage, sample: Sample, samples_per_pixel: int, threads: int, on: str, scratch: Path
    ) -> None:
        """Set up Blender for the stage.

        Args:
            stage: what to render.
            sample: the clip's values; the renderer needs its colours.
            samples_per_pixel: rays a pixel.
            threads: how many threads Cycles may use, exactly.
            on: ``cpu``, ``cuda`` or ``optix``.
            scratch: a folder for Kubric's own files.

        Raises:
            NoSuchDeviceError: the machine has no such GPU.
        """
        # No denoiser: at 64 samples it takes a fifth of the time and loses 1 dB against a converged picture,
        # because it smooths the grid. At fewer samples, what is noise is seen as noise.
        super().__init__(stage.scene, scratch, samples_per_pixel=samples_per_pixel, use_denoising=False, verbose=True)
        self._leave_out_unused_passes()
        self._set_quality()
        self._raw = scratch / "raw.png"
        self._write_png(self._raw)
        # Left to itself, Blender follows the machine's processors, and not the container's limit.
        self.blender_scene.render.threads_mode = "FIXED"
        self.blender_scene.render.threads = threads
        device.use(self.blender_scene, on)
        self._dress(stage, sample)

    def render_frame(self, frame: int, path: Path) -> None:
        """Render one frame into an 8-bit RGB PNG."""
        self.blender_scene.frame_set(frame)
        bpy.ops.render.render(write_still=True)
        # Blender writes into its PNGs how long Cycles took, so equal pictures differ. Pillow writes pixels only.
        with Image.open(self._raw) as picture:
            pixels = Image.frombytes("RGB", picture.size, picture.tobytes())
        pixels.save(path, "PNG", compress_level=PNG_COMPRESSION)

    def _leave_out_unused_passes(self) -> None:
        scene = self.blender_scene
        scene.view_layers.remove(scene.view_layers["AuxOutputs"])
        scene.view_layers[0].use_pass_z = False
        scene.use_nodes = False
        scene.render.use_compositing = False
        scene.render.use_sequencer = False
        # Keeps the still parts of the scene on the device from frame to frame.
        scene.render.use_persistent_data = True

    def _set_quality(self) -> None:
        scene = self.blender_scene
        # Blender 4 starts with AgX, which pulls saturated colours towards white; Kubric's scenes are made for Filmic.
        scene.view_settings.view_transform = "Filmic"
        scene.view_settings.look = "High Contrast"
        # One noise pattern for all frames: what stands still in the scene stands still in the picture, to the bit.
        scene.cycles.seed = 0
        scene.cycles.use_animated_seed = False
        # The rays' own noise hides the steps of 8 bits better than dithering does.
        scene.render.dither_intensity = 0
        scene.cycles.caustics_reflective = False
        scene.cycles.caustics_refractive = False

    def _write_png(self, path: Path) -> None:
        render = self.blender_scene.render
        render.filepath = str(path)
        render.image_settings.file_format = "PNG"
        render.image_settings.color_mode = "RGB"
        render.image_settings.color_depth = "8"
        render.image_settings.compression = 0

    def _dress(self, stage: Stage, sample: Sample) -> None:
        """Give the assets their looks, which Kubric's own materials cannot do on this Blender."""
        stage.floor.linked_objects[self].active_material = materials.grid("floor")
        stage.cube.linked_objects[self].active_material = materials.plain("cube", sample.colour, roughness=0.45)
        wall = materials.plain("wall", arena.WALL, roughness=0.6)
        thickness, height = arena.WALL_THICKNESS / 2, arena.WALL_HEIGHT / 2
        across = arena.HALF_SIZE + thickness
        for name, x, y in (("east", 1, 0), ("west", -1, 0), ("north", 0, 1), ("south", 0, -1)):
            # East and west walls end where the others begin: overlapping faces would flicker.
            scale = (thickness, across - thickness, height) if x else (across + thickness, thickness, height)
            asset = kb.Cube(name=f"wall_{name}", scale=scale, position=(x * across, y * across, height))
            self.add(asset)
            asset.linked_objects[self].active_material = wall
        for light in bpy.data.lights:
            light.angle = math.radians(2.5)  # the sun's own 0.5 would cut shadows out with scissors
