"""Readings of this machine's GPUs by NVIDIA's management library."""

import os
from dataclasses import dataclass

import pynvml

from clipfarm.world import GpuId, Reading

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the driver saw."""

    gpus: tuple[GpuId, ...]
    readings: tuple[Reading, ...]
    problem: str = ""
    """Why a GPU, or all of them, could not be read."""


class NvmlSource:
    """Looks at the GPUs that this process may use.

    The library is opened anew for each look, some milliseconds: after a driver update or a reset an old handle
    would answer with errors for ever.
    """

    def __init__(self, node: str, visible: str | None = None) -> None:
        """``visible``: the value of CUDA_VISIBLE_DEVICES; by default this process's own."""
        self._node = node
        self._visible = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible

    def look(self, now: float) -> Look:
        """Read all GPUs at the time ``now``; what cannot be read is left out, never zero."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return Look((), (), f"NVML: {error}")
        try:
            return self._read(now)
        except pynvml.NVMLError as error:
            return Look((), (), f"NVML: {error}")
        finally:
            _shut_down()

    def _read(self, now: float) -> Look:
        gpus, readings, problem = [], [], ""
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                gpu = GpuId(self._node, index, str(pynvml.nvmlDeviceGetUUID(handle)))
                if not self._is_visible(gpu):
                    continue
                gpus.append(gpu)
                reading = _reading(gpu, handle, now)
            except pynvml.NVMLError as error:
                problem = problem or f"NVML, GPU {index}: {error}"
                continue
            if reading is None:
                problem = problem or f"NVML, GPU {index}: nonsense instead of a memory size"
            else:
                readings.append(reading)
        return Look(tuple(gpus), tuple(readings), problem)

    def _is_visible(self, gpu: GpuId) -> bool:
        if self._visible is None:
            return True
        names = [name.strip() for name in self._visible.split(",")]
        # CUDA takes a unique beginning of a UUID, too.
        return any(name == str(gpu.index) or (name.startswith("GPU-") and gpu.uuid.startswith(name)) for name in names)


def _reading(gpu: GpuId, handle: object, now: float) -> Reading | None:
    try:
        # Version 2 tells the driver's own reserve from what programs use; on an idle GPU that is some hundred MiB.
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
        total = memory.total - memory.reserved
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_InvalidArgument):
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total = memory.total
    if not 0 <= memory.used <= total or total <= 0:
        return None
    return Reading(gpu, memory.used / MIB, total / MIB, now)


def _shut_down() -> None:
    try:
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return  # the library went away meanwhile; the next look says so
