"""What makes requests in the background, so that a tick waits for none of them."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Has tasks under way, and keeps a reference to each: the event loop has none, and might lose them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task, and return it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Abandon what is under way."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
