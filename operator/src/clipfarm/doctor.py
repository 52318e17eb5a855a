"""What a machine has for rendering and encoding, and what it lacks."""

import ctypes
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipfarm.units import format_bytes
from clipfarm_contract import nvml
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.kernels import KernelError, architecture, path_of

OPTIX = "libnvoptix.so.1"
"""NVIDIA's ray tracer, which comes with the driver; in a container with the capability ``graphics`` alone."""

SILENT = (
    "restart this container if the driver was updated meanwhile, or else the machine; nvidia-smi there shows more."
    " Until then: render.device: cpu"
)
"""What to do about a driver that is there and answers with an error."""


class GpuError(Exception):
    """No GPU of this machine can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    about: str
    found: str
    advice: str = ""
    """What to do; empty where nothing is wrong."""


def architectures_here() -> tuple[str, ...]:
    """Return the architectures of this machine's GPUs, as ``sm_90``.

    Raises:
        GpuError: there are none, or the driver does not tell.
    """
    try:
        with nvml.opened():
            found = {architecture(nvml.compute_capability(part)) for part in _parts()}
    except nvml.NVMLError as error:
        raise GpuError(_silence(error)) from error
    if not found:
        raise GpuError("no GPU here: the driver knows none")
    return tuple(sorted(found))


def examine() -> list[Finding]:
    """Look at this machine; at most ten lines if it has one GPU or one kind of them."""
    findings = [Finding("cpus", f"{available_cpus()} that this process may use"), _renderer()]
    try:
        with nvml.opened():
            findings.append(Finding("driver", nvml.driver()))
            parts = list(_parts())
            findings += [_gpu(part) for part in parts]
            if parts:
                findings += [_kernels(name) for name in sorted({_architecture(part) for part in parts})]
                findings += [_optix(), _processes(parts), _mps()]
    except nvml.ABSENT as error:
        return [*findings, Finding("driver", f"{_silence(error)}: clips render on the CPU")]
    except nvml.NVMLError as error:
        return [*findings, Finding("driver", _silence(error), SILENT)]
    if not parts:
        findings.append(Finding("gpu", "the driver knows none", "clips render on the CPU: render.device: cpu"))
    return findings


def _silence(error: nvml.NVMLError) -> str:
    silence = "no GPU here" if isinstance(error, nvml.ABSENT) else "GPUs cannot be asked"
    return f"{silence}: NVML: {str(error).rstrip('.')}"


def _parts() -> Iterator[nvml.Part]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    for index in range(nvml.count()):
        yield from (part for part in nvml.parts(index) if nvml.is_visible(part, visible))


def _architecture(part: nvml.Part) -> str:
    return architecture(nvml.compute_capability(part))


def _renderer() -> Finding:
    try:
        return Finding("renderer", f"Blender {importlib.metadata.version('bpy')}")
    except importlib.metadata.PackageNotFoundError:
        return Finding("renderer", "no bpy in this Python", "install clipfarm-render to render here")


def _gpu(part: nvml.Part) -> Finding:
    name = f"gpu {part.index}{'/' + part.instance if part.instance else ''}"
    memory = nvml.read_memory(part)
    if memory is None:
        return Finding(
            name, f"{nvml.model(part)}, whose memory cannot be read", "clips wait: vram.whenUnknown says for what"
        )
    total = memory.used + memory.free
    used = f"{format_bytes(memory.used)} of {format_bytes(total)} in use"
    return Finding(name, f"{nvml.model(part)}, {_architecture(part)}, {used}")


def _kernels(name: str) -> Finding:
    try:
        there = path_of(name).exists()
    except KernelError as problem:
        return Finding("kernels", str(problem))
    if there:
        return Finding("kernels", f"{name} is there")
    return Finding(
        "kernels",
        f"none for {name}: the driver compiles them for more than eight minutes in each container",
        f"run clipfarm gpu prepare {name}",
    )


def _optix() -> Finding:
    try:
        ctypes.CDLL(OPTIX)
    except OSError:
        return Finding("optix", f"no {OPTIX} here: render.device: gpu takes CUDA")
    return Finding("optix", "there: render.device: gpu takes it")


def _processes(parts: list[nvml.Part]) -> Finding:
    """Return how clips' memory is measured here: in many containers the driver's process numbers have no meaning."""
    known = [pid for part in parts for pid in nvml.used_by_processes(part.handle)]
    if _is_the_machine() or any(Path(f"/proc/{pid}").exists() for pid in known):
        return Finding("memory", "of a clip: measured by its process")
    return Finding("memory", "of a clip: measured by the whole GPU, as this container has process numbers of its own")


def _is_the_machine() -> bool:
    """Return whether processes here have the machine's numbers: the second is then the kernel's own."""
    try:
        return Path("/proc/2/comm").read_text().strip() == "kthreadd"
    except OSError:
        return False


def _mps() -> Finding:
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        return Finding("mps", "no nvidia-cuda-mps-control here: several workers on one GPU take turns")
    answered = _answers([control])
    return Finding("mps", "on: several workers share a GPU at once" if answered else "off: several workers take turns")


def _answers(command: list[str], run: Callable[..., subprocess.CompletedProcess[bytes]] = subprocess.run) -> bool:
    try:
        done = run(command, input=b"get_server_list\n", capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
