"""Who is writing clips into a folder: so that nobody takes a living writer's half-made clip for a dead one's.

A lock of the file system, which goes with the process that holds it, however that ends. Where a file system has no
locks, everybody counts as gone, as before there was this.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator

from clipfarm_contract.layout import RunFolder

POLL_SECONDS = 0.05


@contextlib.contextmanager
def writing(run: RunFolder) -> Iterator[None]:
    """Be known as a writer of clips; any number may be at once."""
    with contextlib.ExitStack() as stack:
        # Never a reason to make no clip: what is wrong with the folder, the clip itself meets, with a better message.
        with contextlib.suppress(OSError):
            run.state.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(run.writers.open("a"))
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def nobody_writes(run: RunFolder, patience: float) -> bool:
    """Tell whether no writer is left, waiting ``patience`` seconds for those that are about to end."""
    deadline = time.monotonic() + patience
    try:
        with run.writers.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        return False
                    time.sleep(POLL_SECONDS)
                else:
                    return True
    except OSError:
        return True
