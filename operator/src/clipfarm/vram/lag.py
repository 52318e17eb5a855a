"""How old an exporter's values may be, by when they change; and which of two readings is the newer one."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from clipfarm.world import GpuId, Reading

LONG_AGO = 20.0
"""Seconds after which what was read last counts as newer no more, whatever the lag of what is told now."""


def counts_more(reading: Reading, known: Reading) -> bool:
    """Of two readings of a GPU the newest counts, by what it is surely not older than; of two as new the fuller."""
    newer = (reading.at - reading.lag, reading.used_mib) >= (known.at - known.lag, known.used_mib)
    return newer or reading.at - known.at > LONG_AGO


@dataclass
class Heard:
    """What one exporter told last. It collects all values at a time, and tells the same ones until it does again."""

    _used: dict[GpuId, float] = field(default_factory=dict)
    _at: float = float("-inf")
    _not_before: float = float("-inf")
    """No value that it tells now was collected before this."""

    def take(self, readings: Iterable[Reading]) -> tuple[Reading, ...]:
        """Return readings of one answer with a smaller lag where that can be told.

        One value that has changed since the last answer says that all were collected since then. While none changes
        they grow older, up to the lag that the exporter's interval makes possible.
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
