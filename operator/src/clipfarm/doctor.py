"""What a machine has for rendering and encoding, and what it lacks."""

import ctypes
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipfarm.units import format_bytes
from clipfarm_contract import mps, nvml
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.kernels import KernelError, architecture, path_of

OPTIX = "libnvoptix.so.1"
"""NVIDIA's ray tracer, which comes with the driver; in a container with the capability ``graphics`` alone."""

CONTROL_DEVICE = Path("/dev/nvidiactl")
"""There as long as the driver is loaded."""

LIBRARY_MISSING = (
    "have the linker find libnvidia-ml.so.1 (ldconfig -p lists what it finds); in a container, add utility to"
    " NVIDIA_DRIVER_CAPABILITIES. Until then GPU memory is unknown, and vram.whenUnknown decides whether clips wait"
)
LOST = (
    "reset it (nvidia-smi --gpu-reset) or restart the machine. Until then name the other GPUs in CUDA_VISIBLE_DEVICES,"
    " or set render.device: cpu"
)
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
            found = {_architecture(part) for part in nvml.visible_parts(_visible())}
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
            parts, about_gpus = _gpus()
            findings += about_gpus
            if parts:
                findings += [_kernels(name) for name in sorted({_architecture(part) for part in parts})]
                findings += [_optix(), _processes(parts), _mps()]
            elif not about_gpus:
                findings.append(_none_visible(nvml.count()))
    except nvml.ABSENT as error:
        findings.append(_no_driver(error))
    except nvml.NVMLError as error:
        findings.append(Finding("driver", _silence(error), SILENT))
    return findings


def _silence(error: nvml.NVMLError) -> str:
    silence = "no GPU here" if isinstance(error, nvml.ABSENT) else "GPUs cannot be asked"
    return f"{silence}: NVML: {str(error).rstrip('.')}"


def _no_driver(error: nvml.NVMLError) -> Finding:
    """Return what it means that NVIDIA's library, or its driver, is not there."""
    signs = [str(CONTROL_DEVICE)] if CONTROL_DEVICE.exists() else []
    signs += ["nvidia-smi"] if shutil.which("nvidia-smi") else []
    if signs and isinstance(error, nvml.LIBRARY_NOT_FOUND):
        found = f"NVIDIA's library cannot be loaded, though {' and '.join(signs)} is there: NVML: {error}"
        return Finding("driver", found, LIBRARY_MISSING)
    return Finding("driver", f"no GPU here, so clips render on the CPU (NVML: {error})")


def _visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def _gpus() -> tuple[list[nvml.Part], list[Finding]]:
    """Return the GPUs that this process may use, and what is known of each; also of those that do not answer."""
    parts: list[nvml.Part] = []
    findings: list[Finding] = []
    for index in range(nvml.count()):
        try:
            found = [part for part in nvml.parts(index) if nvml.is_visible(part, _visible())]
            findings += [_gpu(part) for part in found]
            parts += found
        except nvml.NVMLError as error:
            findings.append(Finding(f"gpu {index}", f"does not answer: NVML: {str(error).rstrip('.')}", LOST))
    return parts, findings


def _none_visible(count: int) -> Finding:
    if not count:
        return Finding("gpu", "the driver knows none", "clips render on the CPU: render.device: cpu")
    if _visible() in ("", "-1"):
        return Finding("gpu", "CUDA_VISIBLE_DEVICES hides all of them: clips render on the CPU")
    found = f"CUDA_VISIBLE_DEVICES={_visible()} names no GPU that is here; the driver knows {count}"
    return Finding("gpu", found, "name them by number or UUID, as nvidia-smi -L lists them")


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
        found = f"{nvml.model(part)}, {_architecture(part)}, whose memory the driver does not report"
        return Finding(name, found, "set vram.whenUnknown: Admit, or clips wait")
    total = memory.used + memory.free
    used = f"{format_bytes(memory.used)} of {format_bytes(total)} in use"
    return Finding(name, f"{nvml.model(part)}, {_architecture(part)}, {used}")


def _kernels(name: str) -> Finding:
    try:
        there = path_of(name).exists()
    except KernelError as problem:
        return Finding("kernels", str(problem))
    if there:
        return Finding("kernels", f"there for {name}")
    return Finding(
        "kernels",
        f"none for {name}: each run begins with more than eight minutes in which the driver compiles them",
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
        return Finding("memory", "the driver reports what each clip's process takes")
    return Finding(
        "memory", "the driver does not know this container's processes: what a clip takes is measured by the whole GPU"
    )


def _is_the_machine() -> bool:
    """Return whether processes here have the machine's numbers: the second is then the kernel's own."""
    try:
        return Path("/proc/2/comm").read_text().strip() == "kthreadd"
    except OSError:
        return False


def _mps() -> Finding:
    program = shutil.which("nvidia-cuda-mps-control")
    if mps.is_on() or (program is not None and _answers([program])):
        return Finding("mps", "on: workers that share a GPU compute at the same time")
    if mps.control().exists():
        left = f"off: no daemon answers at {mps.control()}, so workers that share a GPU take turns"
        return Finding("mps", left, "start it again on the machine: nvidia-cuda-mps-control -d")
    return Finding("mps", "off: workers that share a GPU take turns")


def _answers(command: list[str], run: Callable[..., subprocess.CompletedProcess[bytes]] = subprocess.run) -> bool:
    try:
        done = run(command, input=b"get_server_list\n", capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
