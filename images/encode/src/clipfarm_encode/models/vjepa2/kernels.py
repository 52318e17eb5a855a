"""The encoder's own CUDA kernels, ``kernels.cu``: built when the model is loaded, and launched.

NVRTC is CUDA's compiler as a library. It comes with PyTorch, as do the bindings to it, and needs neither headers nor a
compiler on the machine; the kernels take it half a second.
"""

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("kernels.cu")
THREADS = 256
"""Threads of a block, for every kernel."""

Argument = Tensor | int


class KernelError(RuntimeError):
    """The kernels cannot be had on this machine; the message is one line that says why."""


def macros(dtype: torch.dtype, width: int, saved: torch.dtype) -> list[str]:
    """Return what ``kernels.cu`` is to be compiled with, as options of a compiler."""
    return [
        f"-DWIDTH={width}",
        *(["-DBFLOAT16"] if dtype is torch.bfloat16 else []),
        *(["-DSAVE32"] if saved is torch.float32 else []),
    ]


def compile_kernels(options: list[str], architecture: str) -> bytes:
    """Return machine code for an architecture, as ``sm_90``.

    Raises:
        KernelError: NVRTC is missing, does not know the architecture, or found a mistake.
    """
    nvrtc = _bindings("nvrtc")
    program = _checked(nvrtc.nvrtcCreateProgram(SOURCE.read_bytes(), b"kernels.cu", 0, [], []))
    try:
        arguments = [each.encode() for each in (f"--gpu-architecture={architecture}", *options)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(arguments), arguments)
        if status:
            log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
            nvrtc.nvrtcGetProgramLog(program, log)
            said = next((line for line in log.decode(errors="replace").splitlines() if line.strip(" \0")), "")
            raise KernelError(f"NVRTC for {architecture}: {status.name}" + (f": {said}" if said else ""))
        code: bytes = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return code


class Kernels:
    """The kernels on one CUDA device."""

    def __init__(self, device: torch.device, options: list[str]) -> None:
        """Build and load them.

        Raises:
            KernelError: they cannot be had on this machine.
        """
        self._driver = _bindings("driver")
        major, minor = torch.cuda.get_device_capability(device)
        code = compile_kernels(options, f"sm_{major}{minor}")
        with torch.cuda.device(device):
            torch.cuda.synchronize()  # makes the device's context this thread's own
            self._module = _checked(self._driver.cuModuleLoadData(code))
        self._functions: dict[str, Any] = {}

    def launch(self, name: str, threads: int, *arguments: Argument) -> None:
        """Launch a kernel on the current stream, with no less than ``threads`` threads.

        Args:
            arguments: a tensor stands for its address; an integer is C's ``int``.
        """
        if name not in self._functions:
            self._functions[name] = _checked(self._driver.cuModuleGetFunction(self._module, name.encode()))
        values, types = zip(*(_c_value(each) for each in arguments), strict=True)
        stream = torch.cuda.current_stream().cuda_stream
        blocks = -(-threads // THREADS)
        _checked(
            self._driver.cuLaunchKernel(
                self._functions[name], blocks, 1, 1, THREADS, 1, 1, 0, stream, (values, types), 0
            )
        )


def _c_value(argument: Argument) -> tuple[int, Any]:
    if isinstance(argument, Tensor):
        return argument.data_ptr(), ctypes.c_void_p
    return argument, ctypes.c_int


def _bindings(name: str) -> Any:
    try:
        from cuda.bindings import driver, nvrtc
    except ImportError as error:
        raise KernelError(f"CUDA's Python bindings cannot be imported ({error})") from None
    return {"driver": driver, "nvrtc": nvrtc}[name]


def _checked(result: tuple[Any, ...]) -> Any:
    """Return what a call of the bindings returned beside its status."""
    status, *values = result
    if status:
        raise KernelError(f"{type(status).__name__} {status.name}")
    return values[0] if values else None
