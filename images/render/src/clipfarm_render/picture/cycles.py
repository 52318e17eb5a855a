"""Blender Cycles, through Kubric's renderer: the scene's assets are Kubric's, the picture is made directly.

Kubric's renderer is made for seven layers at once: a second view layer, a compositor, EXR files read back from disk.
They are taken out again. A frame is one render call that writes the PNG, or one for each region of it that
writes linear light.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from PIL import Image

from clipfarm_render.picture import device, exr, materials, meshes, view
from clipfarm_render.picture.boxes import Box, Mask
from clipfarm_render.scene import arena
from clipfarm_render.scene.bodies import Body, ShapeAsset
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.fixtures import Fixture
from clipfarm_render.scene.kubric_compat import AttributeSetter, Blender, kb, register_object3d_setters
from clipfarm_render.scene.stage import Stage

PNG_COMPRESSION = 1
"""zlib level. Noise hardly compresses, and every reader of the frames pays for what is packed harder."""

ROUGHNESS = 0.45
"""Of an object that brings no material along."""

Picture = npt.NDArray[np.float32]
"""(height, width, 3) linear light, rows from the top."""


class CyclesRenderer(Blender):  # type: ignore[misc]  # Kubric is published without types
    """Renders the frames of a stage; follows its scene from the moment it is made."""

    def __init__(self, stage: Stage, samples_per_pixel: int, threads: int, on: str, scratch: Path) -> None:
        """Set up Blender for the stage.

        Args:
            stage: what to render.
            samples_per_pixel: rays a pixel.
            threads: how many threads Cycles may use, exactly.
            on: ``cpu``, ``cuda``, ``optix``, or ``gpu`` for the better of the two.
            scratch: a folder for Kubric's own files.

        Raises:
            ClipError: the machine has no such GPU, or an asset cannot be read.
        """
        # No denoiser: a frame over a clean background is nearer to a converged picture without one than a denoised
        # full frame (bench/RESULTS.md), and what is left of noise is seen as noise.
        super().__init__(stage.scene, scratch, samples_per_pixel=samples_per_pixel, use_denoising=False, verbose=True)
        self.seconds_in_cycles = 0.0
        self.is_warm = on == "cpu"
        """Whether its device has rendered something."""
        self.call_price = device.call_price(on, threads)
        self._leave_out_unused_passes()
        self._set_quality()
        self._raw = scratch / "raw"
        # Left to itself, Blender follows the machine's processors, and not the container's limit.
        self.blender_scene.render.threads_mode = "FIXED"
        self.blender_scene.render.threads = threads
        self.device = device.use(self.blender_scene, on)
        self._dress(stage)
        self._floor = stage.floor.linked_objects[self]
        self._things = [body.asset.linked_objects[self] for body in stage.bodies]
        self._visible: Mask | None = None

    def add_asset(self, asset: Any) -> Any:
        """Add what the scene got; called by Kubric."""
        if isinstance(asset, ShapeAsset):
            made = meshes.from_shape(asset.shape, asset.uid)
        elif isinstance(asset, kb.FileBasedObject):
            made = meshes.from_file(asset)
        else:
            return super().add_asset(asset)
        made.name, made.rotation_mode = asset.uid, "QUATERNION"
        if made.name not in self.blender_scene.collection.all_objects:
            self.blender_scene.collection.objects.link(made)
        register_object3d_setters(asset, made)
        asset.observe(AttributeSetter(made, "scale"), "scale")
        return made

    def exchange(self, stage: Stage, scratch: Path) -> None:
        """Show another stage that differs in its objects and camera alone; all objects are shapes of our own making."""
        for body, thing in zip(stage.bodies, self._things, strict=True):
            self._exchange(body, thing)
        stage.floor.linked_objects[self] = self._floor
        self.look_from(stage.camera)
        self._visible = None
        self._raw = scratch / "raw"
        self.seconds_in_cycles = 0.0

    def look_from(self, camera: Camera) -> None:
        """Show what the next frames show from here."""
        thing, there = self.blender_scene.camera, kb.PerspectiveCamera(position=camera.position, look_at=camera.target)
        thing.location, thing.rotation_quaternion = there.position, there.quaternion

    def _exchange(self, body: Body, thing: Any) -> None:
        asset, old = body.asset, thing.data
        thing.animation_data_clear()
        made = meshes.from_shape(asset.shape, asset.uid)
        thing.data = made.data
        bpy.data.objects.remove(made)
        for material in old.materials:
            bpy.data.materials.remove(material)
        bpy.data.meshes.remove(old)
        thing.active_material = materials.plain(asset.name, body.colour, ROUGHNESS)
        thing.location, thing.rotation_quaternion, thing.scale = asset.position, asset.quaternion, asset.scale
        register_object3d_setters(asset, thing)
        asset.linked_objects[self] = thing

    def render_frame(self, frame: int, path: Path) -> None:
        """Render one frame into an 8-bit RGB PNG."""
        self.go_to(frame)
        self.blender_scene.render.use_border = False
        self._write("PNG")
        self.call_cycles(self.blender_scene)
        save_png(self._raw.with_suffix(".png"), path)

    def call_cycles(self, scene: bpy.types.Scene) -> None:
        """Render a scene into the file that it names."""
        started = time.perf_counter()
        bpy.ops.render.render(write_still=True, scene=scene.name)
        self.seconds_in_cycles += time.perf_counter() - started

    def warm_up(self) -> None:
        """Have Cycles load its kernels, and compile those that are missing for this device."""
        self.render_box(Box(0, 0, 4, 4), 1)
        self.is_warm = True

    def follow(self, visible: Mask) -> None:
        """From now on, show on each frame the bodies that are there: (frames, bodies)."""
        self._visible = visible

    def go_to(self, frame: int) -> None:
        """Put everything where it is in a frame."""
        self.blender_scene.frame_set(frame)
        if self._visible is not None:
            for thing, visible in zip(self._things, self._visible[frame].tolist(), strict=True):
                thing.hide_render = not visible

    def render_box(self, box: Box, samples: int) -> Picture:
        """Render some pixels of the present frame, in linear light.

        A pixel has the same value in whatever box it is rendered: its random numbers depend on its place alone.
        """
        render, size = self.blender_scene.render, self.blender_scene.render.resolution_x
        render.use_border = render.use_crop_to_border = True
        # Blender cuts fractions of pixels off, and counts rows from below.
        hair = 0.01
        render.border_min_x, render.border_max_x = (box.left + hair) / size, (box.right + hair) / size
        render.border_min_y, render.border_max_y = (size - box.bottom + hair) / size, (size - box.top + hair) / size
        self._write("OPEN_EXR")
        cycles = self.blender_scene.cycles
        before, cycles.samples = cycles.samples, samples
        try:
            self.call_cycles(self.blender_scene)
        finally:
            cycles.samples = before
        picture = exr.read(self._raw.with_suffix(".exr"), ("R", "G", "B"))
        assert picture.shape == (box.bottom - box.top, box.right - box.left, 3), (picture.shape, box)
        return picture

    @contextmanager
    def without_bodies(self) -> Iterator[None]:
        """Render what stands still, alone."""
        hidden = [thing for thing in self._things if not thing.hide_render]
        for thing in hidden:
            thing.hide_render = True
        try:
            yield
        finally:
            for thing in hidden:
                thing.hide_render = False

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
        scene.view_settings.view_transform, scene.view_settings.look = view.TRANSFORM, view.LOOK
        # One noise pattern for all frames: what stands still in the scene stands still in the picture, to the bit.
        scene.cycles.seed = 0
        scene.cycles.use_animated_seed = False
        # The rays' own noise hides the steps of 8 bits better than dithering does.
        scene.render.dither_intensity = 0
        scene.cycles.caustics_reflective = False
        scene.cycles.caustics_refractive = False

    def _write(self, file_format: str) -> None:
        """Say what the next render call writes."""
        render = self.blender_scene.render
        settings = render.image_settings
        settings.file_format, settings.color_mode = file_format, "RGB"
        if file_format == "PNG":
            settings.color_depth, settings.compression = "8", 0
        else:
            settings.color_depth, settings.exr_codec = "32", "NONE"
        render.filepath = str(self._raw.with_suffix(".png" if file_format == "PNG" else ".exr"))

    def _dress(self, stage: Stage) -> None:
        """Give the assets their looks, which Kubric's own materials cannot do on this Blender."""
        stage.floor.linked_objects[self].active_material = materials.floor("floor", stage.look.floor)
        for body in stage.bodies:
            thing = body.asset.linked_objects[self]
            if not any(thing.data.materials):  # an asset may bring its own along
                thing.active_material = materials.plain(body.asset.name, body.colour, ROUGHNESS)
        wall = materials.plain("wall", arena.WALL, roughness=0.6)
        thickness, height = arena.WALL_THICKNESS / 2, arena.WALL_HEIGHT / 2
        across = arena.HALF_SIZE + thickness
        for name, x, y in (("east", 1, 0), ("west", -1, 0), ("north", 0, 1), ("south", 0, -1)):
            # East and west walls end where the others begin: overlapping faces would flicker.
            scale = (thickness, across - thickness, height) if x else (across + thickness, thickness, height)
            asset = kb.Cube(name=f"wall_{name}", scale=scale, position=(x * across, y * across, height))
            self.add(asset)
            asset.linked_objects[self].active_material = wall
        self.fixtures = [self._show_fixture(fixture) for fixture in stage.fixtures]
        for light in bpy.data.lights:
            light.angle = arena.SUN_ANGLE

    def _show_fixture(self, fixture: Fixture) -> Any:
        made = meshes.from_shape(fixture.seen, fixture.name, smooth=False)
        made.active_material = materials.plain(fixture.name, fixture.colour, roughness=0.6)
        self.blender_scene.collection.objects.link(made)
        return made


def save_png(source: Path | npt.NDArray[np.uint8], path: Path) -> None:
    """Write an 8-bit RGB PNG that holds pixels and nothing else.

    Blender writes into its own how long Cycles took, so equal pictures differ.
    """
    if isinstance(source, Path):
        with Image.open(source) as picture:
            pixels = Image.frombytes("RGB", picture.size, picture.tobytes())
    else:
        pixels = Image.fromarray(source, "RGB")
    pixels.save(path, "PNG", compress_level=PNG_COMPRESSION)
