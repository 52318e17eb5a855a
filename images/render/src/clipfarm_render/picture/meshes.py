"""Objects as Blender's meshes: our own shapes, and files of an asset."""

import math
from pathlib import Path
from typing import Any

import bpy

from clipfarm_render.job import ClipError
from clipfarm_render.picture import headless
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.shapes import Shape


def from_shape(shape: Shape, name: str, *, smooth: bool = True) -> bpy.types.Object:
    """Return a shape of size 1, not yet in any scene."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(shape.vertices.tolist(), [], [list(face) for face in shape.faces])
    mesh.polygons.foreach_set("use_smooth", [smooth] * len(mesh.polygons))
    # Left to itself, Blender would take the mean of a vertex' facets, which is wrong all around the tip of a cone.
    mesh.normals_split_custom_set(shape.normals.tolist())
    return bpy.data.objects.new(name, mesh)


def from_file(asset: kb.FileBasedObject) -> bpy.types.Object:
    """Import the mesh of an asset, as one object with its transformations applied.

    Raises:
        ClipError: the file is of a kind that is not read, or holds no mesh.
    """
    path = Path(asset.render_filename or "")
    before = set(bpy.data.objects)
    try:
        if path.suffix == ".obj":
            bpy.ops.wm.obj_import(filepath=str(path), use_split_objects=False, **_axes(asset.render_import_kwargs))
        elif path.suffix in (".glb", ".gltf"):
            headless.enable_gltf()
            bpy.ops.import_scene.gltf(filepath=str(path), **asset.render_import_kwargs)
        else:
            raise ClipError(f"asset {asset.asset_id}: found {path.name}, expected an .obj, .glb or .gltf file")
    except (RuntimeError, TypeError) as error:  # as Blender's operators say that they failed
        raise ClipError(f"asset {asset.asset_id}: {path.name}: {' '.join(str(error).split())}") from error
    added = [thing for thing in bpy.data.objects if thing not in before]
    # Files of the glTF kind bring cameras, lights and empties along.
    for thing in [thing for thing in added if thing.type != "MESH"]:
        bpy.data.objects.remove(thing, do_unlink=True)
    meshes = [thing for thing in added if thing.name in bpy.data.objects and thing.type == "MESH"]
    if not meshes:
        raise ClipError(f"asset {asset.asset_id}: {path.name} holds no mesh")
    return _joined(meshes, turned_back=path.suffix != ".obj")


def _joined(meshes: list[bpy.types.Object], *, turned_back: bool) -> bpy.types.Object:
    bpy.ops.object.select_all(action="DESELECT")
    for mesh in meshes:
        mesh.select_set(True)
    bpy.context.view_layer.objects.active = meshes[0]
    bpy.ops.object.join()
    joined = bpy.context.view_layer.objects.active
    if turned_back:
        # glTF has y up, and Blender turns it; the mesh that PyBullet loads is not turned.
        joined.rotation_mode = "QUATERNION"
        joined.rotation_quaternion = (math.sqrt(0.5), -math.sqrt(0.5), 0, 0)
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    return joined


def _axes(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return Kubric's arguments for Blender's former importer of .obj files in the present one's words."""
    names = {"axis_forward": "forward_axis", "axis_up": "up_axis"}
    return {
        names.get(name, name): value.replace("-", "NEGATIVE_") if name in names else value
        for name, value in arguments.items()
    }
