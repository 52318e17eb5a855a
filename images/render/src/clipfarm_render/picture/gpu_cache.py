"""What CUDA and OptiX compile for a GPU, kept in the run's folder by GPU and driver for all its clips.

A user may have it kept elsewhere (``CUDA_CACHE_PATH``, ``OPTIX_CACHE_PATH``), or not at all (``CUDA_CACHE_DISABLE``).
"""

import importlib.metadata
import os
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract.machine import UNKNOWN_GPU
from clipfarm_render.locks import alone
from clipfarm_render.vram.driver import gpu_and_driver

CUDA = "CUDA_CACHE_PATH"
VARIABLES = {"OPTIX_CACHE_PATH": "optix", CUDA: "cuda"}
"""Of the two libraries, with the names of their folders. What the user has set stays as it is."""
DISABLED = "CUDA_CACHE_DISABLE"


@dataclass(frozen=True, slots=True)
class GpuCache:
    """Where it is kept."""

    gpu: str
    """Name of the GPU, as ``NVIDIA H200``; of several kinds, all their names."""
    place: Path | None
    """Where what was compiled is noted. None: it is kept nowhere that other processes find."""

    @contextmanager
    def first_use(self, device: str) -> Iterator[bool]:
        """Let one process at a time use ``cuda`` or ``optix`` for the first time; yield whether this is the first."""
        if self.place is None:
            yield True
            return
        # Another Blender has other kernels.
        done = self.place / f"{device}-{importlib.metadata.version('bpy')}.compiled"
        if done.exists():
            yield False
            return
        with alone(self.place / f"{device}.lock"):
            first = not done.exists()
            yield first
            if first:
                with suppress(OSError):  # a full disk: the next process asks once more
                    done.touch()


def use(cache: Path | None, environ: MutableMapping[str, str] = os.environ) -> GpuCache:
    """Have this process keep there what its libraries compile; before CUDA is loaded.

    Args:
        cache: the run's folder for what can be made again; None: the libraries keep it where they are used to.
        environ: the process's own variables.
    """
    gpu, driver = gpu_and_driver()
    if cache is None or environ.get(DISABLED, "0") != "0":
        return GpuCache(gpu, None)
    kind = re.sub(r"[^A-Za-z0-9.]+", "-", f"{gpu} {driver}")
    place = cache / "gpu" / kind
    folders = {variable: place / name for variable, name in VARIABLES.items()}
    chosen = {variable: environ[variable] for variable in VARIABLES if environ.get(variable)}
    # A process that makes several clips has set them itself.
    chosen = {variable: path for variable, path in chosen.items() if path != str(folders[variable])}
    folders = {variable: folder for variable, folder in folders.items() if variable not in chosen}
    # Beside what CUDA keeps: that takes minutes, also for OptiX, whose own part takes seconds.
    noted = Path(chosen[CUDA], f"clipfarm-{kind}") if CUDA in chosen else place
    try:
        for folder in (noted, *folders.values()):
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                return GpuCache(gpu, None)  # of another user, or read-only: as it is without one
    except OSError:
        return GpuCache(gpu, None)
    environ.update({variable: str(folder) for variable, folder in folders.items()})
    # What is compiled for one GPU without a name is not for another.
    return GpuCache(gpu, None if gpu == UNKNOWN_GPU else noted)
