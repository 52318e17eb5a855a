"""What has become of each clip, and what each device has computed."""

from collections.abc import Callable, Iterable, Mapping
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
    """Clips by name: of one feature set, or of all sets together."""

    found: set[str] = field(default_factory=set)
    encoded: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    """Reason by name."""
    encoding: int = 0
    """Clips between the decoders and the disk."""

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
        for names in (self.found, self.encoded, self.skipped):
            names.discard(name)
        self.failures.pop(name, None)

    def has_settled(self, name: str) -> bool:
        """Tell whether a clip needs nothing more."""
        return name in self.encoded or name in self.skipped or name in self.failures


@dataclass
class Together:
    """Clips by what became of them in all feature sets: one is done when it is in each, and failed if it is in any.

    It is kept up with each change, because a document of 20,000 clips is asked for five times a second.
    """

    sets: Mapping[str, Tally]
    """By the set's name."""
    whole: Tally = field(default_factory=Tally)

    def follow(self, names: Iterable[str]) -> None:
        """Take in what became of clips in one of the sets."""
        tallies, whole = self.sets.values(), self.whole
        for name in names:
            whole.forget(name)
            if not any(name in tally.found for tally in tallies):
                continue
            whole.found.add(name)
            if not all(tally.has_settled(name) for tally in tallies):
                continue
            reasons = [
                f"{set_name}: {reason}"
                for set_name, tally in self.sets.items()
                if (reason := tally.failures.get(name)) is not None
            ]
            if reasons:
                whole.failures[name] = "; ".join(reasons)
            elif any(name in tally.encoded for tally in tallies):
                whole.encoded.add(name)
            else:
                whole.skipped.add(name)
        self.started()

    def started(self) -> None:
        """Take in that a clip has gone to the decoders, or is under way no more."""
        open_ = len(self.whole.found) - self.whole.settled
        self.whole.encoding = min(open_, sum(tally.encoding for tally in self.sets.values()))
