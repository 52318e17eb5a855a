"""Which device Cycles renders on."""

import bpy

from clipfarm_render.job import ClipError


class NoSuchDeviceError(ClipError):
    """The machine has no such GPU, or Blender cannot use it."""


def use(scene: bpy.types.Scene, device: str) -> None:
    """Let Cycles render on ``device``: ``cpu``, ``cuda`` or ``optix``.

    All GPUs of the kind that this process may see are used (``CUDA_VISIBLE_DEVICES`` narrows them). The CPU is
    switched off beside them: it would take tiles that the GPU then waits for.

    Raises:
        NoSuchDeviceError: Blender finds no GPU of the kind.
    """
    if device == "cpu":
        scene.cycles.device = "CPU"
        return
    kind = device.upper()
    preferences = bpy.context.preferences.addons["cycles"].preferences
    try:
        preferences.compute_device_type = kind
    except TypeError as error:
        raise NoSuchDeviceError(f"device {device}: this Blender knows no {kind} devices") from error
    found = preferences.get_devices_for_type(kind)
    if not any(candidate.type == kind for candidate in found):
        raise NoSuchDeviceError(f"device {device}: Blender finds no {kind} GPU on this machine")
    for candidate in preferences.devices:
        candidate.use = candidate.type == kind
    scene.cycles.device = "GPU"
