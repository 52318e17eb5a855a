"""V-JEPA 2's encoder: a vision transformer over tubelets of video, with rotary positions in time, height and width.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning" (2025),
https://arxiv.org/abs/2506.09985. Parameters carry the names of the published checkpoints
(https://github.com/facebookresearch/vjepa2), so that those load without a table of names.

A video of (frames, 3, height, width) is cut into tubelets of 2 x 16 x 16 pixels; each becomes one token. The tokens
come out in order of time, then row, then column, whatever number of frames and whatever size goes in.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from clipfarm_encode.models.base import OWN, Output, last_steps, pooled

LAYER_NORM_EPS = 1e-6
ROPE_BASE = 10_000.0
INITIAL_STD = 0.02


@dataclass(frozen=True, slots=True)
class Config:
    """The shape of one model of the family."""

    width: int
    """Length of a token."""
    layers: int
    heads: int
    mlp_ratio: float = 4.0
    """Width of the hidden layer of each block's MLP, in units of ``width``."""
    patch: int = 16
    """Height and width of a tubelet, pixels."""
    tubelet: int = 2
    """Frames of a tubelet."""

    @property
    def head_dim(self) -> int:
        """Length of a query."""
        return self.width // self.heads

    @property
    def mlp_width(self) -> int:
        """Width of the hidden layer of each block's MLP."""
        return int(self.width * self.mlp_ratio)

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return how many tubelets a video has along time, height and width.

        Raises:
            ValueError: the video cannot be cut into whole tubelets.
        """
        for name, size, unit in (
            ("frames", frames, self.tubelet),
            ("height", height, self.patch),
            ("width", width, self.patch),
        ):
            if size < unit or size % unit:
                raise ValueError(f"{name}: {size} is not a multiple of {unit}")
        return frames // self.tubelet, height // self.patch, width // self.patch

    def tokens(self, frames: int, height: int, width: int) -> int:
        """Return the number of tokens of a video."""
        return math.prod(self.grid(frames, height, width))

    def flop(self, frames: int, height: int, width: int) -> int:
        """Return the floating-point operations of the matrix products for a video, the rest being small."""
        tokens = self.tokens(frames, height, width)
        patch = 3 * self.tubelet * self.patch**2 * self.width
        block = 4 * self.width**2 + 2 * self.width * self.mlp_width + 2 * tokens * self.width
        return 2 * tokens * (patch + self.layers * block)


# ViT-L, -H and -g as published; the giant's MLP is 6144 wide.
CONFIGS = {
    "vjepa2_vitl16": Config(width=1024, layers=24, heads=16),
    "vjepa2_vith16": Config(width=1280, layers=32, heads=16),
    "vjepa2_vitg16": Config(width=1408, layers=40, heads=22, mlp_ratio=48 / 11),
    # No weights are published for this one: it is for trying things out on a small machine.
    "vjepa2_tiny16": Config(width=192, layers=4, heads=3),
}


class VJEPA2Encoder(nn.Module):
    """(batch, frames, 3, height, width) normalised pixels in, (batch, tokens, width) features out.

    The number of tokens is frames/2 * height/16 * width/16.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def forward(self, video: Tensor) -> Tensor:
        """Encode a batch of videos; see :meth:`outputs`."""
        return self.outputs(video)[0]

    def outputs(self, video: Tensor, output: Output = OWN) -> tuple[Tensor, ...]:
        """Return what is asked for of a batch of videos, a tensor for each layer.

        Raises:
            ValueError: the frames or the size cannot be cut into whole tubelets.
        """
        _, frames, _, height, width = video.shape
        grid = self.config.grid(frames, height, width)
        cos, sin = rope_tables(grid, self.config.head_dim, video.device)
        layers = output.layers or (self.config.layers,)
        found = []
        x = self.patch_embed(video)
        for number in range(1, layers[-1] + 1):
            x = self.blocks[number - 1](x, cos, sin)
            if number in layers:
                tokens = last_steps(x, grid[0], output)
                found.append(pooled(self.norm(tokens) if output.norm else tokens, grid[0], output))
        return tuple(found)


class PatchEmbed(nn.Module):
    """Tubelets to tokens.

    The published weights belong to a Conv3d whose stride is its kernel. That is one matrix product over flattened
    tubelets, and as such has no slow path in bfloat16 (https://github.com/pytorch/pytorch/issues/166643).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.patch, self.tubelet = config.patch, config.tubelet
        self.proj = nn.Linear(3 * config.tubelet * config.patch**2, config.width)

    def forward(self, video: Tensor) -> Tensor:
        """(batch, frames, 3, height, width) to (batch, tokens, width)."""
        tubelets = rearrange(
            video, "b (t u) c (h p) (w q) -> b (t h w) (c u p q)", u=self.tubelet, p=self.patch, q=self.patch
        )
        tokens: Tensor = self.proj(tubelets)
        return tokens


class Block(nn.Module):
    """Attention and MLP, each on normalised input and added to the stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        x = x + self.attn(self.norm1(x), cos, sin)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Attention(nn.Module):
    """Every token attends to every token; queries and keys are turned by their positions first."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(rearrange(attended, "b h n d -> b n (h d)"))
        return out


class Mlp(nn.Module):
    """Two matrices with a GELU between them, each token on its own."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp_width)
        self.fc2 = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of each vector of ``x``, (batch, heads, tokens, head_dim).

    The product is taken in float32 and handed back in the type of ``x``: queries, keys and values have to agree.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack((-odd, even), dim=-1).flatten(-2)
    return (x * cos + turned * sin).to(x.dtype)


@lru_cache(maxsize=8)
def rope_tables(grid: tuple[int, int, int], head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines of all positions, each (tokens, head_dim) float32.

    Each axis (time, height, width) turns the same even number of dimensions, as near to a third of the head as it
    goes; what is left is not turned: 20 + 20 + 20 and 4 of 64. The angles are computed on the CPU in float32
    whatever the weights' type and wherever the model runs: in half precision a position of 15 is off by up to
    1/16 rad.
    """
    per_axis = head_dim // 3 // 2 * 2
    frequencies = ROPE_BASE ** -(torch.arange(per_axis // 2, dtype=torch.float32) / (per_axis / 2))
    # The published model gives the dimensions of a pair different frequencies: the list is repeated as a whole, not
    # entry by entry. Its weights have learnt with that, so it has to stay.
    frequencies = frequencies.repeat(2)
    positions = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float32) for n in grid))
    angles = torch.zeros(len(positions), head_dim)
    angles[:, : 3 * per_axis] = (positions[:, :, None] * frequencies).flatten(1)
    return angles.cos().to(device), angles.sin().to(device)


def random_state(config: Config, seed: int) -> dict[str, Tensor]:
    """Return weights that no training has seen, the same for the same seed.

    Matrices are normal with standard deviation 0.02 and biases zero, as before a training.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = VJEPA2Encoder(config).state_dict()
    state = {}
    for name, tensor in shapes.items():
        if name.endswith("bias"):
            state[name] = torch.zeros(tensor.shape)
        elif tensor.ndim == 1:
            state[name] = torch.ones(tensor.shape)
        else:
            state[name] = torch.empty(tensor.shape).normal_(std=INITIAL_STD, generator=generator)
    return state
