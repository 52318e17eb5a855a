"""Putting clips together: by shape, until a batch is full or has waited long enough."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from clipfarm_encode.files.clips import Found
from clipfarm_encode.files.features import Encoded

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A clip that is ready for the model."""

    found: Found
    pixels: Tensor
    """(frames, 3, crop, crop) uint8."""
    encoded: Encoded
    """What the pixels were read from."""


class Batches:
    """Clips between the decoders and the devices; every method may be called from any thread.

    A batch goes when it is full. One that is not goes when its oldest clip has waited ``linger`` seconds, or when no
    clip is on its way that could join it: because there are no more, or because none may start until one is done.
    """

    def __init__(self, linger: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._linger = linger
        self._clock = clock
        self._groups: dict[Shape, list[tuple[float, Prepared]]] = {}
        """By shape: clips with the time since when they have been here."""
        self._coming = 0
        self._full_up = False
        self._closed = False
        self._changed = threading.Condition()

    def expect(self) -> None:
        """Take note that a clip is on its way."""
        with self._changed:
            self._coming += 1

    def put(self, prepared: Prepared) -> None:
        """Add a clip that was expected."""
        with self._changed:
            self._coming -= 1
            shape = tuple(prepared.pixels.shape)
            self._groups.setdefault(shape, []).append((self._clock(), prepared))
            self._changed.notify_all()

    def drop(self) -> None:
        """Take note that a clip that was expected will not come."""
        with self._changed:
            self._coming -= 1
            self._changed.notify_all()

    def full_up(self, value: bool) -> None:
        """Say whether no further clip may start until one of those in here is done."""
        with self._changed:
            self._full_up = value
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more clips will be announced."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, size: Callable[[Shape], int], timeout: float) -> list[Prepared] | None:
        """Return the next batch; an empty list after ``timeout`` seconds without one, None once there are no more.

        Args:
            size: how many clips of a shape make a full batch on the device that asks.
        """
        end = self._clock() + timeout
        with self._changed:
            while True:
                now = self._clock()
                if batch := self._next(size, now):
                    return batch
                if self._closed and not self._coming and not self._groups:
                    return None
                if now >= end:
                    return []
                moments = [end, *(group[0][0] + self._linger for group in self._groups.values())]
                self._changed.wait(max(0.0, min(moments) - now))

    def _next(self, size: Callable[[Shape], int], now: float) -> list[Prepared]:
        for shape, group in self._groups.items():
            if len(group) >= size(shape):
                return self._cut(shape, size(shape))
        if not self._groups:
            return []
        shape, oldest = min(self._groups.items(), key=lambda item: item[1][0][0])
        nothing_joins = (self._closed or self._full_up) and not self._coming
        return self._cut(shape, size(shape)) if nothing_joins or now >= oldest[0][0] + self._linger else []

    def _cut(self, shape: Shape, size: int) -> list[Prepared]:
        group = self._groups.pop(shape)
        if group[size:]:
            self._groups[shape] = group[size:]
        return [prepared for _, prepared in group[:size]]
