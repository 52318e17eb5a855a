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
    """Fraction of a GPU's memory above which no new clip starts there."""
    low: float = Field(default=0.70, gt=0, le=1)
    """Fraction of a GPU's memory below which clips start there again."""
    check_interval: PositiveSeconds = 5.0
    """Interval between two measurements of GPU memory."""
    stale_after: PositiveSeconds = 60.0
    """Age above which a reading counts as unknown, never as zero."""
    when_unknown: Literal["Hold", "Admit"] = "Hold"
    """What to do with clips while the use of a GPU's memory is unknown."""
    per_clip: PositiveBytes | None = None
    """GPU memory of the largest clip, if you know it."""
    allocation_time: Annotated[Seconds, Field(ge=0)] = 30.0
    """Time after its start within which a clip allocates its memory; a cold import of Blender takes 22 s."""
    held_warning_after: PositiveSeconds = 600.0
    """Time after which a warning names the programs that keep a GPU full while clips are held."""

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
