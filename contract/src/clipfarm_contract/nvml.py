"""GPUs of this machine, or instances of them (MIG), and their memory, as NVIDIA's management library reports them.

Needs the extra ``nvml`` of this package.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import pynvml
from pynvml import NVMLError

LACKING = (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_InvalidArgument)
"""What a driver, or a GPU, that lacks a call answers with."""
LIBRARY_NOT_FOUND = pynvml.NVMLError_LibraryNotFound
ABSENT = (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded)
"""What a machine, or a container, without GPUs answers with."""

__all__ = [
    "ABSENT",
    "LACKING",
    "LIBRARY_NOT_FOUND",
    "Memory",
    "NVMLError",
    "Part",
    "compute_capability",
    "count",
    "driver",
    "is_visible",
    "model",
    "opened",
    "parts",
    "read_memory",
    "used_by_processes",
    "visible_parts",
]


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


def driver() -> str:
    """Return the version of the driver.

    Raises:
        NVMLError: the driver does not tell.
    """
    return _text(pynvml.nvmlSystemGetDriverVersion())


def model(part: Part) -> str:
    """Return what the driver calls a GPU, as ``NVIDIA H200``.

    Raises:
        NVMLError: the driver does not tell.
    """
    return _text(pynvml.nvmlDeviceGetName(part.of))


def compute_capability(part: Part) -> tuple[int, int]:
    """Return the generation of a GPU: (9, 0) for an H100.

    Raises:
        NVMLError: the driver does not tell.
    """
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(part.of)
    return int(major), int(minor)


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


def visible_parts(visible: str | None) -> list[Part]:
    """Return the GPUs, or instances of them, that a program may use, by a value of CUDA_VISIBLE_DEVICES.

    A GPU that the driver has lost is left out; it keeps no other one from being found.

    Raises:
        NVMLError: the driver reports none of them.
    """
    found: list[Part] = []
    problem: NVMLError | None = None
    for index in range(count()):
        try:
            found += [part for part in parts(index) if is_visible(part, visible)]
        except NVMLError as error:
            problem = error
    if problem is not None and not found:
        raise problem
    return found


def is_visible(part: Part, visible: str | None) -> bool:
    """Tell whether a program may use a GPU, by a value of CUDA_VISIBLE_DEVICES; None: it is not set."""
    if visible is None:
        return True
    # CUDA reads on to the first name that makes no sense, as -1, which is there to leave out all that follow.
    names = takewhile(_is_name, (name.strip() for name in visible.split(",")))
    # It takes a unique beginning of a UUID, too.
    return any(name == str(part.index) or (not name.isdigit() and part.visible_uuid.startswith(name)) for name in names)


def _is_name(name: str) -> bool:
    return name.isdigit() or name[:4] in ("GPU-", "MIG-")


def read_memory(part: Part) -> Memory | None:
    """Return the memory of a GPU or instance; None if the driver reports none, or nonsense.

    A GPU that shares the host's memory, as of DGX Spark or Jetson, has none of its own.

    Raises:
        NVMLError: the driver does not tell.
    """
    try:
        # Version 2 separates the driver's own reserve from what programs use; on an idle GPU that is some hundred MiB.
        told = pynvml.nvmlDeviceGetMemoryInfo(part.handle, version=pynvml.nvmlMemory_v2)
        total, reserved = told.total - told.reserved, int(told.reserved)
    except LACKING:
        try:
            told = pynvml.nvmlDeviceGetMemoryInfo(part.handle)
        except pynvml.NVMLError_NotSupported:
            return None
        total, reserved = told.total, None
    if not 0 <= told.used <= total or total <= 0:
        return None
    return Memory(int(told.used), int(total - told.used), reserved)


def used_by_processes(handle: object) -> dict[int, int | None]:
    """Return the bytes that each process has in use of a GPU or instance, by its number; None: the driver does not say.

    Numbers are those of the machine: in a container with numbers of its own, they name other processes or none, and
    some drivers leave processes of other containers out.
    """
    used: dict[int, int | None] = {}
    for kind in ("Compute", "Graphics"):
        for process in _processes(kind, handle):
            # One that computes and draws is in both lists.
            used.setdefault(process.pid, None if process.usedGpuMemory is None else int(process.usedGpuMemory))
    return used


def _processes(kind: str, handle: object) -> list[Any]:
    # By their versions: the names without one refuse drivers that are older than the binding.
    for version in (3, 2):
        try:
            found: list[Any] = getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v{version}")(handle)
        except NVMLError:
            continue
        return found
    return []


def _text(told: Any) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


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
