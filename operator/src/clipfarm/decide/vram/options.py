"""``spec.vram`` of a run."""

from typing import Annotated, Literal

from pydantic import Field

from clipfarm.cel import Rule, duration
from clipfarm.model import Model, PositiveBytes, PositiveSeconds, Seconds


class Vram(Model):
    """When GPU memory holds new clips back. Fractions are of a GPU's whole memory."""

    enabled: bool = True
    """Whether GPU memory holds clips back."""
    high: float = Field(default=0.85, gt=0, le=1)
    """Above it, no new clip starts on the GPU."""
    low: float = Field(default=0.70, gt=0, le=1)
    """Below it, clips start again."""
    check_interval: PositiveSeconds = 5.0
    """How often GPU memory is looked at."""
    stale_after: PositiveSeconds = 60.0
    """A reading older than this is unknown, and never zero."""
    when_unknown: Literal["Hold", "Admit"] = "Hold"
    """What becomes of clips while the use of a GPU's memory is unknown."""
    per_clip: PositiveBytes | None = None
    """What one clip takes, where it is known."""
    allocation_time: Annotated[Seconds, Field(ge=0)] = 30.0
    """How long after its start a clip may not have allocated all its memory: a cold import of Blender takes 22 s."""
    held_warning_after: PositiveSeconds = 600.0
    """A GPU that others keep full for longer than this, while clips are held, is worth a warning that names them."""

    rules = (
        Rule(
            lambda vram: (
                f"low: found {vram.low:g}, expected less than high ({vram.high:g})" if vram.low >= vram.high else None
            ),
            cel="self.low < self.high",
            message="expected less than high",
            field=".low",
        ),
        Rule(
            lambda vram: (
                f"staleAfter: found {vram.stale_after:g}s, expected more than checkInterval ({vram.check_interval:g}s)"
                if vram.stale_after <= vram.check_interval
                else None
            ),
            cel=f"{duration('staleAfter')} > {duration('checkInterval')}",
            message="expected more than checkInterval",
            field=".staleAfter",
        ),
    )
