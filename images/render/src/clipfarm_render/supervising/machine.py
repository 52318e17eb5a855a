"""The machine that clips of this supervisor are made on."""

from functools import lru_cache

from clipfarm_contract.machine import UNKNOWN_GPU, Machine, processor
from clipfarm_render.vram.driver import gpu_and_driver, in_time


@lru_cache
def here(device: str) -> Machine:
    """Return this machine, as clips record it that were rendered on a device; the driver is asked once."""
    if device == "cpu":
        return Machine(processor())
    return Machine(processor(), *(in_time(gpu_and_driver) or (UNKNOWN_GPU, "")))
