"""The layers of a frame beside its colours: one cheap pass over the whole picture.

What they mean stands in :mod:`clipfarm_contract.layers`. One ray goes through the middle of each pixel, and its
first hit gives all values; so a pass costs some 20 ms at 256 x 256, whatever the colours cost.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from PIL import Image

from clipfarm_contract.layers import FIXTURE, FLOOR, NOTHING, WALL
from clipfarm_contract.layout import Clip
from clipfarm_render.picture import exr
from clipfarm_render.picture.cycles import CyclesRenderer
from clipfarm_render.scene.stage import Stage

_COORDINATES = "Coordinates"
_NO_HIT = 1e9
"""Cycles gives 1e10 as the depth of a ray that meets nothing."""

Values = dict[str, npt.NDArray[Any]]


class LayerPass:
    """A second Blender scene of the same objects, which shows where they are and not how they look."""

    def __init__(self, renderer: CyclesRenderer, stage: Stage, scratch: Path) -> None:
        """Set up the pass; the stage has to be complete."""
        self._path = scratch / "layers.exr"
        self._renderer = renderer
        for thing in renderer.blender_scene.objects:
            if thing.type == "MESH":
                thing.pass_index = WALL
        stage.floor.linked_objects[renderer].pass_index = FLOOR
        for fixture in renderer.fixtures:
            fixture.pass_index = FIXTURE
        self._numbers = [body.number for body in stage.bodies]
        for body in stage.bodies:
            body.asset.linked_objects[renderer].pass_index = body.number
        self._scene = renderer.blender_scene.copy()
        self._scene.name = "layers"
        self._set_up_rays()
        self._set_up_passes()

    def render(self, frame: int) -> Values:
        """Return all layers of a frame, by their names."""
        self._scene.frame_set(frame)
        # Objects that two scenes share are where the first of them has put them.
        self._renderer.go_to(frame)
        self._renderer.call_cycles(self._scene)
        view = self._scene.view_layers[0].name

        def read(name: str, channels: str) -> npt.NDArray[np.float32]:
            return exr.read(self._path, [f"{view}.{name}.{channel}" for channel in channels])

        depth = read("Depth", "Z")[..., 0]
        hit = depth < _NO_HIT
        segmentation = np.where(hit, read("IndexOB", "X")[..., 0].round(), NOTHING).astype(np.uint8)
        # Cycles gives the way back from the next frame on Z and W, with y up.
        flow = read("Vector", "ZW") * np.array((-1, 1), np.float32)
        thing = np.isin(segmentation, self._numbers)[..., None]
        return {
            "segmentation": segmentation,
            "flow": np.where(hit[..., None], flow, 0).astype(np.float32),
            "depth": np.where(hit, depth, np.inf).astype(np.float32),
            "normal": np.where(hit[..., None], read("Normal", "XYZ"), 0).astype(np.float16),
            "object_coordinates": np.where(thing, read(_COORDINATES, "RGB").clip(0, 1), 0).astype(np.float16),
        }

    def _set_up_rays(self) -> None:
        scene = self._scene
        scene.render.use_border = scene.render.use_crop_to_border = False
        cycles = scene.cycles
        cycles.samples = 1
        cycles.max_bounces = 0
        # A box of no width: the ray goes through the middle of the pixel.
        cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01

    def _set_up_passes(self) -> None:
        layer = self._scene.view_layers[0]
        layer.use_pass_z = layer.use_pass_normal = layer.use_pass_vector = layer.use_pass_object_index = True
        layer.material_override = _coordinate_material()
        layer.aovs.add().name = _COORDINATES
        settings = self._scene.render.image_settings
        settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
        self._scene.render.filepath = str(self._path)


def write_all(
    renderer: CyclesRenderer, stage: Stage, scratch: Path, wanted: Collection[str], frames: int, clip: Clip
) -> None:
    """Write the wanted layers of every frame into the clip's folder."""
    chosen = [name for name in wanted if name != "rgb"]
    for name in chosen:
        clip.layer(name, 0).parent.mkdir()
    layer_pass = LayerPass(renderer, stage, scratch)
    for frame in range(frames):
        values = layer_pass.render(frame)
        for name in chosen:
            path = clip.layer(name, frame)
            if name == "segmentation":
                Image.fromarray(values[name], "L").save(path, "PNG")
            else:
                np.save(path, values[name])


def _coordinate_material() -> bpy.types.Material:
    """Return a material that writes the place on the object, 0 to 1 along each side of its box, and takes no light."""
    material = bpy.data.materials.new("coordinates")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    place, value = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeOutputAOV")
    value.aov_name = _COORDINATES
    links.new(place.outputs["Generated"], value.inputs["Color"])
    # Without a surface, rays would pass through.
    surface = nodes.new("ShaderNodeEmission")
    links.new(surface.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material
