"""Kubric without TensorFlow and scikit-learn.

Kubric imports both for one function each, which no clip of ours calls: ``tf.io.gfile`` copies files to cloud
buckets, and ``murmurhash3_32`` finds objects in Blender's Cryptomatte passes. While this module imports Kubric,
stand-ins are in their place, which spares 170 packages and 20 seconds. So whoever needs Kubric takes it from here.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# Before Kubric does: where bpy cannot be loaded, Kubric prints a hint and ends the process, and the reason is lost.
import bpy  # noqa: F401


class _Refusal:
    """Says so where Kubric, against expectation, uses what is only stood in for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise NotImplementedError(f"Kubric asked for {self._name}.{attribute}, which clipfarm does not bring along")

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise NotImplementedError(f"Kubric called {self._name}, which clipfarm does not bring along")


def _module(name: str, **attributes: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    return module


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Have the stand-ins in ``sys.modules`` for a while: to other packages, TensorFlow is not installed."""
    hashes = _module("sklearn.utils", murmurhash3_32=_Refusal("murmurhash3_32"))
    names = {
        "tensorflow": _module("tensorflow", io=_module("tensorflow.io", gfile=_Refusal("tf.io.gfile"))),
        "sklearn": _module("sklearn", utils=hashes),
        "sklearn.utils": hashes,
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
    from kubric.simulator import PyBullet

__all__ = ["Blender", "PyBullet", "kb"]
