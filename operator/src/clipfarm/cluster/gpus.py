"""GPU memory as the operator learns of it: from endpoints in the DCGM exporter's format."""

import asyncio
from dataclasses import dataclass, field

import aiohttp

from clipfarm.cluster.api import FAULTS
from clipfarm.vram import dcgm
from clipfarm.world import GpuId, Reading

TIMEOUT_SECONDS = 3.0


@dataclass
class Gpus:
    """The newest reading of each GPU, whatever its age."""

    endpoints: tuple[str, ...] = ()
    """Addresses of ``/metrics``."""
    readings: dict[GpuId, Reading] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """Why an endpoint told nothing the last time, by its address."""

    def on(self, node: str) -> tuple[GpuId, ...]:
        """Return a node's GPUs, as far as they were ever measured: one that is not told of is unknown, not gone."""
        return tuple(sorted(gpu for gpu in self.readings if gpu.node == node))

    def problem(self, node: str) -> str:
        """Return why readings of a node are missing, as far as that is known; empty where nothing went wrong."""
        if self.problems:
            endpoint, problem = min(self.problems.items())
            others = len(self.problems) - 1
            return f"{endpoint}: {problem}" + (f", and {others} more that fail" if others else "")
        if self.on(node):
            return ""
        if not self.endpoints:
            return "the operator has no source of readings: see its --vram-endpoint"
        return "no endpoint tells of it"

    async def look(self, session: aiohttp.ClientSession, now: float) -> None:
        """Ask every endpoint, at the time ``now``."""
        await asyncio.gather(*(self._ask(session, endpoint, now) for endpoint in self.endpoints))

    async def _ask(self, session: aiohttp.ClientSession, endpoint: str, now: float) -> None:
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            async with session.get(endpoint, timeout=timeout, raise_for_status=True) as answer:
                text = await answer.text(encoding="utf-8")
            found = dcgm.parse(text, now)
        except aiohttp.ClientResponseError as error:
            self.problems[endpoint] = f"{error.status} {error.message}"
            return
        except (*FAULTS, dcgm.FormatError, UnicodeDecodeError) as error:
            self.problems[endpoint] = str(error) or type(error).__name__
            return
        self.problems.pop(endpoint, None)
        # Two exporters may tell of the same GPU.
        self.readings |= {reading.gpu: reading for reading in found}
