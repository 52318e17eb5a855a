"""What a clip has left for the others of its run while GPU memory ran out.

Cycles says that the GPU is full, and may go on with a wrong picture. A clip that ran out is not kept; a background that
was made meanwhile would go into every other clip.
"""

import contextlib
from pathlib import Path


def remove(cache: Path, since: float) -> None:
    """Remove backgrounds that were made since some moment; they can be made again.

    Args:
        cache: the run's folder for what can be made again.
        since: as the file system has it, which may be another machine's clock.
    """
    with contextlib.suppress(OSError):
        for path in cache.glob("*.npz"):
            with contextlib.suppress(OSError):  # another process was faster
                if path.stat().st_mtime >= since:
                    path.unlink()
