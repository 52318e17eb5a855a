"""Renderers on a GPU that make one clip after the other in one process: no clip but the first sets the GPU up.

Each clip is admitted by itself, as any other. If the next one that is admitted to the same GPU comes at once, the
process that is there takes it; else the process ends, and its GPU memory is free.
"""

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from clipfarm.world import GpuId
from clipfarm_contract.serving import Answer


@dataclass
class Server:
    """A renderer's supervisor that is given clips one by one."""

    process: subprocess.Popen[bytes]
    """Its output comes through a pipe that does not block."""
    gpu: GpuId | None
    holds_since: float
    """Since when its renderer, at the earliest, has had GPU memory: it keeps that from one clip to the next."""
    errors: Path
    """What the supervisor itself prints."""
    kept: bool = True
    """Whether the renderer of its last clip lives on."""
    _text: bytes = b""

    def give(self, clip: int) -> bool:
        """Have it make another clip; return whether it is there to take it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{clip}\n".encode())
            self.process.stdin.flush()
            return self.process.poll() is None
        return False

    def answer(self) -> Answer | None:
        """Return what it has answered since it was given a clip, if it has."""
        assert self.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            self._text += os.read(self.process.stdout.fileno(), 4096)
        while b"\n" in self._text:
            line, _, self._text = self._text.partition(b"\n")
            with contextlib.suppress(ValueError):  # what a library prints is no answer
                found = Answer.parse(line.decode("ascii", "replace"))
                self.kept = found.kept
                return found
        return None

    def release(self) -> None:
        """Give it no more clips: it ends, and its renderer with it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def close(self) -> None:
        """Close our ends of its pipes, once it has ended."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
