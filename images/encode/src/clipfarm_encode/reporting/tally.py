"""What has become of each clip, and what each device has computed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STAGES = ("io", "preprocess", "encode", "save")


@dataclass
class DeviceTally:
    """One device, and what it has computed."""

    name: str
    """As PyTorch names it, ``cuda:0``."""
    peak: float | None = None
    """FLOP/s that its data sheet gives; None where it is not known."""
    held: Callable[[], int] = int
    """Returns the bytes of its memory that this process holds."""
    clips: int = 0
    batch_size: int = 0
    """Clips in its last batch."""
    tokens: int = 0
    flop: float = 0.0
    seconds: float = 0.0

    @property
    def utilisation(self) -> float | None:
        """Share of the peak that the model's matrix products reached while the device was computing."""
        return self.flop / self.seconds / self.peak if self.peak and self.seconds else None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        utilisation = self.utilisation
        return {
            "name": self.name,
            "clips": self.clips,
            "batch_size": self.batch_size,
            "tokens_per_second": round(self.tokens / self.seconds, 1) if self.seconds else 0.0,
            "model_flop_utilisation": None if utilisation is None else round(utilisation, 4),
            "memory_held_bytes": self.held(),
        }


@dataclass
class Tally:
    """Clips by name, and times."""

    found: set[str] = field(default_factory=set)
    encoded: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    """Reason by name."""
    foreign: set[str] = field(default_factory=set)
    """Clips of another run."""
    encoding: int = 0
    """Clips between the decoders and the disk."""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    idle: float = 0.0
    """Seconds spent waiting for new clips."""

    @property
    def settled(self) -> int:
        """Number of clips that need nothing more."""
        return len(self.encoded) + len(self.skipped) + len(self.failures)

    @property
    def waiting(self) -> int:
        """Number of clips whose turn has not come."""
        return max(0, len(self.found) - self.settled - self.encoding)

    def forget(self, name: str) -> None:
        """Take back what became of a clip: it is gone, or another one took its place."""
        for names in (self.found, self.encoded, self.skipped, self.foreign):
            names.discard(name)
        self.failures.pop(name, None)
