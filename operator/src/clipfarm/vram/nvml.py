"""GPUs of this machine by NVIDIA's management library."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pynvml

from clipfarm.vram.users import user_name
from clipfarm.world import GpuId, Holder, Reading

MIB = 2**20
LACKING = (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_InvalidArgument)
"""What a driver, or a GPU, that lacks a call answers with."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one GPU or instance, in bytes."""

    used: int
    free: int
    reserved: int | None
    """What the driver keeps for itself; None: it does not tell, and counts it as used."""


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
    """Looks at the GPUs that this process may use.

    The library is opened anew for each look, some milliseconds: after a driver update or a reset an old handle
    would answer with errors for ever, and an open one keeps administrators from resetting a GPU or splitting it.
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
        devices: list[Device] = []
        problems: list[str] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                devices += self._devices(index)
            except pynvml.NVMLError as error:
                problems.append(f"NVML, GPU {index}: {error}")
        problems += [f"NVML, GPU {device.gpu.number}: {device.problem}" for device in devices if device.problem]
        readings = tuple(_reading(device, now) for device in devices if device.memory is not None)
        return Look(tuple(device.name for device in devices), readings, min(problems, default=""), tuple(devices))

    def _devices(self, index: int) -> Iterator[Device]:
        """Yield a GPU, or its instances where it is split: nothing can start on such a GPU as a whole."""
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        gpu = GpuId(self._node, index, str(pynvml.nvmlDeviceGetUUID(handle)))
        bus_id, model = _optional(_bus_id, handle), _optional(pynvml.nvmlDeviceGetName, handle)
        if not _is_split(handle):
            if self._is_visible(gpu, gpu.uuid):
                yield _device(gpu, gpu.uuid, bus_id, model, "", handle)
            return
        seen = set()
        for instance in _instances(handle):
            number = str(pynvml.nvmlDeviceGetGpuInstanceId(instance))
            if number in seen:
                continue  # compute instances of one GPU instance share its memory
            seen.add(number)
            part, uuid = GpuId(gpu.node, index, gpu.uuid, number), str(pynvml.nvmlDeviceGetUUID(instance))
            if self._is_visible(part, uuid):
                # "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
                profile = _optional(pynvml.nvmlDeviceGetName, instance).rpartition(" MIG ")[2]
                yield _device(part, uuid, bus_id, model, profile, instance)

    def _is_visible(self, gpu: GpuId, uuid: str) -> bool:
        if self._visible is None:
            return True
        names = [name.strip() for name in self._visible.split(",")]
        # CUDA takes a unique beginning of a UUID, too.
        return any(name == str(gpu.index) or (name[:4] in ("GPU-", "MIG-") and uuid.startswith(name)) for name in names)


def _device(gpu: GpuId, uuid: str, bus_id: str, model: str, profile: str, handle: object) -> Device:
    try:
        memory = _memory(handle)
    except pynvml.NVMLError as error:
        return Device(gpu, uuid, bus_id, model, profile, None, str(error))
    problem = "nonsense instead of a memory size" if memory is None else ""
    return Device(gpu, uuid, bus_id, model, profile, memory, problem, _holders(handle))


def _memory(handle: object) -> Memory | None:
    try:
        # Version 2 tells the driver's own reserve from what programs use; on an idle GPU that is some hundred MiB.
        told = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
        total, reserved = told.total - told.reserved, int(told.reserved)
    except LACKING:
        told = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, reserved = told.total, None
    if not 0 <= told.used <= total or total <= 0:
        return None
    return Memory(int(told.used), int(total - told.used), reserved)


def _reading(device: Device, now: float) -> Reading:
    memory = device.memory
    assert memory is not None, "the caller has looked"
    return Reading(device.name, memory.used / MIB, (memory.used + memory.free) / MIB, now, holders=device.holders)


def _holders(handle: object) -> tuple[Holder, ...]:
    """Return whoever uses a GPU, the largest share first; what the driver does not tell is left out."""
    used: dict[str, float | None] = {}
    pids = set()
    for kind in ("Compute", "Graphics"):
        for process in _processes(kind, handle):
            if process.pid in pids:
                continue  # it computes and draws
            pids.add(process.pid)
            name, size = user_name(process.pid), process.usedGpuMemory
            # Processes of one pod are one.
            before = used.get(name, 0.0)
            used[name] = None if size is None or before is None else before + size / MIB
    holders = (Holder(name, mib) for name, mib in used.items())
    return tuple(sorted(holders, key=lambda holder: (-(holder.used_mib or 0.0), holder.name)))


def _processes(kind: str, handle: object) -> list[Any]:
    # By their versions: the names without one refuse drivers that are older than the binding.
    for version in (3, 2):
        try:
            found: list[Any] = getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v{version}")(handle)
        except pynvml.NVMLError:
            continue
        return found
    return []


def _is_split(handle: object) -> bool:
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except LACKING:
        return False
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)


def _instances(handle: object) -> Iterator[object]:
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            yield pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        except pynvml.NVMLError_NotFound:
            continue  # its place is free


def _bus_id(handle: object) -> str:
    return str(_text(pynvml.nvmlDeviceGetPciInfo(handle).busId))


def _optional(ask: Callable[[Any], Any], handle: object) -> str:
    """Return what the driver calls something; empty where it does not say."""
    try:
        return str(_text(ask(handle)))
    except pynvml.NVMLError:
        return ""


def _text(told: Any) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


def _shut_down() -> None:
    try:
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return  # the library went away meanwhile; the next look says so
