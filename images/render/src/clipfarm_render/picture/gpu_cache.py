"""What CUDA and OptiX compile for a GPU, kept in the run's folder by GPU and driver for all its clips."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipfarm_render.locks import alone
from clipfarm_render.vram.driver import gpu_and_driver

VARIABLES = {"OPTIX_CACHE_PATH": "optix", "CUDA_CACHE_PATH": "cuda"}
"""Of the two libraries, with the names of their folders. What the user has set stays as it is."""


@dataclass(frozen=True, slots=True)
class GpuCache:
    """Where it is kept."""

    gpu: str
    """Name of the GPU, as ``NVIDIA H200``; of several kinds, all their names."""
    place: Path | None
    """None: nowhere that other processes find."""

    @contextmanager
    def first_use(self, device: str) -> Iterator[bool]:
        """Let one process at a time use ``cuda`` or ``optix`` for the first time; yield whether this is the first."""
        if self.place is None:
            yield True
            return
        done = self.place / f"{device}.compiled"
        if done.exists():
            yield False
            return
        with alone(self.place / f"{device}.lock"):
            first = not done.exists()
            yield first
            if first:
                done.touch()


def use(cache: Path | None) -> GpuCache:
    """Have this process keep there what its libraries compile; before CUDA is loaded.

    Args:
        cache: the run's folder for what can be made again; None: the libraries keep it where they are used to.
    """
    gpu, driver = gpu_and_driver()
    if cache is None:
        return GpuCache(gpu, None)
    place = cache / "gpu" / re.sub(r"[^A-Za-z0-9.]+", "-", f"{gpu} {driver}")
    try:
        for variable, name in VARIABLES.items():
            (place / name).mkdir(parents=True, exist_ok=True)
            os.environ.setdefault(variable, str(place / name))
    except OSError:
        return GpuCache(gpu, None)
    return GpuCache(gpu, place)
