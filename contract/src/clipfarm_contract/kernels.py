"""Where Cycles' CUDA kernels lie: machine code for each generation of GPUs, beside Blender's own."""

import importlib.util
from pathlib import Path


class KernelError(Exception):
    """Kernels cannot be found, or not be made; the message says why, and what to do."""


def architecture(capability: tuple[int, int]) -> str:
    """Return the name of a generation of GPUs: ``sm_90`` for (9, 0)."""
    return "sm_{}{}".format(*capability)


def folder() -> Path:
    """Return where Cycles looks for its kernels; Blender is not imported.

    Raises:
        KernelError: there is no Blender here.
    """
    found = importlib.util.find_spec("bpy")
    if found is None or found.origin is None:
        raise KernelError("found no bpy in this Python, which clipfarm-render brings along")
    places = sorted(Path(found.origin).parent.glob("*/scripts/addons_core/cycles/lib"))
    if not places:
        raise KernelError(f"{Path(found.origin).parent}: found no kernels of Cycles in this bpy")
    return places[-1]


def path_of(name: str) -> Path:
    """Return where the kernels for an architecture (``sm_90``) lie, whether they are there or not.

    Raises:
        KernelError: there is no Blender here.
    """
    return folder() / f"kernel_{name}.cubin.zst"
