"""V-JEPA 2 as the encoder knows it: its numbers, how it sees pictures, and its lanes."""

from dataclasses import replace

import torch

from clipfarm_encode.models.base import OWN, Lane, Output
from clipfarm_encode.models.lane import FullLane
from clipfarm_encode.models.preprocess import IMAGENET, Preprocessing
from clipfarm_encode.models.vjepa2.half_lane import half_lane
from clipfarm_encode.models.vjepa2.network import VJEPA2Encoder
from clipfarm_encode.models.vjepa2.packed import pack


class VJEPA2:
    """See :class:`~clipfarm_encode.models.base.Model`."""

    across_time = True

    def __init__(self, network: VJEPA2Encoder) -> None:
        self.network = network
        """On the CPU, in float32."""
        self.config = network.config
        self.step = self.config.tubelet
        self.patch = self.config.patch
        self.width = self.config.width
        self.layers = self.config.layers

    def preprocessing(self, crop: int) -> Preprocessing:
        """As the publisher does it: short side to 256/224 of the crop, bilinear; ImageNet's mean and deviation.

        Of a clip that is as large as the crop this cuts 6 % from each side.
        """
        return Preprocessing(crop, resize=crop * 256 // 224, interpolation="bilinear", statistics=IMAGENET)

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """See :meth:`clipfarm_encode.models.vjepa2.network.Config.grid`."""
        return self.config.grid(frames, height, width)

    def tokens(self, frames: int, height: int, width: int) -> int:
        """See :class:`~clipfarm_encode.models.base.Model`."""
        return self.config.tokens(frames, height, width)

    def flop(self, frames: int, height: int, width: int, output: Output = OWN) -> int:
        """See :meth:`clipfarm_encode.models.vjepa2.network.Config.flop`."""
        computed = replace(self.config, layers=output.layers[-1]) if output.layers else self.config
        return computed.flop(frames, height, width)

    def lane(self, device: torch.device, saved: torch.dtype, *, compiled: bool) -> Lane:
        """In half precision on CUDA; elsewhere in full precision, on the CPU with packed weights."""
        if device.type == "cuda":
            return half_lane(self.network, device, saved)
        if compiled:
            for block in self.network.blocks:  # all alike: what is compiled for one serves them all
                block.compile()
        elif device.type == "cpu":
            pack(self.network)
        return FullLane(self.network, IMAGENET, device, saved)
