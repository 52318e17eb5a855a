"""How running out of GPU memory looks in what a renderer prints.

An exit status does not tell: Cycles prints that the GPU is full, saves a wrong frame and goes on. Only the words of a
GPU allocator count. The host's own memory running out is another failure, and a log line that merely speaks of
VRAM is none.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One allocator's way to say it."""

    pattern: re.Pattern[str]
    source: str


def _message(pattern: str, source: str) -> Message:
    return Message(re.compile(pattern), source)


MESSAGES = (
    # -- Cycles. The two sentences are those of its common GPU code, whatever the backend.
    _message(r"System is out of GPU (and shared host )?memory", "Cycles, device/device.cpp: GPUDevice::generic_alloc"),
    _message(r"failed, out of device (and host )?memory", "the same place, as Cycles logs it at verbosity 1"),
    _message(
        # "<driver's error> in <driver call>": cuda_assert and hip_assert. Pinned memory is the host's own.
        r"(?i:out of memory) in (cu|hip)(?!MemHost|MemAllocHost|HostMalloc|HostAlloc)[A-Z]\w*",
        "Cycles, device/cuda/util.h and device/hip/util.h",
    ),
    _message(
        r"Failed to create (CUDA|HIP) context \((?i:out of memory)\)",
        "Cycles, device/cuda/device_impl.cpp and device/hip/device_impl.cpp",
    ),
    # -- NVIDIA: driver, runtime, OptiX, libraries.
    _message(r"\bCUDA_ERROR_OUT_OF_MEMORY\b", "CUDA driver API, CUresult 2"),
    _message(r"\bcudaErrorMemoryAllocation\b", "CUDA runtime API, cudaError 2"),
    _message(
        r"\bCUDA (error|failure|Error)( \d+)?: (\d+: )?out of memory\b", "cudaGetErrorString(2), as most print it"
    ),
    _message(r"\bOPTIX_ERROR_DEVICE_OUT_OF_MEMORY\b", "OptiX, OptixResult 7003"),
    _message(r"\bCU(BLAS|DNN|SOLVER|SPARSE)_STATUS_ALLOC_FAILED\b", "cuBLAS, cuDNN to 8, cuSOLVER, cuSPARSE"),
    _message(r"\bCUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED\b", "cuDNN from 9"),
    _message(r"\bCUFFT_ALLOC_FAILED\b", "cuFFT, cufftResult 2"),
    # -- AMD.
    _message(r"\bhipErrorOutOfMemory\b|\bhipErrorMemoryAllocation\b", "HIP runtime, hipError 2, new and old name"),
    _message(r"\bHIP error: out of memory\b", "hipGetErrorString(2), as PyTorch prints it"),
    # -- PyTorch, CuPy, TensorFlow.
    _message(r"\b(CUDA|HIP) out of memory\. Tried to allocate\b", "PyTorch, c10/cuda/CUDACachingAllocator.cpp"),
    _message(r"\btorch\.(cuda\.)?OutOfMemoryError\b", "PyTorch from 2.5, and before"),
    _message(r"\bcupy\.cuda\.memory\.OutOfMemoryError\b", "CuPy"),
    _message(r"\bOOM when allocating tensor with .*/device:GPU:\d+", "TensorFlow, core/framework/op_kernel.cc"),
    # -- Others that draw on a GPU.
    _message(r"\bVK_ERROR_OUT_OF_DEVICE_MEMORY\b", "Vulkan, VkResult -2"),
    _message(r"\bCL_MEM_OBJECT_ALLOCATION_FAILURE\b", "OpenCL, -4"),
    _message(r"Most likely out of GPU memory", "Blender, EEVEE's shadow atlas"),
)


_COLOUR = re.compile(r"(\x1b|\\x1b)\[[0-9;]*m")
"""As a terminal gets it, or written out (:func:`clipfarm_contract.text.printable`)."""


def means_out_of_vram(text: str) -> bool:
    """Tell whether a line of output, or an exception's text, is a GPU allocator's failure."""
    plain = _COLOUR.sub("", text)
    return any(message.pattern.search(plain) for message in MESSAGES)
