"""A process that decodes clips for the encoder: ``python -m clipfarm_encode.files.decoder DESCRIPTOR``.

Processes and not threads, because of a frame of 256 x 256 pixels about a sixth of Pillow's time is Python, which
one thread at a time may run: that is enough for a CPU, and too little for a GPU that takes 4,000 frames a second. And
a picture that brings its decoder down costs one clip here, and not the encoder.

The folder of a clip comes as a line on standard input; its frames go into the memory behind the descriptor, and a
line of JSON to standard output: ``{"shape": [frames, height, width, 3], "sha256": ".."}``, or ``{"refused": "why"}``,
``{"unreadable": "why"}``, or ``{"errno": .., "filename": ..}``. It ends when its standard input does. PyTorch is not
imported: it starts in a quarter second.
"""

import json
import mmap
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from clipfarm_contract.layout import Clip
from clipfarm_encode.files.clips import ClipError, Frames, UnreadableError, read_clip


class SharedMemory:
    """Memory behind a descriptor, that grows as it is needed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None

    def array(self, shape: tuple[int, ...]) -> Frames:
        """Return the start of the memory as an array; one that was returned before is the same memory."""
        size = int(np.prod(shape))
        if os.fstat(self._descriptor).st_size < size:
            os.ftruncate(self._descriptor, size)
        if self._map is None or len(self._map) < size:
            self._map = mmap.mmap(self._descriptor, os.fstat(self._descriptor).st_size)
        return np.frombuffer(self._map, np.uint8, size).reshape(shape)


def answer(folder: Path, memory: SharedMemory) -> dict[str, Any]:
    """Decode a clip and return the line that says so."""
    try:
        decoded = read_clip(Clip(folder), memory.array)
    except UnreadableError as error:
        return {"unreadable": str(error)}
    except ClipError as error:
        return {"refused": str(error)}
    except OSError as error:
        return {"errno": error.errno, "filename": error.filename}
    except MemoryError:
        return {"refused": "its frames do not fit into memory"}
    return {"shape": decoded.frames.shape, "sha256": decoded.sha256}


def main() -> None:
    """Answer until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group; the encoder ends, and with it standard input
    memory = SharedMemory(int(sys.argv[1]))
    for line in sys.stdin.buffer:
        reply = answer(Path(os.fsdecode(json.loads(line).encode("utf-8", "surrogateescape"))), memory)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
