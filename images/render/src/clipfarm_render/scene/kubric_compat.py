"""Kubric without TensorFlow, scikit-learn, and others that it needs for one thing each.

``tf.io.gfile`` opens and copies files, in cloud buckets too; ``etils.epath`` names them; ``murmurhash3_32`` finds
objects in Blender's Cryptomatte passes; trimesh prepares assets; imageio reads TIFF files; absl extends the parser of
command lines. While this module imports Kubric, stand-ins are in their place, which spares 170 packages and 20
seconds: local files for the first two, the standard library's parser for the last, and a refusal for the others,
which no clip of ours calls. So modules that need Kubric import it from here.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

# Before Kubric does: where bpy cannot be loaded, Kubric prints a hint and ends the process, and the reason is lost.
# Programs that do without Blender's user interface have called ``headless.import_blender`` by now.
import bpy  # noqa: F401

from clipfarm_contract import regular


class _Refusal:
    """Says so where Kubric, against expectation, uses what is only stood in for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise NotImplementedError(f"Kubric asked for {self._name}.{attribute}, which clipfarm does not bring along")

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise NotImplementedError(f"Kubric called {self._name}, which clipfarm does not bring along")


def _copy(source: object, target: object, overwrite: bool = False) -> None:
    """Copy a local file, as ``tf.io.gfile.copy`` does."""
    if not overwrite and Path(str(target)).exists():
        raise FileExistsError(f"{target} exists")
    with regular.opened(Path(str(source)), Path(str(source)).name) as file, Path(str(target)).open("wb") as copy:
        shutil.copyfileobj(file, copy)


def _module(name: str, **attributes: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    return module


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Have the stand-ins in ``sys.modules`` for a while: to other packages, TensorFlow is not installed.

    What is imported already stays as it is.
    """
    files = _module("tensorflow.io.gfile", GFile=open, copy=_copy)
    hashes = _module("sklearn.utils", murmurhash3_32=_Refusal("murmurhash3_32"))
    paths = _module("etils.epath", Path=Path)
    flags = _module("absl.flags", argparse_flags=argparse)
    names: dict[str, Any] = {
        "tensorflow": _module("tensorflow", io=_module("tensorflow.io", gfile=files)),
        "sklearn": _module("sklearn", utils=hashes),
        "sklearn.utils": hashes,
        # These are installed, but take half of the time of Kubric's import; trimesh with networkx as much again.
        "trimesh": _module("trimesh", Trimesh=_Refusal("trimesh.Trimesh")),
        "imageio": _Refusal("imageio"),
        "etils": _module("etils", epath=paths),
        "etils.epath": paths,
        "absl": _module("absl", flags=flags),
        "absl.flags": flags,
        # Munch, Kubric's kind of dict, writes itself as YAML where there is any.
        "yaml": None,
    }
    added = {name: module for name, module in names.items() if name not in sys.modules}
    sys.modules.update(added)
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


with _stand_ins():
    import kubric as kb
    from kubric.renderer import Blender
    from kubric.renderer.blender import AttributeSetter, register_object3d_setters
    from kubric.simulator import PyBullet
    from kubric.simulator.pybullet import register_physical_object_setters

__all__ = [
    "AttributeSetter",
    "Blender",
    "PyBullet",
    "kb",
    "register_object3d_setters",
    "register_physical_object_setters",
]
