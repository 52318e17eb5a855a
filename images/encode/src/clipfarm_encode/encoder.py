"""A loaded model on a device: frames in, features out. One instance serves any number of calls."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clipfarm_contract.layout import Clip
from clipfarm_encode.clips import Frames, read_frames
from clipfarm_encode.features import Features, Recipe
from clipfarm_encode.preprocess import Preprocessing, normalise, resize_and_crop
from clipfarm_encode.vjepa2 import CONFIGS, VJEPA2Encoder
from clipfarm_encode.weights import DEFAULT_KEY, Weights, load_model

DTYPES = {"fp16": "float16", "fp32": "float32"}

# What allocators of GPU memory say. A message counts only in these words: "out of memory" alone is also said of the
# host's memory, which halving a batch on the GPU does not help.
_OUT_OF_MEMORY = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "HIP out of memory",
    "MPS backend out of memory",
)


class EncodeError(RuntimeError):
    """The device could not compute a clip's features; the message is one line."""


class OutOfMemoryError(EncodeError):
    """One clip alone does not fit into the device's memory."""


class Encoder:
    """A V-JEPA 2 encoder with its weights, ready on its device.

    Features of a clip do not depend on which other clips are in its batch, on the CPU to the last bit: there each
    clip is computed on its own, since matrix products of other sizes add up in another order, and a larger batch
    is hardly faster.
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
    ) -> None:
        self.model = model.to(device)
        self.name = name
        self.weights = weights
        self.device = device
        self.preprocessing = Preprocessing(crop_size)
        self._saved = np.dtype(DTYPES[dtype])
        self._half = _half_precision(device)

    @property
    def recipe(self) -> Recipe:
        """How this encoder makes features, for their sidecars."""
        return Recipe(
            model=self.name,
            weights=self.weights.to_json(),
            dtype=self._saved.name,
            preprocessing=self.preprocessing.to_json(),
            compute=str(self._half or torch.float32).removeprefix("torch."),
        )

    def prepare(self, frames: Frames) -> Tensor:
        """Return what :meth:`encode` takes: (frames, 3, crop, crop) uint8, of (frames, height, width, 3) uint8."""
        return resize_and_crop(torch.from_numpy(frames).permute(0, 3, 1, 2), self.preprocessing)

    def encode(self, clips: Sequence[Tensor]) -> Iterator[Features | EncodeError]:
        """Yield the features of each clip, in order, or why there are none.

        A batch that fails, for want of memory above all, is halved down to the one clip that it fails for.

        Args:
            clips: all of one shape, (frames, 3, crop, crop) uint8.

        Yields:
            (frames/2 * (crop/16)^2, width) of the encoder's dtype.
        """
        size = 1 if self.device.type == "cpu" else len(clips)
        for start in range(0, len(clips), size):
            yield from self._halving(clips[start : start + size])

    def _halving(self, clips: Sequence[Tensor]) -> Iterator[Features | EncodeError]:
        try:
            yield from self._compute(clips)
            return
        except (RuntimeError, MemoryError) as error:
            full, message = is_out_of_memory(error), (str(error) or type(error).__name__).splitlines()[0]
        # Below the handler, not in it: an exception keeps the failed computation's tensors for as long as it lives.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(clips) > 1:
            middle = len(clips) // 2
            yield from self._halving(clips[:middle])
            yield from self._halving(clips[middle:])
        elif full:
            yield OutOfMemoryError(f"GPU memory is too small for this clip alone ({message})")
        else:
            yield EncodeError(message)

    @torch.inference_mode()
    def _compute(self, clips: Sequence[Tensor]) -> list[Features]:
        video = normalise(torch.stack(list(clips)).to(self.device))
        with self._precision():
            features = self.model(video)
        array = features.to(torch.float32).cpu().numpy().astype(self._saved)
        return list(array)

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self._half) if self._half else nullcontext()


def get_encoder(
    model: str = "vjepa2_vitl16",
    weights: str | Path = "",
    device: str = "auto",
    *,
    weights_key: str = DEFAULT_KEY,
    dtype: str = "fp16",
    crop_size: int = 256,
) -> Encoder:
    """Load a model onto a device.

    Args:
        model: ``vjepa2_vitl16``, ``vjepa2_vith16``, ``vjepa2_vitg16``, or the small ``vjepa2_tiny16``.
        weights: a ``.pt`` file as published, a Hugging Face folder, or ``random``.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto``: the first of CUDA, MPS and CPU that is there.
        weights_key: which entry of a ``.pt`` file to take.
        dtype: of the features: ``fp16`` or ``fp32``.
        crop_size: height and width of what the model sees, pixels, a multiple of 16.

    Raises:
        ValueError: an argument is not one of these, the device is not there, or (as WeightsError) the weights cannot
            be used.
    """
    if model not in CONFIGS:
        raise ValueError(f"model: {model} is none of {', '.join(CONFIGS)}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype: {dtype} is none of {', '.join(DTYPES)}")
    if not weights:
        raise ValueError("weights: none given; a .pt file, a Hugging Face folder, or random")
    if crop_size <= 0 or crop_size % CONFIGS[model].patch:
        raise ValueError(f"crop_size: {crop_size} is not a multiple of {CONFIGS[model].patch}")
    target = choose_device(device)
    loaded, origin = load_model(model, str(weights), weights_key)
    return Encoder(loaded, model, origin, target, dtype=dtype, crop_size=crop_size)


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


def choose_device(name: str) -> torch.device:
    """Return a device by name; ``auto`` is the first of CUDA, MPS and CPU that is there.

    Raises:
        ValueError: the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, is_there in there.items() if is_there)
    if not there.get(name):
        raise ValueError(f"device: {name} is not there; this machine has {', '.join(n for n in there if there[n])}")
    return torch.device(name)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that the device's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def _half_precision(device: torch.device) -> torch.dtype | None:
    """Return the type that matrix products are computed in where that is not float32.

    Weights, normalisation and the residual stream stay in float32 (autocast), so little is lost to rounding.
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
