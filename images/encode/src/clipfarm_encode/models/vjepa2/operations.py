"""The steps of the model in half precision that are neither matrix products nor attention, done in two ways.

:class:`Fused` has a kernel for each; :class:`Plain` is PyTorch, for where the kernels cannot be had, and what they are
compared with.
"""

from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from clipfarm_encode.models.vjepa2.network import LAYER_NORM_EPS
from clipfarm_encode.models.vjepa2.rope import rotate

LANES = 32
"""Threads of a warp, which does a row of a norm."""
HEADS_OF_A_THREAD = 4


class Operations(Protocol):
    """All take and return tensors of the model's half precision, unless said otherwise."""

    saved: torch.dtype
    """Type of the features."""

    def tubelets(self, video: Tensor) -> Tensor:
        """(batch, frames, 3, height, width) uint8 to (batch * tokens, 1536), a pixel v as (v - 128) / 64."""
        ...

    def norm(self, x: Tensor, shift: Tensor) -> Tensor:
        """Return x + shift with mean 0 and variance 1 in each row; x is (rows, width), shift (width,) float32."""
        ...

    def rope(self, qkv: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> None:
        """Add their biases to queries and keys and turn them by their positions, in place.

        Args:
            qkv: (batch * tokens, 3 * width).
            bias: (2 * width,) float32.
            cos: (tokens, head_dim) float32.
            sin: the same.
        """
        ...

    def hidden(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the GELU of a layer's output."""
        ...

    def last_norm(self, x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return features, (batch, tokens, width) as they are saved, and (batch,) int32: 1 where one is not finite.

        Args:
            x: (batch * tokens, width), contiguous.
            shift: (width,) float32, added to it before the norm.
            weight: the norm's, (width,) float32.
            bias: the same.
            batch: number of clips.
        """
        ...


class Launch(Protocol):
    """Starts one of the kernels: :meth:`clipfarm_encode.models.vjepa2.kernels.Kernels.launch`."""

    def __call__(self, name: str, threads: int, *arguments: Tensor | int) -> None:
        """See there."""
        ...


def checked(features: Tensor, saved: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return (batch, tokens, width) as it is saved, and (batch,) int32: 1 where a value is not finite."""
    return features.to(saved), (~features.isfinite().all(dim=(1, 2))).int()


class Plain:
    """With PyTorch's own operators."""

    def __init__(self, dtype: torch.dtype, saved: torch.dtype) -> None:
        self._dtype = dtype
        self.saved = saved

    def tubelets(self, video: Tensor) -> Tensor:
        """See :meth:`Operations.tubelets`."""
        lines = rearrange(video, "b (t u) c (h p) (w q) -> (b t h w) (c u p q)", u=2, p=16, q=16)
        return lines.to(self._dtype).sub_(128).div_(64)

    def norm(self, x: Tensor, shift: Tensor) -> Tensor:
        """See :meth:`Operations.norm`."""
        return functional.layer_norm(x + shift, shift.shape, eps=LAYER_NORM_EPS).to(self._dtype)

    def rope(self, qkv: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> None:
        """See :meth:`Operations.rope`."""
        tokens, dim = cos.shape
        both = qkv[:, : bias.numel()]
        heads = (both + bias).view(-1, tokens, bias.numel() // dim, dim)
        turned = rotate(heads.transpose(1, 2), cos, sin)
        both.copy_(turned.transpose(1, 2).reshape(both.shape))

    def hidden(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See :meth:`Operations.hidden`."""
        return functional.gelu(functional.linear(x, weight, bias))

    def last_norm(self, x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """See :meth:`Operations.last_norm`."""
        normed = functional.layer_norm(x + shift, shift.shape, weight, bias, LAYER_NORM_EPS)
        return checked(normed.view(batch, -1, shift.numel()), self.saved)


class Fused:
    """With the project's own kernels."""

    def __init__(self, launch: Launch, dtype: torch.dtype, saved: torch.dtype) -> None:
        self._launch = launch
        self._dtype = dtype
        self.saved = saved

    def tubelets(self, video: Tensor) -> Tensor:
        """See :meth:`Operations.tubelets`."""
        *_, height, width = video.shape
        video = video.contiguous()
        lines = video.numel() // 16
        out = torch.empty((lines // 96, 96 * 16), dtype=self._dtype, device=video.device)
        self._launch("tubelets", lines, video, out, lines, height, width)
        return out

    def norm(self, x: Tensor, shift: Tensor) -> Tensor:
        """See :meth:`Operations.norm`."""
        out = torch.empty_like(x)
        self._launch("layer_norm", len(x) * LANES, x, shift, out, len(x))
        return out

    def rope(self, qkv: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> None:
        """See :meth:`Operations.rope`."""
        tokens, dim = cos.shape
        threads = len(qkv) * (dim // 8) * -(-bias.numel() // dim // HEADS_OF_A_THREAD)
        self._launch("rope", threads, qkv, bias, cos, sin, len(qkv), tokens, dim)

    def hidden(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See :meth:`Operations.hidden`."""
        # In the matrix product's last step, where cuBLAS has GELU by its tanh. That is off by 5e-4 at most, and moves
        # the features by a twentieth of what float16 does.
        return torch._addmm_activation(bias, x, weight.t(), use_gelu=True)

    def last_norm(self, x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """See :meth:`Operations.last_norm`."""
        tokens = len(x) // batch
        features = torch.empty((batch, tokens, shift.numel()), dtype=self.saved, device=x.device)
        overflowed = torch.zeros(batch, dtype=torch.int32, device=x.device)
        arguments = (x, shift, weight, bias, features, overflowed, len(x), tokens)
        self._launch("last_layer_norm", len(x) * LANES, *arguments)
        return features, overflowed
