"""The encoder's CUDA kernels on this machine's CPU: the same text, compiled as C."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import torch

from clipfarm_encode.models.vjepa2.kernels import SOURCE, THREADS, macros

HOST = Path(__file__).with_name("cuda_on_cpu.c")


class Emulated:
    """Launches as :class:`clipfarm_encode.models.vjepa2.kernels.Kernels` does, on tensors in the host's memory."""

    def __init__(self, folder: Path, dtype: torch.dtype, width: int, saved: torch.dtype) -> None:
        compiler = shutil.which("cc")
        assert compiler, "no C compiler (apt-get install gcc libc6-dev)"
        library = folder / f"kernels-{dtype}-{width}-{saved}.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-fno-strict-aliasing", "-pthread", "-Wno-unknown-pragmas"]
        command += [f'-DKERNELS="{SOURCE}"', *macros(dtype, width, saved), str(HOST), "-lm", "-o", str(library)]
        subprocess.run(command, check=True, timeout=60)
        self._library = ctypes.CDLL(str(library))
        self._launch = self._library.launch
        self.launched: list[str] = []

    def launch(self, name: str, threads: int, *arguments: torch.Tensor | int) -> None:
        values = [each.data_ptr() if isinstance(each, torch.Tensor) else each for each in arguments]
        given = (ctypes.c_long * 8)(*values)
        self.launched.append(name)
        self._launch(ctypes.cast(getattr(self._library, name), ctypes.c_void_p), -(-threads // THREADS), given)
