"""A loaded model on a device: frames in, features out. One instance serves any number of calls."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clipfarm_contract.layout import Clip
from clipfarm_encode.files.clips import ClipError, Frames, read_frames
from clipfarm_encode.files.features import Features
from clipfarm_encode.models.base import OWN, Model, Output
from clipfarm_encode.models.batch import Batch, EncodeError, OutOfMemoryError
from clipfarm_encode.models.catalogue import find, load_model
from clipfarm_encode.models.device import choose_devices, free_memory, saved_dtype
from clipfarm_encode.models.memory import BatchSizes
from clipfarm_encode.models.preprocess import resize_and_crop
from clipfarm_encode.models.weights import DEFAULT_KEY, Weights

DTYPES = {"fp16": "float16", "fp32": "float32"}


class Encoder:
    """A model with its weights, ready on its device.

    Features of a clip do not depend on which other clips are in its batch, on the CPU to the last bit: there each
    clip is computed on its own, since matrix products of other sizes add up in another order. More clips at a time
    than threads would bring nothing there.
    """

    def __init__(
        self,
        model: Model,
        name: str,
        weights: Weights,
        device: torch.device,
        *,
        dtype: str = "fp16",
        crop_size: int = 256,
        batch_size: int = 4,
        compiled: bool = False,
    ) -> None:
        self.name = name
        self.weights = weights
        self.device = device
        self.model = model
        self.preprocessing = model.preprocessing(crop_size)
        self._most = _most_at_once(device, batch_size, compiled=compiled)
        self.sizes = BatchSizes(self._most)
        self._saved = np.dtype(DTYPES[dtype])
        self._lane = model.lane(device, saved_dtype(self._saved.name), compiled=compiled)

    @property
    def dtype(self) -> str:
        """Type of the features, as NumPy names it."""
        return self._saved.name

    @property
    def compute(self) -> str:
        """Precision of the matrix products, as PyTorch names it."""
        return self._lane.compute

    @property
    def note(self) -> str | None:
        """What is worth knowing of this encoder before its first clip, in a line."""
        return self._lane.note

    def on(self, device: torch.device) -> "Encoder":
        """Return an encoder with a copy of this one's model on another device."""
        other = copy.copy(self)
        other.device, other.sizes, other._lane = device, BatchSizes(self._most), self._lane.on(device)
        return other

    def like(self, *, crop_size: int | None = None, dtype: str | None = None) -> "Encoder":
        """Return an encoder with this one's loaded model that crops otherwise, or saves another type.

        Raises:
            ValueError: the crop is not made of whole patches, or there is no such type.
        """
        other = copy.copy(self)
        if crop_size is not None:
            find(self.name).check(self.name, crop_size)
            other.preprocessing = self.model.preprocessing(crop_size)
        if dtype is not None:
            _check_dtype(dtype)
            other._saved = np.dtype(DTYPES[dtype])
            other._lane = self._lane.saving(saved_dtype(other._saved.name))
        return other

    def prepare(self, frames: Frames) -> Tensor:
        """Return what :meth:`encode` takes: (frames, 3, crop, crop) uint8, of (frames, height, width, 3) uint8."""
        return resize_and_crop(torch.from_numpy(frames).permute(0, 3, 1, 2), self.preprocessing)

    def encode(self, clips: Sequence[Tensor]) -> Iterator[Features | EncodeError]:
        """Yield the features of each clip, in order, or why there are none.

        Args:
            clips: all of one shape, (frames, 3, crop, crop) uint8.

        Yields:
            (tokens, width) of the encoder's dtype, in order of time, row and column.
        """
        start = 0
        while start < len(clips):
            size = self.sizes.size(tuple(clips[start].shape))
            for result in self.start(clips[start : start + size]).results():
                yield result if isinstance(result, EncodeError) else result.features[0]
            start += size

    def start(self, clips: Sequence[Tensor], output: Output = OWN) -> "Batch":
        """Launch a batch of no more clips than :attr:`sizes` says; on CUDA this returns before it is computed."""
        return Batch(self, clips, self._lane, output)

    def out_of_memory(self, shape: Sequence[int], message: str) -> OutOfMemoryError:
        """Return the error of one clip that does not fit."""
        frames, _, height, width = shape
        tokens = self.model.tokens(frames, height, width)
        free = free_memory(self.device)
        return OutOfMemoryError(
            f"GPU memory is too small for one clip of {frames} frames at {width} x {height} pixels ({tokens} tokens"
            + (f"; {free}" if free else "")
            + f"): {message}"
        )

    def give_back(self) -> None:
        """Give memory that is cached for the next batch back to the device, for other programs."""
        self._lane.forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def get_encoder(
    model: str = "vjepa2_vitl16",
    weights: str | Path = "",
    device: str = "auto",
    *,
    weights_key: str = DEFAULT_KEY,
    weights_sha256: str | None = None,
    weights_revision: str | None = None,
    dtype: str = "fp16",
    crop_size: int = 256,
    batch_size: int = 4,
    compiled: bool = False,
) -> Encoder:
    """Load a model onto a device.

    Args:
        model: as ``vjepa2_vitl16``, or the small ``vjepa2_tiny16``.
        weights: a ``.pt`` file as published, a Hugging Face folder, an https address, a Hugging Face id, or
            ``random``.
        device: ``cpu``, ``cuda``, ``cuda:1,3``, ``mps``, or ``auto``: the first of CUDA, MPS and CPU that is there. Of
            several CUDA devices the first; :meth:`Encoder.on` makes copies for the others.
        weights_key: which entry of a ``.pt`` file to take.
        weights_sha256: what the weights have to hash to; required for an address.
        weights_revision: a commit, 40 hexadecimal digits: ``weights`` is a Hugging Face id.
        dtype: of the features: ``fp16`` or ``fp32``.
        crop_size: height and width of what the model sees, pixels, a multiple of its patch.
        batch_size: the most clips that are computed at once.
        compiled: compile the model's blocks with torch.compile: a minute at the first clip, and then faster or not.
            Without effect on CUDA, where the encoder's own kernels are faster.

    Raises:
        ValueError: an argument is not one of these, the device is not there, or (as WeightsError) the weights cannot
            be used.
    """
    find(model).check(model, crop_size)
    _check_dtype(dtype)
    if not weights:
        raise ValueError("weights: none given; a .pt file, a Hugging Face folder, or random")
    target = choose_devices(device)[0]
    loaded, origin = load_model(model, str(weights), weights_key, weights_sha256, weights_revision)
    return Encoder(
        loaded, model, origin, target, dtype=dtype, crop_size=crop_size, batch_size=batch_size, compiled=compiled
    )


def encode_single_clip(encoder: Encoder, clip_folder: str | Path) -> Features:
    """Return the features of one clip's folder in one pass, (tokens, width); nothing is written.

    Raises:
        ClipError: a frame is missing, damaged, or unlike the others.
        EncodeError: the device could not compute it; OutOfMemoryError where its memory is too small.
    """
    frames = read_frames(Clip(Path(clip_folder)))
    if len(frames) % encoder.model.step:
        raise ClipError(f"rgb: {len(frames)} frames; the model takes {encoder.model.step} at a time")
    features = next(encoder.encode([encoder.prepare(frames)]))
    if isinstance(features, EncodeError):
        raise features
    return features


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"dtype: {dtype} is none of {', '.join(DTYPES)}")


def _most_at_once(device: torch.device, batch_size: int, *, compiled: bool) -> int:
    if device.type != "cpu":
        return batch_size
    # torch.compile compiles for the threads that it finds, and not in several of them at a time.
    return 1 if compiled else min(batch_size, torch.get_num_threads())
