"""What makes clips slower on the GPU of this machine than they could be, and what to do about it."""

import os

from clipfarm_contract import mps
from clipfarm_contract.environment import GPU
from clipfarm_contract.kernels import KernelError, architecture, path_of
from clipfarm_render.vram.driver import in_time

NO_MPS = (
    "clips that share a GPU take turns, as CUDA MPS is not on: with it, an H200 made 3.07 clips/s with three workers,"
    " and 1.63 with two without"
)


def findings_in_time() -> tuple[str, ...]:
    """Return what is slow, one line each; nothing where the driver does not answer."""
    return in_time(findings) or ()


def findings() -> tuple[str, ...]:
    """Return what is slow, one line each, for the GPUs that clips of this process may use."""
    from clipfarm_contract import nvml  # loading it takes a fifth of a second, and clips on CPUs do without
    from clipfarm_render.vram.observer import visible_parts

    try:
        with nvml.opened():
            names = sorted({architecture(nvml.compute_capability(part)) for part in visible_parts()})
    except nvml.NVMLError:
        return ()
    found = [line for name in names if (line := _without_kernels(name))]  # which Cycles loads for OptiX, too
    if names and os.environ.get(GPU) and not mps.is_on():
        found.append(NO_MPS)
    return tuple(found)


def _without_kernels(name: str) -> str:
    try:
        there = path_of(name).exists()
    except KernelError:
        return ""  # there is no Blender: the clip's own reason says so
    if there:
        return ""
    return (
        f"the image has no kernels for {name}, so the driver compiles them, for more than eight minutes: use an image"
        f" that has them (`tools/images --kernels {name}`)"
    )
