"""V-JEPA 2's encoder: a vision transformer over tubelets of video, with rotary positions in time, height and width.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning" (2025),
https://arxiv.org/abs/2506.09985. Parameters carry the names of the published checkpoints
(https://github.com/facebookresearch/vjepa2), so that those load without a table of names.

V-JEPA 2.1 (Mur-Labadia et al., 2026, https://arxiv.org/abs/2603.14482) is the same network with four differences, each
of which :class:`Config` names: rotary frequencies, positions, an embedding that says that this is a video, and norms of
their own for several layers.

A video of (frames, 3, height, width) is cut into tubelets of 2 x 16 x 16 pixels; each becomes one token. The tokens
come out in order of time, then row, then column, whatever number of frames and whatever size goes in.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from clipfarm_encode.models.base import OWN, Output, last_steps, pooled
from clipfarm_encode.models.vjepa2.rope import rope_tables, rotate

LAYER_NORM_EPS = 1e-6
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
    paired: bool = False
    """Whether the two dimensions of a rotary pair share a frequency, as in V-JEPA 2.1."""
    rows: int | None = None
    """Rows and columns of the grid that the model was trained with. The positions of any other grid are stretched or
    squeezed to it, as in V-JEPA 2.1; None: each row and column is a step of one."""
    levels: tuple[int, ...] = ()
    """Blocks with a last norm of their own, counted from 1, as in V-JEPA 2.1; empty: there is one last norm. A model
    with levels also has an embedding that is added to each token of a video."""
    average: str = "target_encoder"
    """What files of the release call the encoder that is the moving average of the training."""

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

    def rope(self, grid: tuple[int, int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the cosines and sines of a grid's positions; see :func:`rope_tables`."""
        return rope_tables(grid, self.head_dim, device, paired=self.paired, rows=self.rows)

    def flop(self, frames: int, height: int, width: int) -> int:
        """Return the floating-point operations of the matrix products for a video, the rest being small."""
        tokens = self.tokens(frames, height, width)
        patch = 3 * self.tubelet * self.patch**2 * self.width
        block = 4 * self.width**2 + 2 * self.width * self.mlp_width + 2 * tokens * self.width
        return 2 * tokens * (patch + self.layers * block)


def _config_2_1(
    width: int, levels: tuple[int, ...], heads: int, mlp_ratio: float = 4.0, average: str = "target_encoder"
) -> Config:
    # Trained with 256 pixels first, which is 16 rows, and at last with 384: positions are those of the first.
    return Config(width, levels[-1], heads, mlp_ratio, paired=True, rows=16, levels=levels, average=average)


# ViT-L, -H and -g as published; the giant's MLP is 6144 wide.
CONFIGS = {
    "vjepa2_vitl16": Config(width=1024, layers=24, heads=16),
    "vjepa2_vith16": Config(width=1280, layers=32, heads=16),
    "vjepa2_vitg16": Config(width=1408, layers=40, heads=22, mlp_ratio=48 / 11),
    # No weights are published for this one: it is for trying things out on a small machine.
    "vjepa2_tiny16": Config(width=192, layers=4, heads=3),
    # V-JEPA 2.1's B and L are distilled from its gigantic model, whose MLP is 8192 wide.
    "vjepa2_1_vitb16": _config_2_1(width=768, levels=(3, 6, 9, 12), heads=12, average="ema_encoder"),
    "vjepa2_1_vitl16": _config_2_1(width=1024, levels=(6, 12, 18, 24), heads=16, average="ema_encoder"),
    "vjepa2_1_vitg16": _config_2_1(width=1408, levels=(10, 20, 30, 40), heads=22, mlp_ratio=48 / 11),
    "vjepa2_1_vitgigantic16": _config_2_1(width=1664, levels=(12, 24, 38, 48), heads=26, mlp_ratio=64 / 13),
    "vjepa2_1_tiny16": _config_2_1(width=192, levels=(1, 2, 3, 4), heads=3),
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
        if config.levels:
            self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, config.width))
            self.norms_block = nn.ModuleList(nn.LayerNorm(config.width, eps=LAYER_NORM_EPS) for _ in config.levels)
        else:
            self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def norm_after(self, block: int) -> nn.LayerNorm:
        """Return the last norm of a block's output: the block's own if it has one, or the model's."""
        if not self.config.levels:
            return self.norm
        levels = self.config.levels
        norm = self.norms_block[levels.index(block) if block in levels else -1]
        assert isinstance(norm, nn.LayerNorm)
        return norm

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
        cos, sin = self.config.rope(grid, video.device)
        layers = output.layers or (self.config.layers,)
        found = []
        x = self.patch_embed(video)
        if self.config.levels:
            x = x + self.video_mod_embed
        for number in range(1, layers[-1] + 1):
            x = self.blocks[number - 1](x, cos, sin)
            if number in layers:
                tokens = last_steps(x, grid[0], output)
                found.append(pooled(self.norm_after(number)(tokens) if output.norm else tokens, grid[0], output))
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
