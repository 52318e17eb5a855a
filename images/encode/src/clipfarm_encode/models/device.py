"""The devices of this machine."""

import re

import numpy as np
import torch

GIB = 2**30
# Dense matrix products in bfloat16 (V100: float16) with float32 sums, FLOP/s, by the name that the driver gives the
# device; from NVIDIA's data sheets, those with "sparsity" halved. Longest names first: the first that fits counts.
_PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "V100": 125e12,
}
_NUMBERS = re.compile(r"\d+(,\d+)*")


def choose_devices(name: str) -> list[torch.device]:
    """Return the devices that a name stands for.

    Args:
        name: ``cpu``; ``mps``; ``cuda``, all that ``CUDA_VISIBLE_DEVICES`` leaves; some of these by their numbers, as
            ``cuda:1,3``; or ``auto``, the first of CUDA, MPS and CPU that is there.

    Raises:
        ValueError: it is no such name, or a device is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = {"cuda": count > 0, "mps": torch.backends.mps.is_available(), "cpu": True}
    kind, colon, list_of_numbers = name.partition(":")
    if kind == "auto" and not colon:
        kind = next(each for each, is_there in there.items() if is_there)
    if kind not in there or (colon and (kind != "cuda" or not _NUMBERS.fullmatch(list_of_numbers))):
        raise ValueError(f"device: found {name}, expected auto, cpu, mps, cuda, or numbers as in cuda:1,3")
    if not there[kind]:
        raise ValueError(f"device: {name} is not there; this machine has {', '.join(n for n in there if there[n])}")
    if kind != "cuda":
        return [torch.device(kind)]
    numbers = [int(each) for each in list_of_numbers.split(",")] if colon else list(range(count))
    for number in numbers:
        if number >= count:
            names = ", ".join(f"cuda:{i}" for i in range(count))
            raise ValueError(f"device: cuda:{number} is not there; this machine has {names}")
        if numbers.count(number) > 1:
            raise ValueError(f"device: cuda:{number} is named twice in {name}")
    return [torch.device("cuda", number) for number in numbers]


def peak_flops(device: torch.device) -> float | None:
    """Return a device's peak in half precision, FLOP/s; None where it is not known."""
    return named_peak(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def named_peak(name: str) -> float | None:
    """Return the peak of a device by its driver's name for it, as ``NVIDIA H100 80GB HBM3``; None of a part (MIG)."""
    words = f" {name.replace('-', ' ')} "
    if " MIG " in words:
        return None
    return next((peak for part, peak in _PEAKS.items() if f" {part} " in words), None)


def memory_held(device: torch.device) -> int:
    """Return the bytes of a device's memory that this process holds, its cache included; 0 for the CPU."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def free_memory(device: torch.device) -> str:
    """Return how much memory is free, in words; empty for the CPU."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"


def saved_dtype(name: str) -> torch.dtype:
    """Return PyTorch's type for NumPy's name of it."""
    return {"float16": torch.float16, "float32": torch.float32}[np.dtype(name).name]
