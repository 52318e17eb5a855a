"""Blender without its user interface.

Loaded as a module, Blender registers its menus and panels, the operators behind them, and add-ons that read and write
files of other programs. No clip shows any of it, and it is half of the time that Blender takes to start.
"""

import sys
from pathlib import Path
from types import ModuleType

STARTUP = (
    "bl_app_templates_system",
    "bl_operators",
    "bl_ui",
    "keyingsets_builtins",
    "nodeitems_builtins",
    "cycles.presets",
    "cycles.ui",
)
"""What Blender would import when it starts. Cycles itself, its properties among it, stays."""
GLTF = "io_scene_gltf2"
ADD_ONS = (
    "bl_pkg",
    "io_anim_bvh",
    "io_curve_svg",
    "io_mesh_uv_layout",
    "io_scene_fbx",
    GLTF,
    "pose_library",
)
"""All that Blender's factory settings enable beside Cycles."""


def import_blender() -> None:
    """Import bpy without its user interface; nothing happens where it has been imported already."""
    if "bpy" not in sys.modules:
        sys.modules.update({name: _StandIn(name) for name in (*STARTUP, *ADD_ONS)})
        import bpy  # noqa: F401


def enable_gltf() -> None:
    """Load the importer of glTF files: one of the add-ons, which hangs itself into menus, so these are loaded too."""
    wanted = [name for name in (*STARTUP, GLTF) if "." not in name and isinstance(sys.modules.get(name), _StandIn)]
    if wanted:
        import addon_utils  # type: ignore[import-not-found]  # Blender brings it along
        import bpy

        for name in wanted:
            del sys.modules[name]
        bpy.utils.load_scripts(extensions=False)
        addon_utils.enable(GLTF)


class _StandIn(ModuleType):
    """A module that registers nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Blender asks whether the file of an add-on has changed since it was imported.
        self.__file__ = __file__
        self.__time__ = Path(__file__).stat().st_mtime

    def register(self) -> None:
        """Do nothing."""

    unregister = register
