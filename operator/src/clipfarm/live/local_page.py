"""The page of a run on this machine, served by a thread beside the run."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clipfarm.decide.status import Status
from clipfarm.live import serving
from clipfarm.live.local_clips import LocalClips
from clipfarm.live.local_run import run_now
from clipfarm.local.job import Job

END_SECONDS = 2.0
"""For requests under way when the run ends."""


class LocalPage:
    """What the page shows of a run: its clips, and its status as of the last tick."""

    def __init__(self, job: Job) -> None:
        self._job = job
        encode = job.run.spec.encode
        self._clips = LocalClips(job.folder, len(encode.sets) if encode.enabled else 0)
        self._status: Status | None = None

    def show(self, status: Status) -> None:
        """Take in the newest status."""
        self._status = status

    def runs(self) -> Sequence[Mapping[str, Any]]:
        """Return the run; nothing before its first tick."""
        status = self._status
        if status is None:
            return []
        encodes = self._job.run.spec.encode.enabled
        return [run_now(self._job.run.name, status, time.monotonic(), encodes=encodes)]

    def table(self) -> Mapping[str, Any]:
        """Return the clips as columns."""
        return self._clips.table()

    def truths(self, number: int) -> Mapping[str, Any]:
        """Return the truth of the clips in one file."""
        return self._clips.truths(number)

    def strip(self, index: int) -> bytes | None:
        """Return a clip's thumbnail."""
        return self._clips.strip(index)

    def file(self, index: int, name: str) -> Path | None:
        """Return the place of a clip's file."""
        return self._clips.file(index, name)


@contextmanager
def served(source: serving.Source, host: str, port: int) -> Iterator[str]:
    """Serve a source from a thread; yield the address.

    Raises:
        OSError: the address cannot be had.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        runner = asyncio.run_coroutine_threadsafe(serving.start(source, host, port), loop).result()
        try:
            yield serving.address(runner)
        finally:
            with suppress(TimeoutError):  # somebody still loads something: the run has ended all the same
                asyncio.run_coroutine_threadsafe(asyncio.wait_for(runner.cleanup(), END_SECONDS), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(END_SECONDS)
