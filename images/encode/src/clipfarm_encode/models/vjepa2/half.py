"""V-JEPA 2's encoder in half precision for CUDA: :mod:`~clipfarm_encode.models.vjepa2.network`, laid out for speed.

Matrix products and attention are PyTorch's. What is between them costs as much time again when each step reads and
writes the device's memory in float32, so here it is little:

- The residual stream is in half precision, and the products that end in it add to it as they write (beta = 1).
- Their biases are not added to it: what they add up to by each norm, :attr:`HalfModel.shifts`, is added there.
- A norm's weight and bias are in the weights of the layer that it feeds.
- So is the normalisation of the pixels, which go in as whole numbers.

Norms, rotary positions, GELU and all sums are computed in float32.

A batch of a shape and size that came before is launched as one CUDA graph. Operation by operation it takes Python 9 ms,
and ten times that while its other threads decode and save: longer than a GPU needs for a small batch.
"""

import math
from dataclasses import dataclass, fields

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from clipfarm_encode.models.base import OWN, Output, last_steps, pooled
from clipfarm_encode.models.preprocess import IMAGENET
from clipfarm_encode.models.vjepa2.network import LAYER_NORM_EPS, Block, Config, VJEPA2Encoder
from clipfarm_encode.models.vjepa2.operations import Operations, checked


@dataclass(frozen=True, slots=True)
class HalfBlock:
    """The matrices of a block, (outputs, inputs) each, and two biases."""

    qkv: Tensor
    qk_bias: Tensor
    """Of queries and keys, (2 * width,) float32. Values need none: attention hands a bias on as it is."""
    proj: Tensor
    fc1: Tensor
    fc1_bias: Tensor
    fc2: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> "HalfBlock":
        """Return the block on another device or in another precision."""
        halves = {field.name: getattr(self, field.name).to(device, dtype) for field in fields(self)}
        return HalfBlock(**(halves | {"qk_bias": self.qk_bias.to(device)}))


class HalfModel:
    """(batch, frames, 3, height, width) uint8 pixels in, features and whether they overflowed out."""

    def __init__(
        self,
        config: Config,
        operations: Operations,
        patch: Tensor,
        blocks: list[HalfBlock],
        shifts: Tensor,
        norms: dict[int, tuple[Tensor, Tensor]],
    ) -> None:
        """See :func:`halved`.

        Args:
            config: the model's shape.
            operations: of the precision of ``patch`` and ``blocks``.
            patch: the first layer's matrix, (width, 1536), for pixels as :meth:`Operations.tubelets` returns them.
            blocks: from the first to the last.
            shifts: (2 * blocks + 1, width) float32: before each norm, the biases that the stream is without.
            norms: weight and bias of the last norm after a block, (width,) float32 each, by the block's number.
        """
        self.config = config
        self.dtype = patch.dtype
        self._operations = operations
        self._patch = patch
        self._blocks = blocks
        self._shifts = shifts
        self._norms = norms

    @torch.inference_mode()
    def to(self, device: torch.device, dtype: torch.dtype, operations: Operations) -> "HalfModel":
        """Return the model on another device or in another precision, with the operations for that."""
        return HalfModel(
            self.config,
            operations,
            self._patch.to(device, dtype),
            [block.to(device, dtype) for block in self._blocks],
            self._shifts.to(device),
            {number: (weight.to(device), bias.to(device)) for number, (weight, bias) in self._norms.items()},
        )

    def __call__(self, video: Tensor, output: Output = OWN) -> tuple[tuple[Tensor, ...], Tensor]:
        """Encode a batch.

        Returns:
            For each layer that is asked for, (batch, tokens, width) features as they are saved; and (batch,) int32: 1
            where a clip's are not finite.
        """
        batch = len(video)
        steps = self._steps(video)
        cos, sin = self.tables(video)
        do = self._operations
        layers = output.layers or (len(self._blocks),)
        found = []
        x = functional.linear(do.tubelets(video), self._patch)
        for number, block in enumerate(self._blocks[: layers[-1]], 1):
            before, between = self._shifts[2 * number - 2], self._shifts[2 * number - 1]
            qkv = functional.linear(do.norm(x, before), block.qkv)
            do.rope(qkv, block.qk_bias, cos, sin)
            x.addmm_(self._attended(qkv, batch), block.proj.t())
            x.addmm_(do.hidden(do.norm(x, between), block.fc1, block.fc1_bias), block.fc2.t())
            if number in layers:
                found.append(self._finished(x, number, batch, steps, output))
        features, overflowed = zip(*found, strict=True)
        return features, torch.stack(overflowed).amax(dim=0) if len(overflowed) > 1 else overflowed[0]

    def _finished(self, x: Tensor, block: int, batch: int, steps: int, output: Output) -> tuple[Tensor, Tensor]:
        """Return a block's output, (batch, tokens, width) as it is saved, and where it is not finite."""
        shift, norm = self._shifts[2 * block], self._norms[block]
        tokens = last_steps(x.view(batch, -1, self.config.width), steps, output)
        if output.norm and output.pool == "none":
            return self._operations.last_norm(tokens.reshape(-1, self.config.width), shift, *norm, batch)
        stream = tokens + shift  # float32
        if output.norm:
            stream = functional.layer_norm(stream, shift.shape, *norm, LAYER_NORM_EPS)
        return checked(pooled(stream, steps, output), self._operations.saved)

    def _steps(self, video: Tensor) -> int:
        _, frames, _, height, width = video.shape
        return self.config.grid(frames, height, width)[0]

    def tables(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosines and sines of a video's tokens, (tokens, head_dim) float32 each."""
        _, frames, _, height, width = video.shape
        return self.config.rope(self.config.grid(frames, height, width), video.device)

    def _attended(self, qkv: Tensor, batch: int) -> Tensor:
        pattern = "(b n) (three h d) -> three b h n d"
        q, k, v = rearrange(qkv, pattern, b=batch, three=3, h=self.config.heads)
        return rearrange(functional.scaled_dot_product_attention(q, k, v), "b h n d -> (b n) (h d)")


@torch.inference_mode()
def halved(model: VJEPA2Encoder, dtype: torch.dtype, device: torch.device, operations: Operations) -> HalfModel:
    """Return a model in half precision on a device; the one that it comes from stays as and where it is."""
    proj = model.patch_embed.proj
    pixels = 2 * 16 * 16  # of a tubelet and colour
    mean, std = (torch.tensor(each, device=device).mul(255).repeat_interleave(pixels) for each in IMAGENET)
    weight = proj.weight.to(device) / std
    shifts = [proj.bias.to(device) + weight @ (128 - mean)]
    if model.config.levels:
        shifts[0] = shifts[0] + model.video_mod_embed[0, 0].to(device)
    blocks = []
    for block in model.blocks:
        assert isinstance(block, Block)
        half, added = _halved(block, dtype, device)
        blocks.append(half)
        shifts.append(shifts[-1] + added)
        shifts.append(shifts[-1] + block.mlp.fc2.bias.to(device))
    norms = {
        number: (norm.weight.to(device), norm.bias.to(device))
        for number in range(1, len(blocks) + 1)
        for norm in (model.norm_after(number),)
    }
    return HalfModel(model.config, operations, (weight * 64).to(dtype), blocks, torch.stack(shifts), norms)


def _halved(block: Block, dtype: torch.dtype, device: torch.device) -> tuple[HalfBlock, Tensor]:
    """Return a block, and what its attention adds to the stream beside what the block's matrices do, (width,)."""
    qkv, qkv_bias = _after(block.norm1, block.attn.qkv, device)
    fc1, fc1_bias = _after(block.norm2, block.mlp.fc1, device)
    proj, fc2 = block.attn.proj.weight.to(device), block.mlp.fc2.weight.to(device)
    qk_bias, v_bias = qkv_bias.tensor_split([2 * len(proj)])
    halves = (each.to(dtype) for each in (proj, fc1, fc1_bias, fc2))
    return HalfBlock(qkv.to(dtype), qk_bias, *halves), proj @ v_bias + block.attn.proj.bias.to(device)


def _after(norm: nn.LayerNorm, linear: nn.Linear, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a layer's weight and bias with those of the norm before it in them, float32."""
    weight = linear.weight.to(device)
    return weight * norm.weight.to(device), linear.bias.to(device) + weight @ norm.bias.to(device)


def representable(model: VJEPA2Encoder, dtype: torch.dtype) -> bool:
    """Tell whether all weights are within the range of a precision."""
    largest = max(parameter.abs().max().item() for parameter in model.parameters())
    return math.isfinite(largest) and largest <= torch.finfo(dtype).max
