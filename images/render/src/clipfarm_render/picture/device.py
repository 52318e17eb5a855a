"""Which device Cycles renders on."""

from typing import Any

import bpy

from clipfarm_render.job import ClipError

GPU_CALL = 10.0**9
"""More than any picture has: on a GPU each part of a frame is one call. On an H200 a call takes as long as a million
samples."""


def call_price(device: str, threads: int) -> float:
    """Return how many samples take as long as a call of Cycles itself.

    On a CPU a call takes 1.7 ms, and 3.3 ms with 16 threads; a sample 1.4 us of one core (AMD EPYC, Zen 4).
    """
    return 1_200 + 2_200 * (threads - 1) if device == "cpu" else GPU_CALL


class NoSuchDeviceError(ClipError):
    """The machine has no such GPU, or Blender cannot use it."""


def use(scene: bpy.types.Scene, device: str) -> str:
    """Let Cycles render on ``device``: ``cpu``, ``cuda``, ``optix``, or ``gpu``, the better of the two; return which.

    All GPUs of the kind that this process may see are used (``CUDA_VISIBLE_DEVICES`` narrows them). The CPU is
    switched off beside them: it would take tiles that the GPU then waits for.

    Raises:
        NoSuchDeviceError: Blender finds no GPU of the kind.
    """
    if device == "cpu":
        scene.cycles.device = "CPU"
        return device
    preferences = bpy.context.preferences.addons["cycles"].preferences
    if device == "gpu":
        # OptiX needs a driver that brings it along, which images for computing alone leave out.
        device = "optix" if _has(preferences, "OPTIX") else "cuda"
    kind = device.upper()
    if not _has(preferences, kind):
        instead = "; device gpu takes CUDA, which is there" if kind == "OPTIX" and _has(preferences, "CUDA") else ""
        raise NoSuchDeviceError(f"device {device}: Blender finds no {kind} GPU on this machine{instead}")
    preferences.compute_device_type = kind
    for candidate in preferences.devices:
        candidate.use = candidate.type == kind
    scene.cycles.device = "GPU"
    return device


def _has(preferences: Any, kind: str) -> bool:
    try:
        found = preferences.get_devices_for_type(kind)
    except (TypeError, ValueError) as error:
        raise NoSuchDeviceError(f"device {kind.lower()}: this Blender knows no {kind} devices") from error
    return any(candidate.type == kind for candidate in found)
