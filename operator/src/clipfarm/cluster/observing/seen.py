"""What all looks of one moment are made of."""

from dataclasses import dataclass

from clipfarm.cluster.api.store import Store
from clipfarm.cluster.vram.gpus import Gpus


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to look at, and when."""

    store: Store
    """What watches have brought."""
    gpus: Gpus
    """What is known of GPU memory."""
    now: float
    """The time, seconds on a clock that only goes forward."""
    wall: float
    """The time, Unix; of use only for what happened before this process was there."""
