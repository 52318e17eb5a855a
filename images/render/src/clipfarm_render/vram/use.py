"""GPU memory of one clip: what Cycles counts of it, and what it takes in all."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.result import VramUse, Way
from clipfarm_render.vram.levels import Levels

_PROGRESS = re.compile(r"\| Mem:(\d+(?:\.\d+)?)M, Peak:(\d+(?:\.\d+)?)M \|")
"""Of the device that renders, as in "Fra:1 Mem:11.28M (Peak 11.28M) | Time:00:00.51 | Mem:0.39M, Peak:0.39M | ...";
what comes first is the host's."""
MARGIN_MIB = 2320.0
"""What a process has in use of a GPU beside what Cycles counts, where nothing better is known: CUDA's context, Cycles'
kernels, and the stacks of all threads that fit the GPU. Measured on an H200 by NVML, the same for CUDA and OptiX;
smaller GPUs take less."""
MARGIN_FILE = "vram-margin.json"
"""In the run's cache: the largest margin of its clips so far."""


@dataclass
class VramWatch:
    """Follows one clip's lines, and keeps Cycles' count."""

    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    _levels: Levels = field(default_factory=Levels)
    _first: float | None = None
    _peak_mib: float = 0.0

    def __post_init__(self) -> None:
        self._started = self.clock()

    def take(self, line: str) -> None:
        """Take in a line."""
        found = _PROGRESS.search(line)
        if found is None:
            return
        now = self.clock()
        self._first = now if self._first is None else self._first
        self._levels.take(now, float(found[1]))
        self._peak_mib = max(self._peak_mib, float(found[2]))

    def summary(self) -> VramUse | None:
        """Return what Cycles has counted; None where it told nothing."""
        if self._first is None or not self._peak_mib:
            return None
        levels = self._levels
        return VramUse(self._peak_mib, levels.average, levels.deviation, self._first - self._started, Way.CYCLES)


def in_all(counted: VramUse | None, measured: VramUse | None, cache: Path) -> VramUse | None:
    """Return what a clip took in all: as it was measured, or else by Cycles' count and a margin.

    Args:
        counted: by Cycles.
        measured: by the driver. Where it tells the clip's processes from others, the margin over Cycles' count is
            kept for clips that are not measured. What the whole GPU has may be other pods', too.
        cache: the run's folder for what can be made again.
    """
    known = _margin(cache / MARGIN_FILE)
    if measured is not None:
        if counted is not None and measured.way is Way.PROCESS:
            margin = measured.peak_mib - counted.peak_mib
            if margin > (known or 0.0):
                _keep(cache / MARGIN_FILE, margin)
        return measured
    if counted is None:
        return None
    margin = MARGIN_MIB if known is None else known
    return replace(counted, peak_mib=counted.peak_mib + margin, average_mib=counted.average_mib + margin)


def _margin(path: Path) -> float | None:
    try:
        margin = float(json.loads(regular.read(path, path.name))["marginMiB"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return margin if 0 < margin < 2**20 else None


def _keep(path: Path, margin: float) -> None:
    try:
        write_atomically(path, json.dumps({"marginMiB": round(margin, 1)}))
    except OSError:
        return  # the next clip finds it out again
