"""Memory of the GPU that clips were made on, measured when their processes have ended.

So the operator has a reading of just that moment at which another clip could take their place, whatever exporters do.
"""

import time

from clipfarm_contract.result import MIB, GpuReading
from clipfarm_render.vram.driver import in_time
from clipfarm_render.vram.observer import visible_parts


def measure_in_time() -> GpuReading | None:
    """Return what :func:`measure` does, and None where the driver does not answer."""
    return in_time(measure)


def measure() -> GpuReading | None:
    """Return the memory of the one GPU that clips of this process use; None if it is not one, or is not reported."""
    from clipfarm_contract import nvml  # loading it takes a fifth of a second, and clips on CPUs do without

    try:
        with nvml.opened():
            chosen = visible_parts()
            memory = nvml.read_memory(chosen[0]) if len(chosen) == 1 else None
    except nvml.NVMLError:
        return None
    if memory is None:
        return None
    total = memory.used + memory.free
    return GpuReading(chosen[0].uuid, chosen[0].instance, memory.used / MIB, total / MIB, time.time())
