"""GPUs of this machine by NVIDIA's management library."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pynvml

from clipfarm.vram.users import user_name
from clipfarm.world import GpuId, Holder, Reading
from clipfarm_contract import nvml
from clipfarm_contract.nvml import Memory, NVMLError
from clipfarm_contract.result import MIB


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one instance of it (MIG)."""

    gpu: GpuId
    """By the UUID of the whole GPU, as DCGM's exporter names it."""
    visible_uuid: str
    """What CUDA_VISIBLE_DEVICES takes: of an instance, its own UUID."""
    bus_id: str
    model: str
    profile: str
    """Of an instance, as ``1g.10gb``; else empty."""
    memory: Memory | None
    """None: it could not be read."""
    problem: str = ""
    """Why not."""
    holders: tuple[Holder, ...] = ()

    @property
    def name(self) -> GpuId:
        """Return it by the UUID that CUDA takes."""
        return GpuId(self.gpu.node, self.gpu.index, self.visible_uuid, self.gpu.instance)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the driver saw."""

    gpus: tuple[GpuId, ...]
    """By the UUID that CUDA takes."""
    readings: tuple[Reading, ...]
    problem: str = ""
    """Why a GPU, or all of them, could not be read."""
    devices: tuple[Device, ...] = field(default=(), compare=False)
    """The same, with all that the driver says."""


class NvmlSource:
    """Looks at the GPUs that this process may use."""

    def __init__(self, node: str, visible: str | None = None) -> None:
        """``visible``: the value of CUDA_VISIBLE_DEVICES; by default this process's own."""
        self._node = node
        self._visible = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible

    def look(self, now: float) -> Look:
        """Read all GPUs at the time ``now``; what cannot be read is left out, never zero."""
        try:
            with nvml.opened():
                return self._read(now)
        except NVMLError as error:
            return Look((), (), f"NVML: {error}")

    def _read(self, now: float) -> Look:
        devices: list[Device] = []
        problems: list[str] = []
        for index in range(nvml.count()):
            try:
                devices += self._devices(index)
            except NVMLError as error:
                problems.append(f"NVML, GPU {index}: {error}")
        problems += [f"NVML, GPU {device.gpu.number}: {device.problem}" for device in devices if device.problem]
        readings = tuple(_reading(device, now) for device in devices if device.memory is not None)
        return Look(tuple(device.name for device in devices), readings, min(problems, default=""), tuple(devices))

    def _devices(self, index: int) -> Iterator[Device]:
        for part in nvml.parts(index):
            if nvml.is_visible(part, self._visible):
                yield _device(GpuId(self._node, part.index, part.uuid, part.instance), part)


def _device(gpu: GpuId, part: nvml.Part) -> Device:
    model, profile = _optional(pynvml.nvmlDeviceGetName, part.of), ""
    if part.instance:
        # "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
        profile = _optional(pynvml.nvmlDeviceGetName, part.handle).rpartition(" MIG ")[2]
    told = (gpu, part.visible_uuid, _optional(_bus_id, part.of), model, profile)
    try:
        memory = nvml.read_memory(part)
    except NVMLError as error:
        return Device(*told, None, str(error))
    problem = "no memory size, or nonsense" if memory is None else ""
    return Device(*told, memory, problem, _holders(part.handle))


def _reading(device: Device, now: float) -> Reading:
    memory = device.memory
    assert memory is not None, "the caller has looked"
    return Reading(device.name, memory.used / MIB, (memory.used + memory.free) / MIB, now, holders=device.holders)


def _holders(handle: object) -> tuple[Holder, ...]:
    """Return the users of a GPU, the largest share first; processes that the driver does not report are left out."""
    used: dict[str, float | None] = {}
    for pid, size in nvml.used_by_processes(handle).items():
        name = user_name(pid)
        # Processes of one pod are one.
        before = used.get(name, 0.0)
        used[name] = None if size is None or before is None else before + size / MIB
    holders = (Holder(name, mib) for name, mib in used.items())
    return tuple(sorted(holders, key=lambda holder: (-(holder.used_mib or 0.0), holder.name)))


def _bus_id(handle: object) -> str:
    return str(_text(pynvml.nvmlDeviceGetPciInfo(handle).busId))


def _optional(ask: Callable[[Any], Any], handle: object) -> str:
    """Return a name from the driver; empty if it has none."""
    try:
        return str(_text(ask(handle)))
    except NVMLError:
        return ""


def _text(told: Any) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
