"""The GPUs that clips of this process may use, by name, and their driver."""

import threading
from collections.abc import Callable
from typing import TypeVar

from clipfarm_contract.machine import UNKNOWN_GPU

T = TypeVar("T")

LIMIT_SECONDS = 5.0
"""A driver that has lost a GPU may never answer; clips that are complete do not wait for it."""


def in_time(ask: Callable[[], T]) -> T | None:
    """Return what a question to the driver returns; None if the driver does not answer in time."""
    found: list[T] = []
    asking = threading.Thread(target=lambda: found.append(ask()), daemon=True)
    asking.start()
    asking.join(LIMIT_SECONDS)
    return found[0] if found else None


def gpu_and_driver() -> tuple[str, str]:
    """Return the GPU's name, as ``NVIDIA H200`` (of several kinds, all their names), and the version of the driver."""
    from clipfarm_contract import nvml  # loading it takes a fifth of a second, and clips on CPUs do without
    from clipfarm_render.vram.observer import visible_parts

    try:
        with nvml.opened():
            names = {nvml.model(part) for part in visible_parts()}
            return ", ".join(sorted(names)) or UNKNOWN_GPU, nvml.driver()
    except nvml.NVMLError:
        return UNKNOWN_GPU, ""
