"""Putting clips together: by feature set and shape, until a batch is full or has waited long enough."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from clipfarm_encode.files.recipe import Encoded
from clipfarm_encode.selection import Turn

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A clip that is ready for the model."""

    turn: Turn
    pixels: Tensor
    """(frames, 3, crop, crop) uint8."""
    encoded: Encoded
    """What the pixels were read from."""

    @property
    def kind(self) -> tuple[int, Shape]:
        """What clips of a batch have in common: the number of the set, and the shape."""
        return self.turn.number, tuple(self.pixels.shape)


class Batches:
    """Clips between the decoders and the devices; every method may be called from any thread.

    A batch goes when it is full. One that is not goes when its oldest clip has waited ``linger`` seconds, or when no
    clip is on its way that could join it: because there are no more, or because none may start until one is done.
    """

    def __init__(self, linger: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._linger = linger
        self._clock = clock
        self._groups: dict[tuple[int, Shape], list[tuple[float, Prepared]]] = {}
        """By kind: clips with the time since when they have been here."""
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
            self._groups.setdefault(prepared.kind, []).append((self._clock(), prepared))
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

    def take(self, size: Callable[[int, Shape], int], timeout: float) -> list[Prepared] | None:
        """Return the next batch; an empty list after ``timeout`` seconds without one, None once there are no more.

        Args:
            size: how many clips of a set's number and a shape make a full batch on the device that asks.
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

    def _next(self, size: Callable[[int, Shape], int], now: float) -> list[Prepared]:
        for kind, group in self._groups.items():
            if len(group) >= size(*kind):
                return self._cut(kind, size(*kind))
        if not self._groups:
            return []
        kind, oldest = min(self._groups.items(), key=lambda item: item[1][0][0])
        nothing_joins = (self._closed or self._full_up) and not self._coming
        return self._cut(kind, size(*kind)) if nothing_joins or now >= oldest[0][0] + self._linger else []

    def _cut(self, kind: tuple[int, Shape], size: int) -> list[Prepared]:
        group = self._groups.pop(kind)
        if group[size:]:
            self._groups[kind] = group[size:]
        return [prepared for _, prepared in group[:size]]
