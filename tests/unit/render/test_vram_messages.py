import pytest

from clipfarm_render.vram.messages import MESSAGES, means_out_of_vram

OUT_OF_VRAM = [
    # Cycles, on any backend
    "System is out of GPU memory",
    "Fra:3 Mem:1203.11M (Peak 1203.11M) | Time:00:01.52 | Scene | System is out of GPU and shared host memory",
    "Error: System is out of GPU memory",
    # In colours, as they come and as they are shown
    "\x1b[1;31mCUDA error: out of memory\x1b[0m",
    "\\x1b[31mtorch.OutOfMemoryError\\x1b[0m: no room",
    "I0412 12:00:00.1 device.cpp:610] Buffer allocate: bvh, 2,147,483,648 bytes. (2.00G) failed, out of device memory",
    "Buffer allocate: texture, 12 bytes. (12) failed, out of device and host memory",
    "Out of memory in cuMemAlloc_v2(&device_pointer, size) (intern/cycles/device/cuda/device_impl.cpp:617)",
    "CUDA error: Out of memory in cuLaunchKernel(kernel, 64, 1, 1), line 210",
    "Out of memory in cuArray3DCreate_v2(&array_handle, &desc) (device_impl.cpp:811)",
    "out of memory in hipMalloc((void**)&device_pointer, size) (intern/cycles/device/hip/device_impl.cpp:560)",
    "Failed to create CUDA context (Out of memory)",
    "Failed to create HIP context (out of memory)",
    "OPTIX_ERROR_DEVICE_OUT_OF_MEMORY in optixAccelBuild(context, NULL, &options) (device_impl.cpp:1045)",
    # NVIDIA's driver, runtime and libraries
    "numba.cuda.cudadrv.driver.CudaAPIError: [2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation: out of memory",
    "RuntimeError: CUDA error: out of memory",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=a",
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "RuntimeError: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    "RuntimeError: cuFFT error: CUFFT_ALLOC_FAILED",
    # AMD
    "hipErrorOutOfMemory",
    "RuntimeError: HIP error: out of memory",
    # frameworks
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB",
    "torch.cuda.OutOfMemoryError: HIP out of memory. Tried to allocate 1.50 GiB",
    "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.79 GiB total capacity)",
    "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,589,934,592 bytes (allocated so far: 0 bytes).",
    "OOM when allocating tensor with shape[64,256] and type float on /job:localhost/replica:0/task:0/device:GPU:0",
    # others
    "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "pyopencl.MemoryError: clEnqueueNDRangeKernel failed: CL_MEM_OBJECT_ALLOCATION_FAILURE",
    "Error: Could not allocate shadow atlas. Most likely out of GPU memory.",
]

SOMETHING_ELSE = [
    # the host's own memory
    "MemoryError",
    "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB for an array with shape (1000000000,)",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "Out of memory on allocating triangles",
    "Failed allocate render result, out of memory",
    "Out of memory: Killed process 4711 (python) total-vm:9000000kB",
    "OSError: [Errno 12] Cannot allocate memory",
    "Out of memory in cuMemHostAlloc(&shared_pointer, size, CU_MEMHOSTALLOC_DEVICEMAP) (device_impl.cpp:600)",
    "OPTIX_ERROR_HOST_OUT_OF_MEMORY in optixModuleCreate",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "VK_ERROR_OUT_OF_HOST_MEMORY",
    "CL_OUT_OF_HOST_MEMORY",
    "OOM when allocating tensor with shape[64,256] on /job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu",
    "DataLoader worker (pid 12) is killed by signal: Killed.",
    # GPUs, but no shortage
    "free VRAM: 3 GB",
    "GPU memory: 1024 MiB used of 24576 MiB",
    "Using 2.1 GB of GPU memory",
    "Saved: '/data/vram/out of memory/frame_00000.png'",
    "CUDA error: an illegal memory access was encountered",
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "Failed to create CUDA context (Unknown error)",
    "No space left on device",
    "",
]


@pytest.mark.parametrize("line", OUT_OF_VRAM)
def test_a_gpu_allocators_failure_is_recognised(line):
    assert means_out_of_vram(line)


@pytest.mark.parametrize("line", SOMETHING_ELSE)
def test_host_memory_and_talk_about_vram_are_not(line):
    assert not means_out_of_vram(line)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.source)
def test_every_pattern_serves_a_real_message(message):
    assert any(message.pattern.search(line) for line in OUT_OF_VRAM)
