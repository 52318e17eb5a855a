"""GPUs of this machine, or instances of them (MIG), and their memory, as NVIDIA's management library tells.

Needs the extra ``nvml`` of this package.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pynvml
from pynvml import NVMLError

LACKING = (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_InvalidArgument)
"""What a driver, or a GPU, that lacks a call answers with."""

__all__ = ["LACKING", "Memory", "NVMLError", "Part", "count", "is_visible", "opened", "parts", "read_memory"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one GPU or instance, in bytes."""

    used: int
    free: int
    reserved: int | None
    """What the driver keeps for itself; None: it does not tell, and counts it as used."""


@dataclass(frozen=True, slots=True)
class Part:
    """One GPU, or one instance of it: what has memory of its own."""

    index: int
    """Of the whole GPU, as the driver counts: in the order of the PCI bus."""
    uuid: str
    """Of the whole GPU, as DCGM's exporter names it."""
    visible_uuid: str
    """What CUDA_VISIBLE_DEVICES takes: of an instance, its own UUID."""
    instance: str = ""
    """Number of the GPU instance; empty: the GPU as a whole."""
    handle: object = field(default=None, compare=False)
    """By which the library knows it, as long as it is open."""
    of: object = field(default=None, compare=False)
    """The same of the whole GPU."""


@contextlib.contextmanager
def opened() -> Iterator[None]:
    """Open the library, for some milliseconds at a time.

    After a driver update or a reset an old handle would answer with errors for ever, and an open one keeps
    administrators from resetting a GPU or splitting it.

    Raises:
        NVMLError: there is no library, or no driver.
    """
    pynvml.nvmlInit()
    try:
        yield
    finally:
        with contextlib.suppress(NVMLError):  # the library went away meanwhile; who opens it next is told so
            pynvml.nvmlShutdown()


def count() -> int:
    """Return how many GPUs there are.

    Raises:
        NVMLError: the driver does not tell.
    """
    return int(pynvml.nvmlDeviceGetCount())


def parts(index: int) -> Iterator[Part]:
    """Yield a GPU, or its instances where it is split: nothing can start on such a GPU as a whole.

    Raises:
        NVMLError: the driver does not tell.
    """
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    uuid = str(pynvml.nvmlDeviceGetUUID(handle))
    if not _is_split(handle):
        yield Part(index, uuid, uuid, handle=handle, of=handle)
        return
    seen = set()
    for instance in _instances(handle):
        number = str(pynvml.nvmlDeviceGetGpuInstanceId(instance))
        if number not in seen:  # compute instances of one GPU instance share its memory
            seen.add(number)
            yield Part(index, uuid, str(pynvml.nvmlDeviceGetUUID(instance)), number, instance, handle)


def is_visible(part: Part, visible: str | None) -> bool:
    """Tell whether a program may use a GPU, by a value of CUDA_VISIBLE_DEVICES; None: it is not set."""
    if visible is None:
        return True
    names = [name.strip() for name in visible.split(",")]
    # CUDA takes a unique beginning of a UUID, too.
    return any(
        name == str(part.index) or (name[:4] in ("GPU-", "MIG-") and part.visible_uuid.startswith(name))
        for name in names
    )


def read_memory(part: Part) -> Memory | None:
    """Return the memory of a GPU or instance; None where the driver tells nonsense.

    Raises:
        NVMLError: the driver does not tell.
    """
    try:
        # Version 2 tells the driver's own reserve from what programs use; on an idle GPU that is some hundred MiB.
        told = pynvml.nvmlDeviceGetMemoryInfo(part.handle, version=pynvml.nvmlMemory_v2)
        total, reserved = told.total - told.reserved, int(told.reserved)
    except LACKING:
        told = pynvml.nvmlDeviceGetMemoryInfo(part.handle)
        total, reserved = told.total, None
    if not 0 <= told.used <= total or total <= 0:
        return None
    return Memory(int(told.used), int(total - told.used), reserved)


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
