"""A clip's passes through the model: which frames go in together, and what is kept of each pass.

With context ``clip`` a clip is one pass. With ``frame`` and ``prefix`` each time step has a pass of its own. What a
step must not know does not go in: no mask keeps the future away, it is not there.

Passes of one length are computed together, those of all clips of a batch: as many as have the tokens of a batch of
whole clips. On a CPU each pass is computed on its own, so its bytes depend on its own frames alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from clipfarm_contract.extraction import Extraction
from clipfarm_encode.files.features import Features
from clipfarm_encode.models.base import Computed, Model, Output
from clipfarm_encode.models.batch import Batch, EncodeError, OutOfMemoryError
from clipfarm_encode.models.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Pass:
    """Frames of a clip that go through the model together."""

    frames: slice
    repeat: int = 1
    """How often each frame goes in."""
    last: int | None = None
    """Time steps that are kept, from the end; None: all."""

    def of(self, clip: Tensor) -> Tensor:
        """Return the frames of a clip, (frames, 3, height, width) uint8; no pixel is copied."""
        cut = clip[self.frames]
        return cut if self.repeat == 1 else cut.expand(self.repeat, *cut.shape[1:])


def passes(extraction: Extraction, frames: int, model: Model) -> list[Pass]:
    """Return the passes of a clip, whose kept time steps are those of the features, in order.

    Raises:
        ValueError: the clip is too short, or cannot be cut into the model's time steps.
    """
    lasts = extraction.last_frames(frames, model.step, across_time=model.across_time)
    if not lasts:
        raise ValueError(f"{frames} frames, expected at least {extraction.stride_on(model.step)}")
    if not model.across_time:  # it sees each frame alone anyway
        return [Pass(slice(0, frames, extraction.stride_on(model.step)))]
    if extraction.context == "frame":
        return [Pass(slice(frame, frame + 1), repeat=model.step) for frame in lasts]
    if extraction.context == "prefix":
        sees = extraction.window * model.step if extraction.window else frames
        return [Pass(slice(max(0, last + 1 - sees), last + 1), last=1) for last in lasts]
    if frames % model.step:
        raise ValueError(f"{frames} frames; the model takes {model.step} at a time")
    return [Pass(slice(0, frames))]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Passes of one length that are computed together."""

    units: tuple[tuple[int, int], ...]
    """Number of the clip and of its pass."""
    batch: Batch


class Extracting:
    """Clips of one shape under way on a device, for one set of features."""

    def __init__(self, encoder: Encoder, extraction: Extraction, clips: Sequence[Tensor]) -> None:
        """Launch the first passes; on CUDA this returns before they are computed.

        Args:
            encoder: on the device.
            extraction: of the set.
            clips: all of one shape, (frames, 3, crop, crop) uint8, that :func:`passes` takes.
        """
        self._encoder = encoder
        self._extraction = extraction
        self._clips = clips
        self._passes = passes(extraction, len(clips[0]), encoder.model)
        self._chunks = self._launched()
        self._first = next(self._chunks)

    def results(self) -> Iterator[Computed | EncodeError]:
        """Wait, and yield each clip's features, in order, or why there are none."""
        found: list[list[Computed | EncodeError | None]] = [[None] * len(self._passes) for _ in self._clips]
        chunk: Chunk | None = self._first
        while chunk is not None:
            following = next(self._chunks, None)  # the device computes it while this one is fetched
            for (clip, number), result in zip(chunk.units, chunk.batch.results(), strict=True):
                found[clip][number] = result
            chunk = following
        for results in found:
            yield _joined([each for each in results if each is not None], self._encoder.compute)

    @property
    def work(self) -> tuple[int, int]:
        """Tokens and floating-point operations of all passes."""
        model, count, output = self._encoder.model, len(self._clips), Output(layers=self._extraction.layers)
        shapes = [tuple(each.of(self._clips[0]).shape) for each in self._passes]
        sizes = [(frames, height, width) for frames, _, height, width in shapes]
        tokens, flop = sum(model.tokens(*size) for size in sizes), sum(model.flop(*size, output) for size in sizes)
        return count * tokens, count * flop

    def _launched(self) -> Iterator[Chunk]:
        """Launch chunk after chunk, as they are asked for; the longest passes first."""
        cut = [[each.of(clip) for each in self._passes] for clip in self._clips]
        groups: dict[tuple[int, int | None], list[tuple[int, int]]] = {}
        for clip in range(len(self._clips)):  # clip after clip, so that its passes lie side by side in the results
            for number, each in enumerate(self._passes):
                groups.setdefault((len(cut[0][number]), each.last), []).append((clip, number))
        whole = len(self._clips[0])
        for (length, last), units in sorted(groups.items(), key=lambda item: -item[0][0]):
            output = Output(layers=self._extraction.layers, last=last, pool=self._extraction.pool)
            left = units
            while left:
                shape = tuple(cut[0][left[0][1]].shape)
                size = self._encoder.sizes.size(shape, max(1, whole // length))
                chunk, left = left[:size], left[size:]
                yield Chunk(tuple(chunk), self._encoder.start([cut[clip][each] for clip, each in chunk], output))


def _joined(results: Sequence[Computed | EncodeError], usual: str) -> Computed | EncodeError:
    """Return the features of a clip, by those of its passes; an error if one of them could not be computed."""
    errors = [each for each in results if isinstance(each, EncodeError)]
    if errors:
        return next((each for each in errors if isinstance(each, OutOfMemoryError)), errors[0])
    computed = [each for each in results if isinstance(each, Computed)]
    if len(computed) == 1:
        return computed[0]
    features = tuple(_in_one(arrays) for arrays in zip(*(each.features for each in computed), strict=True))
    return Computed(features, next((each.compute for each in computed if each.compute != usual), usual))


def _in_one(parts: Sequence[Features]) -> Features:
    """Return parts, (tokens, width) each, one behind the other; where they lie so in the host's memory, as a view.

    On a GPU they do with context ``frame``: 16 clips of 32 frames by ViT-L have 256 MiB of features, and a copy of
    these takes a host tens of milliseconds, where an H200 computes them in 160.
    """
    whole = parts[0].base
    if isinstance(whole, np.ndarray) and whole.flags.c_contiguous and all(each.base is whole for each in parts):
        begin = parts[0].ctypes.data
        if [each.ctypes.data - begin for each in parts] == [i * parts[0].nbytes for i in range(len(parts))]:
            rows = whole.reshape(-1, *parts[0].shape[1:])
            first = (begin - whole.ctypes.data) // rows[0].nbytes
            return rows[first : first + len(parts) * len(parts[0])]
    return np.concatenate(parts)
