"""How old an exporter's values may be, estimated by when they change; and which of two readings is newer."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from clipfarm.world import GpuId, Reading

LONG_AGO = 20.0
"""A reading that was taken so many seconds later is newer, whatever its lag."""


def supersedes(reading: Reading, known: Reading) -> bool:
    """Tell whether a reading of a GPU replaces the known one: by guaranteed age; of equals the fuller one wins."""
    newer = (reading.at - reading.lag, reading.used_mib) >= (known.at - known.lag, known.used_mib)
    return newer or reading.at - known.at > LONG_AGO


@dataclass
class LagTracker:
    """The last answer of one exporter. It collects all values at a time, and repeats them until it collects again."""

    _used: dict[GpuId, float] = field(default_factory=dict)
    _at: float = float("-inf")
    _not_before: float = float("-inf")
    """No value of the last answer was collected before this."""

    def narrow(self, readings: Iterable[Reading]) -> tuple[Reading, ...]:
        """Return the readings of one answer, with a smaller lag if that can be derived.

        If one value has changed since the last answer, all were collected since then. While none changes they grow
        older, up to the lag that the exporter's interval makes possible.
        """
        found = tuple(readings)
        if not found:
            return found
        used = {reading.gpu: reading.used_mib for reading in found}
        if any(gpu in self._used and self._used[gpu] != mib for gpu, mib in used.items()):
            self._not_before = max(self._not_before, self._at)
        self._used, self._at = used, max(reading.at for reading in found)
        return tuple(
            replace(reading, lag=max(0.0, min(reading.lag, reading.at - self._not_before))) for reading in found
        )
