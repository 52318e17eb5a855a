"""Clips under way on a device."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor

from clipfarm_encode.models.base import Computed, Lane, Output
from clipfarm_encode.models.memory import BatchSizes, is_out_of_memory


class EncodeError(RuntimeError):
    """The device could not compute a clip's features; the message is one line."""


class OutOfMemoryError(EncodeError):
    """One clip alone does not fit into the device's memory; the message names the sizes."""


class Owner(Protocol):
    """The encoder that a batch belongs to."""

    sizes: BatchSizes

    def give_back(self) -> None:
        """Give memory that is cached for the next batch back to the device."""
        ...

    def out_of_memory(self, shape: Sequence[int], message: str) -> OutOfMemoryError:
        """Return the error of one clip that does not fit."""
        ...


class Batch:
    """Clips under way on a device.

    One that fails, for want of memory above all, is computed again in halves, down to the one clip that it fails for.
    """

    def __init__(self, encoder: Owner, clips: Sequence[Tensor], lane: Lane, output: Output) -> None:
        self.clips = clips
        self._encoder = encoder
        self._lane = lane
        self._output = output
        self._problem: tuple[bool, str] | None = None
        try:
            self._wait = lane.launch(clips, output)
        except (RuntimeError, MemoryError) as error:
            self._problem = _problem(error)

    def results(self) -> Iterator[Computed | EncodeError]:
        """Wait, and yield each clip's features, in order, or why there are none."""
        computed: list[Computed] = []
        if self._problem is None:
            try:
                computed = self._wait()
            except (RuntimeError, MemoryError) as error:
                self._problem = _problem(error)
        # Below the handlers, not in them: an exception keeps the failed computation's tensors for as long as it lives.
        shape, count = tuple(self.clips[0].shape), len(self.clips)
        if self._problem is None:
            self._encoder.sizes.fitted(shape, count)
            yield from computed
            return
        full, message = self._problem
        self._encoder.give_back()
        if full:
            self._encoder.sizes.failed(shape, count)
        if count > 1:
            for half in (self.clips[: count // 2], self.clips[count // 2 :]):
                yield from Batch(self._encoder, half, self._lane, self._output).results()
        elif full:
            yield self._encoder.out_of_memory(shape, message)
        else:
            yield EncodeError(message)


def _problem(error: Exception) -> tuple[bool, str]:
    """Return whether memory was short, and the first line of what the device said."""
    return is_out_of_memory(error), (str(error) or type(error).__name__).splitlines()[0]
