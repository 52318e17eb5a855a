"""What a model's features know of a clip, and what of the model is kept.

A *context* says which frames a time step of the features may know:

- ``clip``: all frames. The clip goes through the model in one pass, with attention in both directions.
- ``frame``: its own frame and no other. A model that takes several frames at a time gets the frame repeated.
- ``prefix``: its own frames and those before. Each time step has a pass of its own, which ends with it.

A model that learns to predict the next time step must not learn from ``clip``, where the first step knows the last
frame.
"""

from dataclasses import dataclass
from typing import Literal

from clipfarm_contract.fields import show

Context = Literal["clip", "frame", "prefix"]
Pool = Literal["none", "space"]
MOST_LAYERS = 64
MOST_FRAMES = 10_000
"""Of a stride; also time steps of a window."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Which frames a time step may know, and what of the model is kept."""

    context: Context = "clip"
    stride: int | None = None
    """Frames from one time step to the next; None: every frame (``frame``), or as many as the model takes at a time."""
    window: int | None = None
    """Time steps that a pass sees, its own included (``prefix``); None: all since the first."""
    layers: tuple[int, ...] = ()
    """Layers that are kept, counted from 1, in ascending order; none: the model's own output."""
    pool: Pool = "none"
    """space: the mean over the tokens of a time step."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the arrays in a file of several layers; empty if one array is kept."""
        return tuple(layer_key(layer) for layer in self.layers) if len(self.layers) > 1 else ()

    def problem(self) -> str | None:
        """Return the first rule that does not hold, after the name of its field; None if all do."""
        if self.stride is not None and self.context == "clip":
            return "stride: expected only with context frame or prefix"
        if self.window is not None and self.context != "prefix":
            return "window: expected only with context prefix"
        if any(after <= before for before, after in zip(self.layers, self.layers[1:], strict=False)):
            return f"layers: found {show(list(self.layers))}, expected ascending numbers"
        return None

    def unfit(self, step: int, layers: int) -> str | None:
        """Return why a model cannot do it, after the name of a field; None if it can.

        Args:
            step: frames that the model takes a time step of.
            layers: that the model has.
        """
        if self.context == "prefix" and self.stride is not None and self.stride % step:
            return f"stride: found {self.stride}, expected a multiple of {step}, the frames of the model's time step"
        if self.layers and self.layers[-1] > layers:
            return f"layers: found {self.layers[-1]}, expected 1 to {layers}, the model's"
        return None

    def overlong(self, frames: int) -> str | None:
        """Return why a model that looks back gives clips of so many frames no time step, after the name of a field.

        The first step of ``prefix`` ends with the stride; that of ``frame`` is the first frame, whatever the stride.
        """
        if self.context == "prefix" and self.stride is not None and self.stride > frames:
            return f"stride: found {self.stride}, expected {frames} or less, the frames of a clip"
        return None

    def stride_on(self, step: int) -> int:
        """Return the frames from one time step to the next.

        Args:
            step: frames that the model takes a time step of.
        """
        return self.stride or (1 if self.context == "frame" else step)

    def last_frames(self, frames: int, step: int, *, across_time: bool = True) -> list[int]:
        """Return the last frame that each time step may know, ``frame_of_token`` of a sidecar.

        Args:
            frames: of the clip.
            step: frames that the model takes a time step of.
            across_time: False for a model that sees each frame alone, whatever the context.
        """
        stride = self.stride_on(step)
        if self.context == "frame" or not across_time:
            return list(range(0, frames, stride))
        if self.context == "prefix":
            return list(range(stride - 1, frames, stride))
        return [frames - 1] * (frames // step)


DEFAULT = Extraction()
"""The whole clip in one pass, and the model's own output."""


def layer_key(layer: int) -> str:
    """Return ``layer_08`` for 8."""
    return f"layer_{layer:02d}"
