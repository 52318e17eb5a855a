"""From folders to features: decode ahead, compute in batches, save behind."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from clipfarm_encode.clips import ClipError, Found, read_frames
from clipfarm_encode.encoder import EncodeError, Encoder, OutOfMemoryError
from clipfarm_encode.features import Features, save
from clipfarm_encode.progress import Reporter
from clipfarm_encode.selection import Destination


@dataclass(frozen=True, slots=True)
class Prepared:
    """A clip that is ready for the model."""

    found: Found
    pixels: Tensor
    """(frames, 3, crop, crop) uint8."""
    io_seconds: float
    preprocess_seconds: float


class Pipeline:
    """Encodes clips as they come.

    Decoder threads work ahead of the model by two batches, and one thread saves behind it, by two batches at most.
    So memory holds about five batches: of 32 frames at 256 pixels 6 MiB a clip before the model and 8 MiB after it.
    """

    def __init__(
        self,
        encoder: Encoder,
        destination: Destination,
        reporter: Reporter,
        saving: threading.Lock,
        *,
        batch_size: int,
        decoders: int,
        vanishing: bool = False,
    ) -> None:
        self.out_of_memory = False
        """Whether a clip failed because the device's memory is too small."""
        self._encoder = encoder
        self._destination = destination
        self._reporter = reporter
        self._saving = saving
        self._batch_size = batch_size
        self._vanishing = vanishing
        self._decode_pool = ThreadPoolExecutor(decoders, "decode")
        self._save_pool = ThreadPoolExecutor(1, "save")
        self._decoding: deque[tuple[Found, Future[Prepared]]] = deque()
        self._ready: dict[tuple[int, ...], list[Prepared]] = {}
        self._saved: deque[tuple[Found, Future[float]]] = deque()

    def run(self, clips: Iterable[Found | None]) -> None:
        """Encode clips until there are no more; at a None, finish all that has come so far.

        A clip that cannot be encoded is reported, and the rest goes on.
        """
        with self._decode_pool, self._save_pool:
            for found in clips:
                if found is None:
                    self._finish()
                    continue
                self._decoding.append((found, self._decode_pool.submit(self._prepare, found)))
                if len(self._decoding) > 2 * self._batch_size:
                    self._take()
            self._finish()

    def _finish(self) -> None:
        busy = bool(self._decoding or self._ready or self._saved)
        while self._decoding:
            self._take()
        for batch in self._ready.values():
            self._encode(batch)
        self._ready.clear()
        self._settle(0)
        if busy:
            self._reporter.update()

    def _take(self) -> None:
        """Take the clip that has been decoding for longest; encode once a batch of its shape is full."""
        found, future = self._decoding.popleft()
        try:
            prepared = future.result()
        except (ClipError, OSError) as error:
            self._fail(found, error)
            return
        self._reporter.tally.seconds["io"] += prepared.io_seconds
        self._reporter.tally.seconds["preprocess"] += prepared.preprocess_seconds
        shape = tuple(prepared.pixels.shape)
        batch = self._ready.setdefault(shape, [])
        batch.append(prepared)
        if len(batch) == self._batch_size:
            self._encode(self._ready.pop(shape))
            self._reporter.update()

    def _encode(self, batch: list[Prepared]) -> None:
        start = time.monotonic()
        for prepared, features in zip(batch, self._encoder.encode([each.pixels for each in batch]), strict=True):
            now = time.monotonic()
            self._reporter.tally.seconds["encode"] += now - start
            start = now
            if isinstance(features, EncodeError):
                self.out_of_memory |= isinstance(features, OutOfMemoryError)
                self._fail(prepared.found, features)
            else:
                frames = len(prepared.pixels)
                self._saved.append(
                    (prepared.found, self._save_pool.submit(self._save, prepared.found, frames, features))
                )
        self._settle(2 * self._batch_size)

    def _settle(self, left: int) -> None:
        """Wait until no more than ``left`` saves are under way, and count those that are done."""
        while self._saved and (len(self._saved) > left or self._saved[0][1].done()):
            found, future = self._saved.popleft()
            try:
                self._reporter.tally.seconds["save"] += future.result()
            except (ClipError, OSError) as error:
                self._fail(found, error)
            else:
                self._reporter.tally.encoded.add(found.name)

    def _fail(self, found: Found, error: Exception) -> None:
        if self._vanishing and not found.path.exists():
            self._reporter.tally.forget(found.name)  # whoever took it away may make it again: then it gets another turn
            return
        if not found.path.exists():
            reason = "its folder is gone"
        elif isinstance(error, OSError):
            reason = f"{error.filename or found.name}: {error.strerror}"
        else:
            reason = str(error)
        self._reporter.failed(found.name, reason)

    def _prepare(self, found: Found) -> Prepared:
        start = time.monotonic()
        frames = read_frames(found.clip)
        read = time.monotonic()
        pixels = self._encoder.prepare(frames)
        return Prepared(found, pixels, read - start, time.monotonic() - read)

    def _save(self, found: Found, frames: int, features: Features) -> float:
        start = time.monotonic()
        if not np.isfinite(features).all():
            raise ClipError("its features are not finite numbers")
        clip = self._destination.clip(found)
        with self._saving:
            if self._destination.out_dir is not None:
                clip.folder.mkdir(parents=True, exist_ok=True)
            save(features, frames, clip, self._destination.recipe)
        return time.monotonic() - start
