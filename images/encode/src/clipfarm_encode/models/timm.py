"""timm's image encoders, frame by frame: ``timm:NAME`` with a name of timm's, as ``timm:vit_small_patch14_dinov2``.

The name may say which of timm's pretrained weights these are (``….lvd142m``): timm knows by it how the model's pictures
were normalised, and under which licence the weights are. The weights themselves are a file or a folder, as for every
model: ``model.safetensors`` as timm publishes it on Hugging Face, with or without its ``config.json``.

Tokens are those of patches; a class token and registers are left out. timm is imported here and nowhere else: it takes
seconds.
"""

import math
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from clipfarm_encode.models.base import OWN, Output, pooled
from clipfarm_encode.models.fitting import State, WeightsError, by_own_name, fit, short
from clipfarm_encode.models.lane import FullLane
from clipfarm_encode.models.preprocess import Preprocessing, Statistics
from clipfarm_encode.models.tensor_files import read_config, read_pickle, read_safetensors, safetensors_of
from clipfarm_encode.models.weights import RANDOM, RANDOM_SEED, Weights, hash_files, hash_tensors

try:
    import timm
except ImportError:
    timm = None  # type: ignore[assignment]

PREFIX = "timm:"
INITIAL_STD = 0.02


class Timm:
    """See :class:`~clipfarm_encode.models.base.Model`."""

    step = 1
    across_time = False

    def __init__(self, name: str, network: nn.Module) -> None:
        self._name = name
        self.network = FrameByFrame(network)
        """On the CPU, in float32."""
        blocks = _blocks(network)
        self.layers = len(blocks)
        self.width: int = blocks[-1]["num_chs"]
        self.patch: int = blocks[-1]["reduction"]

    def preprocessing(self, crop: int) -> Preprocessing:
        """As timm does it for evaluation."""
        return _preprocessing(self._name, crop)

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """See :class:`~clipfarm_encode.models.base.Model`."""
        for side, size in (("height", height), ("width", width)):
            if size < self.patch or size % self.patch:
                raise ValueError(f"{side}: {size} is not a multiple of {self.patch}")
        return frames, height // self.patch, width // self.patch

    def tokens(self, frames: int, height: int, width: int) -> int:
        """See :class:`~clipfarm_encode.models.base.Model`."""
        return math.prod(self.grid(frames, height, width))

    def flop(self, frames: int, height: int, width: int, output: Output = OWN) -> int:
        """See :class:`~clipfarm_encode.models.base.Model`; counted by PyTorch in a pass that computes nothing."""
        computed = frames if output.last is None else output.last
        return computed * _flop_of_a_frame(self._name, height, width, output.layers)

    def lane(self, device: torch.device, saved: torch.dtype, *, compiled: bool) -> FullLane:
        """In float32 everywhere; it is never compiled."""
        del compiled
        return FullLane(self.network, _statistics(self._name), device, saved)


class FrameByFrame(nn.Module):
    """(batch, frames, 3, height, width) normalised pixels in, (batch, frames * patches, width) out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._layers = len(_blocks(network))

    def outputs(self, video: Tensor, output: Output = OWN) -> tuple[Tensor, ...]:
        """Return what is asked for of a batch of videos, a tensor for each layer."""
        if output.last is not None:
            video = video[:, -output.last :]
        batch, frames = video.shape[:2]
        maps = self.network.forward_intermediates(  # type: ignore[operator]
            rearrange(video, "b f c h w -> (b f) c h w"),
            indices=[number - 1 for number in output.layers or (self._layers,)],
            norm=output.norm,
            stop_early=True,
            intermediates_only=True,
            output_fmt="NCHW",
        )
        tokens = (rearrange(each, "(b f) d h w -> b (f h w) d", b=batch) for each in maps)
        return tuple(pooled(each, frames, output) for each in tokens)

    def to(self, device: torch.device) -> Self:  # type: ignore[override]
        """Move the model, and return it."""
        return super().to(device)


def check(name: str, crop: int) -> None:
    """See :class:`~clipfarm_encode.models.base.Family`."""
    if timm is None:
        raise ValueError(f"model: {name} needs timm, which is not installed; pip install 'clipfarm-encode[timm]'")
    architecture = _own(name).partition(".")[0]
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=3)
        hint = f"; did you mean {PREFIX}{f', {PREFIX}'.join(near)}?" if near else ""
        raise ValueError(f"model: timm {timm.__version__} has no model {architecture}{hint}")
    try:
        config = _config(name)
    except RuntimeError as error:  # a tag that timm does not know
        raise ValueError(f"model: {name}: {error}") from None
    network = _blank(name)
    if not hasattr(network, "forward_intermediates"):
        raise ValueError(f"model: {name} cannot return its tokens (timm has no forward_intermediates for it)")
    patch, native = _blocks(network)[-1]["reduction"], config.input_size[-1]
    if crop <= 0 or crop % patch:
        own = f"the patch of {name}; its own size is {native}"
        raise ValueError(f"crop_size: {crop} is not a multiple of {patch}, {own}")
    try:
        _flop_of_a_frame(name, crop, crop, ())
    except (AssertionError, RuntimeError, ValueError):  # what its layers say of a size that they were not made for
        raise ValueError(f"crop_size: found {crop}, expected {native}, the size that {name} was made for") from None


def load(name: str, path: Path | None, key: str) -> tuple[Timm, Weights]:
    """See :class:`~clipfarm_encode.models.base.Family`; ``key`` is V-JEPA 2's alone."""
    del key
    with torch.random.fork_rng(devices=[]):  # what the caller draws at random stays as it is
        network = _create(name).eval().requires_grad_(False)
    expected = network.state_dict()
    if path is None:
        state = _random_state(expected)
        weights = Weights(RANDOM, hash_tensors(state), None)
    else:
        found, files = _read(name, path)
        classifier = _config(name).classifier or ()
        heads = tuple(f"{each}." for each in ([classifier] if isinstance(classifier, str) else classifier))
        found = {own: tensor for own, tensor in found.items() if own in expected or not own.startswith(heads)}
        counters = {own: tensor for own, tensor in expected.items() if not tensor.is_floating_point()}
        expected, found = ({own: each[own] for own in each.keys() - counters.keys()} for each in (expected, found))
        state = counters | fit(expected, found, by_own_name, str(path))
        source = path.resolve().name if path.is_dir() else path.name
        weights = Weights(source, hash_files(files), None, licence=_config(name).license)
    network.load_state_dict(state)
    return Timm(name, network), weights


def _read(name: str, path: Path) -> tuple[State, list[Path]]:
    """Return the tensors that a file or folder holds, and the files that they are in."""
    if path.is_dir():
        if (path / "config.json").exists():
            _check_config(path / "config.json", name)
        files = safetensors_of(path)
        return read_safetensors(files), files
    if path.suffix == ".safetensors":
        return read_safetensors([path]), [path]
    found = read_pickle(path)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: found {short(type(found).__name__)}, expected tensors by their names")
    return found, [path]


def _check_config(path: Path, name: str) -> None:
    """Compare a folder's own description with the model's name."""
    found, config = read_config(path), _config(name)
    if found.get("architecture") != config.architecture:
        raise WeightsError(
            f"{path}: architecture is {short(found.get('architecture'))}, expected {config.architecture!r}"
        )
    made = found.get("pretrained_cfg")
    tag = made.get("tag") if isinstance(made, dict) else None
    if tag and tag != config.tag:
        raise WeightsError(
            f"{path}: these are the weights {short(tag)}, expected {config.tag!r};"
            f" name the model {PREFIX}{config.architecture}.{tag}"
        )


def _own(name: str) -> str:
    return name.removeprefix(PREFIX)


def _config(name: str) -> Any:
    """Return what timm knows of a model's pretrained weights; of the first of them if the name has no tag."""
    return timm.models.get_pretrained_cfg(_own(name), allow_unregistered=False)


def _preprocessing(name: str, crop: int) -> Preprocessing:
    config = _config(name)
    return Preprocessing(
        crop,
        resize=math.floor(crop / config.crop_pct),
        interpolation="bilinear" if config.interpolation == "bilinear" else "bicubic",
        statistics=_statistics(name),
        squash=config.crop_mode == "squash",
        half_pixels="even",
    )


def _statistics(name: str) -> Statistics:
    config = _config(name)
    return Statistics(tuple(config.mean), tuple(config.std))


def _create(name: str) -> nn.Module:
    """Build a model without a classifier, for pictures of any size if it can take them; its weights are random."""
    size: dict[str, Any] = {"dynamic_img_size": True} if _takes_any_size(name) else {}
    return timm.create_model(_own(name), pretrained=False, num_classes=0, **size)


@lru_cache(maxsize=8)
def _takes_any_size(name: str) -> bool:
    """Tell whether a model of fixed positions can interpolate them; one built on convolutions needs no such option."""
    try:
        with torch.device("meta"):
            timm.create_model(_own(name), pretrained=False, num_classes=0, dynamic_img_size=True)
    except TypeError:
        return False
    return True


@lru_cache(maxsize=8)
def _blank(name: str) -> nn.Module:
    """Return a model without memory for its weights, for its shape."""
    with torch.device("meta"):
        return _create(name).eval()


def _blocks(network: nn.Module) -> list[dict[str, Any]]:
    info: Any = network.feature_info
    return list(info)


@lru_cache(maxsize=64)
def _flop_of_a_frame(name: str, height: int, width: int, layers: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter, torch.device("meta"), torch.inference_mode():
        FrameByFrame(_blank(name)).outputs(torch.empty(1, 1, 3, height, width), Output(layers))
    return int(counter.get_total_flops())


def _random_state(expected: State) -> State:
    """Return weights that no training has seen, the same for the same names and shapes."""
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    state = {}
    for name, tensor in expected.items():
        if not tensor.is_floating_point():
            state[name] = tensor
        elif name.endswith(("bias", "running_mean")):
            state[name] = torch.zeros(tensor.shape)
        elif tensor.ndim <= 1:
            state[name] = torch.ones(tensor.shape)
        else:
            state[name] = torch.empty(tensor.shape).normal_(std=INITIAL_STD, generator=generator)
    return state
