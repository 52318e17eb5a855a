"""A loaded model on a device: frames in, features out. One instance serves any number of calls."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clipfarm_contract.layout import Clip
from clipfarm_encode.files.clips import Frames, read_frames
from clipfarm_encode.files.features import Features, Recipe
from clipfarm_encode.models.base import OWN, Output
from clipfarm_encode.models.device import choose_devices, free_memory, saved_dtype
from clipfarm_encode.models.lane import Computed, FullLane, Lane
from clipfarm_encode.models.memory import BatchSizes, is_out_of_memory
from clipfarm_encode.models.preprocess import Preprocessing, resize_and_crop
from clipfarm_encode.models.vjepa2.half_lane import HalfLane, half_lane
from clipfarm_encode.models.vjepa2.network import CONFIGS, VJEPA2Encoder
from clipfarm_encode.models.vjepa2.packed import pack
from clipfarm_encode.models.weights import DEFAULT_KEY, Weights, load_model

DTYPES = {"fp16": "float16", "fp32": "float32"}


class EncodeError(RuntimeError):
    """The device could not compute a clip's features; the message is one line."""


class OutOfMemoryError(EncodeError):
    """One clip alone does not fit into the device's memory; the message names the sizes."""


class Encoder:
    """A V-JEPA 2 encoder with its weights, ready on its device.

    Features of a clip do not depend on which other clips are in its batch, on the CPU to the last bit: there each
    clip is computed on its own, since matrix products of other sizes add up in another order. More clips at a time
    than threads would bring nothing there.
    """

    def __init__(
        self,
        model: VJEPA2Encoder,
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
        self.config = model.config
        self.preprocessing = Preprocessing(crop_size)
        self._most = _most_at_once(device, batch_size, compiled=compiled)
        self.sizes = BatchSizes(self._most)
        self._saved = np.dtype(DTYPES[dtype])
        self._lane = _lane(model, device, saved_dtype(self._saved.name), compiled=compiled)

    @property
    def recipe(self) -> Recipe:
        """How this encoder makes features, for their sidecars."""
        return Recipe(
            model=self.name,
            weights=self.weights.to_json(),
            dtype=self._saved.name,
            preprocessing=self.preprocessing.to_json(),
            compute=self._lane.compute,
        )

    @property
    def note(self) -> str | None:
        """What is worth knowing of this encoder before its first clip, in a line."""
        return self._lane.note if isinstance(self._lane, HalfLane) else None

    def on(self, device: torch.device) -> "Encoder":
        """Return an encoder with a copy of this one's model on another CUDA device."""
        assert isinstance(self._lane, HalfLane), "only of CUDA devices there is more than one"
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
            _check_crop(self.name, crop_size)
            other.preprocessing = Preprocessing(crop_size)
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
            (frames/2 * (crop/16)^2, width) of the encoder's dtype.
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
        tokens = np.prod(self.config.grid(frames, height, width))
        free = free_memory(self.device)
        return OutOfMemoryError(
            f"GPU memory is too small for one clip of {frames} frames at {width} x {height} pixels ({tokens} tokens"
            + (f"; {free}" if free else "")
            + f"): {message}"
        )

    def give_back(self) -> None:
        """Give memory that is cached for the next batch back to the device, for other programs."""
        if isinstance(self._lane, HalfLane):
            self._lane.forget()
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


class Batch:
    """Clips under way on a device.

    One that fails, for want of memory above all, is computed again in halves, down to the one clip that it fails for.
    """

    def __init__(self, encoder: Encoder, clips: Sequence[Tensor], lane: Lane, output: Output) -> None:
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
        model: ``vjepa2_vitl16``, ``vjepa2_vith16``, ``vjepa2_vitg16``, or the small ``vjepa2_tiny16``.
        weights: a ``.pt`` file as published, a Hugging Face folder, an https address, a Hugging Face id, or
            ``random``.
        device: ``cpu``, ``cuda``, ``cuda:1,3``, ``mps``, or ``auto``: the first of CUDA, MPS and CPU that is there. Of
            several CUDA devices the first; :meth:`Encoder.on` makes copies for the others.
        weights_key: which entry of a ``.pt`` file to take.
        weights_sha256: what the weights have to hash to; required for an address.
        weights_revision: a commit, 40 hexadecimal digits: ``weights`` is a Hugging Face id.
        dtype: of the features: ``fp16`` or ``fp32``.
        crop_size: height and width of what the model sees, pixels, a multiple of 16.
        batch_size: the most clips that are computed at once.
        compiled: compile the model's blocks with torch.compile: a minute at the first clip, and then faster or not.
            Without effect on CUDA, where the encoder's own kernels are faster.

    Raises:
        ValueError: an argument is not one of these, the device is not there, or (as WeightsError) the weights cannot
            be used.
    """
    if model not in CONFIGS:
        raise ValueError(f"model: {model} is none of {', '.join(CONFIGS)}")
    _check_dtype(dtype)
    if not weights:
        raise ValueError("weights: none given; a .pt file, a Hugging Face folder, or random")
    _check_crop(model, crop_size)
    target = choose_devices(device)[0]
    loaded, origin = load_model(model, str(weights), weights_key, weights_sha256, weights_revision)
    return Encoder(
        loaded, model, origin, target, dtype=dtype, crop_size=crop_size, batch_size=batch_size, compiled=compiled
    )


def encode_single_clip(encoder: Encoder, clip_folder: str | Path) -> Features:
    """Return the features of one clip's folder, (frames/2 * (crop/16)^2, width); nothing is written.

    Raises:
        ClipError: a frame is missing, damaged, or unlike the others.
        EncodeError: the device could not compute it; OutOfMemoryError where its memory is too small.
    """
    frames = read_frames(Clip(Path(clip_folder)))
    features = next(encoder.encode([encoder.prepare(frames)]))
    if isinstance(features, EncodeError):
        raise features
    return features


def _lane(model: VJEPA2Encoder, device: torch.device, saved: torch.dtype, *, compiled: bool) -> Lane:
    if device.type == "cuda":
        return half_lane(model, device, saved)
    model = model.to(device)
    if compiled:
        for block in model.blocks:  # all alike: what is compiled for one serves them all
            block.compile()
    elif device.type == "cpu":
        pack(model)
    return FullLane(model, device, saved)


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"dtype: {dtype} is none of {', '.join(DTYPES)}")


def _check_crop(model: str, crop_size: int) -> None:
    if crop_size <= 0 or crop_size % CONFIGS[model].patch:
        raise ValueError(f"crop_size: {crop_size} is not a multiple of {CONFIGS[model].patch}")


def _most_at_once(device: torch.device, batch_size: int, *, compiled: bool) -> int:
    if device.type != "cpu":
        return batch_size
    # torch.compile compiles for the threads that it finds, and not in several of them at a time.
    return 1 if compiled else min(batch_size, torch.get_num_threads())


def _problem(error: Exception) -> tuple[bool, str]:
    """Return whether memory was short, and the first line of what the device said."""
    return is_out_of_memory(error), (str(error) or type(error).__name__).splitlines()[0]
