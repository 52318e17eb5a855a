"""The encoder's side of its decoder processes (:mod:`clipfarm_encode.files.decoder`)."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from types import TracebackType
from typing import Self

from clipfarm_contract.layout import Clip
from clipfarm_encode.files.clips import ClipError, Decoded, UnreadableError
from clipfarm_encode.files.decoder import SharedMemory

_END_SECONDS = 5.0


class Decoder:
    """One decoder process and the memory it shares with this one; started with its first clip at the latest.

    The memory is a file without a name, and not under ``/dev/shm``, which in a container holds 64 MiB.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if hasattr(os, "memfd_create"):
            self._descriptor = os.memfd_create("clipfarm-frames")
        else:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())
        self._memory = SharedMemory(self._descriptor)

    def read(self, clip: Clip) -> Decoded:
        """Decode a clip; the frames are good until the next call.

        Raises:
            ClipError: a frame is missing, damaged, or unlike the others, or it brought the decoder down.
            UnreadableError: a frame cannot be read, which may pass.
            OSError: the clip's folder or the decoder could not be used.
        """
        self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(os.fspath(clip.folder)).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            status = process.wait()
            self._process = None
            how = f"killed by signal {-status}" if status < 0 else f"ended with {status}"
            raise ClipError(f"its decoder was {how}")
        reply = json.loads(line)
        if "unreadable" in reply:
            raise UnreadableError(reply["unreadable"])
        if "refused" in reply:
            raise ClipError(reply["refused"])
        if "errno" in reply:
            raise OSError(reply["errno"], os.strerror(reply["errno"]), reply["filename"])
        return Decoded(self._memory.array(tuple(reply["shape"])), reply["sha256"])

    def start(self) -> None:
        """Start the process, unless it runs; it takes a quarter second to be ready, which nothing has to wait for."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clipfarm_encode.files.decoder", str(self._descriptor)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[self._descriptor],
            )

    def end(self) -> None:
        """Let the process end, without waiting for it."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def close(self, timeout: float) -> None:
        """Wait until the process has ended; after ``timeout`` seconds it is killed."""
        if self._process is not None:
            self.end()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
        os.close(self._descriptor)


class Decoders:
    """A decoder for each of ``count`` threads; started together or as they are needed, and ended together."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._own = threading.local()
        self._all: list[Decoder] = []
        self._unused: list[Decoder] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        give_up = time.monotonic() + _END_SECONDS
        for decoder in self._all:
            decoder.close(max(0.0, give_up - time.monotonic()))

    def start(self, clips: int) -> None:
        """Start as many as so many clips need, before the first thread asks."""
        for _ in range(min(clips, self.count)):
            decoder = Decoder()
            decoder.start()
            self._all.append(decoder)
            self._unused.append(decoder)

    def end(self) -> None:
        """Let all decoders end, without waiting for them: no thread asks any more."""
        for decoder in self._all:
            decoder.end()

    def read(self, clip: Clip) -> Decoded:
        """Decode a clip in this thread's decoder; the frames are good until the thread's next call."""
        if not hasattr(self._own, "decoder"):
            with self._lock:
                if not self._unused:
                    self._all.append(Decoder())
                    self._unused.append(self._all[-1])
                self._own.decoder = self._unused.pop()
        decoder: Decoder = self._own.decoder
        return decoder.read(clip)
