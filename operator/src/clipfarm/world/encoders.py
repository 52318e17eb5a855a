"""Encoders, and how they take turns with renderers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clipfarm.world.pods import PodState, Standing


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """An encoder that ended before its work was done."""

    status: int
    """Exit status, or minus the number of the signal that killed it."""
    printed: str
    """The last line that it printed."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder: a pod, or a process."""

    name: str
    standing: Standing
    ready: bool = False
    """Whether it has loaded its model and answers."""

    @property
    def state(self) -> PodState:
        """Its state."""
        return self.standing.state

    @property
    def since(self) -> float:
        """When it entered that state."""
        return self.standing.since


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoder as it is."""

    running: int = 0
    """Encoders whose process runs, those included that still load their model."""
    encoded: int = 0
    """Clips with features."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Clips that cannot be encoded, with the reason."""
    early_ends: tuple[EarlyEnd, ...] = ()
    """Encoders that ended before their work was done, since one last encoded a clip; oldest first."""
    stuck: str = ""
    """Why encoding was given up, by the run's own status: the ends that showed it may not be there any more."""
    pods: tuple[Encoder, ...] = ()
    """All that are there, by name, in any state."""
    asked: int = 0
    """Encoders that were asked for, whatever has become of them."""
    answering: int = 0
    """Encoders that report how far they are."""
    left: int | None = None
    """Clips of the run that encoders see, and that have neither features nor failed; None: none has reported."""
    listing: bool = False
    """Whether it is unknown how many clips there are, because no encoder has listed the run's videos yet."""
    passed_over: int = 0
    """Videos that give no clip."""
    vanished: Mapping[int, str] = field(default_factory=dict)
    """Clips that were complete when the last was rendered, and that the encoders do not find; with the reason."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How encoders take turns with renderers: what one tick hands to the next."""

    idle_since: float | None = None
    """Since when no complete clip has waited for its features; None: some do."""
    done_since: float | None = None
    """Since when encoders have reported that they see nothing left to do, whatever is counted; None: they do not."""
    missing_since: float | None = None
    """Since when encoders have not found clips that were complete; None: they find all."""
    waiting_since: float | None = None
    """Since when renderers have waited for room while none runs; None: one runs, or there is room."""
    blocked_since: float | None = None
    """Since when renderers have waited for room while no encoder has answered; None: one of them gets on."""
    made_room_at: float | None = None
    """When encoders last left so that renderers can start."""
    gone: Mapping[int, str] = field(default_factory=dict)
    """Complete clips that were not found for so long that they count as failed, with the reason."""
