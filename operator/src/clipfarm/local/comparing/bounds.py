"""How far two makings of a clip may be apart, by what made them."""

from dataclasses import dataclass

from clipfarm_contract.machine import Machine


@dataclass(frozen=True, slots=True)
class Bound:
    """How far two makings of a clip may be apart, and why."""

    cause: str
    """As in "the bound of another processor"."""
    pixels: float
    """Share of the pixels of all frames that may differ; twice as many of one frame."""
    steps: int
    """By how much each of them may, of 255."""
    edge: float
    """Of the other layers, which may differ by any amount where an edge falls on a pixel's middle: differing pixels,
    as a share of those that show the object."""


OTHER_PROCESSOR = Bound("another processor", pixels=0.001, steps=2, edge=0.02)
"""Measured: 0.026 % of pixels by one step, Intel Xeon and AMD EPYC."""
SAME_GPU = Bound("another run on the same GPU", pixels=0.0005, steps=2, edge=0.02)
"""Measured: 0.004 % of pixels by one step, CUDA on an H200; OptiX 0.002 %."""
OTHER_GPU = Bound("another GPU, or of GPU and CPU", pixels=0.005, steps=16, edge=0.05)
"""Measured: 0.12 to 0.15 % of pixels by at most 11 steps, H200 and Intel Xeon; no pixel of another layer."""


def allowed(first: Machine | None, now: Machine | None) -> Bound | None:
    """Return the bound within which two makings count as equal; None: to the byte.

    What is not known of a machine loosens nothing: unless a GPU is known to have taken part, none has.
    """
    if first is None or now is None:
        known = first or now
        return OTHER_GPU if known is not None and known.gpu else OTHER_PROCESSOR
    if not first.gpu and not now.gpu:
        return None if first.processor == now.processor else OTHER_PROCESSOR
    same = first.driver and (first.gpu, first.driver) == (now.gpu, now.driver)
    return SAME_GPU if same else OTHER_GPU
