"""Who is writing clips into a folder, so that a living writer's half-made clip is not taken for a dead one's.

A lock of the file system, which goes with the process that holds it, however that ends. If a file system has no locks,
it is not known who writes.
"""

import contextlib
import os
import time
from collections.abc import Iterator

from clipfarm_contract import locks
from clipfarm_contract.layout import RunFolder

POLL_SECONDS = 0.05


@contextlib.contextmanager
def writing(run: RunFolder) -> Iterator[None]:
    """Be known as a writer of clips; any number may be at once."""
    with contextlib.ExitStack() as stack:
        # Never a reason to make no clip: what is wrong with the folder, the clip itself meets, with a better message.
        with contextlib.suppress(OSError):
            run.state.mkdir(parents=True, exist_ok=True)
            descriptor = locks.opened(run.writers)
            stack.callback(os.close, descriptor)
            locks.take(descriptor, run.writers, shared=True, wait=True)
        yield


def nobody_writes(run: RunFolder, patience: float) -> bool:
    """Tell whether no writer is left, waiting ``patience`` seconds for those that are about to end.

    Raises:
        OSError: it cannot be known, as the file system has no locks.
    """
    deadline = time.monotonic() + patience
    descriptor = locks.opened(run.writers)
    try:
        while not locks.take(descriptor, run.writers):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True
    finally:
        os.close(descriptor)
