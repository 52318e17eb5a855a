"""GPU memory of one clip, by what Cycles prints of its progress."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from clipfarm_contract.result import VramUse

_PROGRESS = re.compile(r"\| Mem:(\d+(?:\.\d+)?)M, Peak:(\d+(?:\.\d+)?)M \|")
"""Of the device that renders, as in "Fra:1 Mem:11.28M (Peak 11.28M) | Time:00:00.51 | Mem:0.39M, Peak:0.39M | ...";
what comes first is the host's."""
CONTEXT_MIB = 500.0
"""What a process has in use of a GPU beside what Cycles counts: CUDA's context and Cycles' kernels. An estimate on the
safe side, not measured: NVIDIA's contexts take 250 to 500 MiB, by GPU and driver."""


@dataclass
class VramWatch:
    """Follows one child's lines."""

    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    _begun: float | None = None
    _since: float = 0.0
    _now_mib: float = 0.0
    _peak_mib: float = 0.0
    _area: float = 0.0
    _squares: float = 0.0

    def __post_init__(self) -> None:
        self._started = self.clock()

    def take(self, line: str) -> None:
        """Take in a line."""
        found = _PROGRESS.search(line)
        if found is None:
            return
        now = self.clock()
        if self._begun is None:
            self._begun = now
        else:
            self._area += self._now_mib * (now - self._since)
            self._squares += self._now_mib**2 * (now - self._since)
        self._since, self._now_mib = now, float(found[1])
        self._peak_mib = max(self._peak_mib, float(found[2]))

    def summary(self) -> VramUse | None:
        """Return what the clip had in use; None where Cycles told nothing."""
        if self._begun is None or not self._peak_mib:
            return None
        lasted = self._since - self._begun
        average = self._area / lasted if lasted > 0 else self._now_mib
        variance = self._squares / lasted - average**2 if lasted > 0 else 0.0
        deviation = math.sqrt(max(0.0, variance))
        return VramUse(self._peak_mib + CONTEXT_MIB, average + CONTEXT_MIB, deviation, self._begun - self._started)
