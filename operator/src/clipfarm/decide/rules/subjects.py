"""What rules look at: a clip that could start, or a place where it could, and everything else that is known.

Places are :class:`clipfarm.decide.vram.place.Place`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipfarm.decide.vram.expected import Expected
from clipfarm.world import World

if TYPE_CHECKING:
    # A rule may bring a field of the run's spec, so the run's types are made from the rules, and not the other way.
    from clipfarm.run import Run


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that could start."""

    index: int
    """Its index in the Job; on one machine, its clip."""
    due: float | None = None
    """When a clip that is tried again may start; None: it was never tried."""
    gave_up: bool = False
    """Whether its last pod ended before all of its clips were tried."""
    made: bool = True
    """Whether its pod exists. A clip without a pod starts nothing, and counts as held, or as one that could run."""

    @property
    def ran_out(self) -> bool:
        """Whether it is tried again because it ran out of GPU memory, or a clip of its block did."""
        return self.due is not None and not self.gave_up


@dataclass(slots=True)
class Situation:
    """Everything that rules may look at beside the clip and the place."""

    run: "Run"
    world: World
    workers: int
    """Clips that may run at a time now."""
    fatal: str
    """Why no clip of the run can succeed; empty: clips can."""
    at_work: int
    """Pods that run, and those that this plan starts: it grows by each clip that is admitted."""
    per_clip: Expected | None = None
    """GPU memory that a clip takes; None: unknown."""
    largest_mib: float | None = None
    """GPU memory of the largest clip of other runs; None: none is known."""
    surely: bool = False
    """Whether the clip that is looked at takes no risk, because it would fail for good."""

    @property
    def sure_per_clip(self) -> Expected | None:
        """The same, unless it is a guess, which may be wrong: only a clip that runs can correct it."""
        return None if self.per_clip is None or self.per_clip.guessed else self.per_clip
