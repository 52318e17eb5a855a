"""GPU memory as the operator learns of it: from exporters' pods, from endpoints, and from a Prometheus."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from clipfarm.cluster.vram.asking import Question, of_exporter, of_prometheus
from clipfarm.cluster.vram.exporters import Exporters
from clipfarm.cluster.vram.scrape import ScrapeError
from clipfarm.cluster.vram.source import Source
from clipfarm.vram.dcgm import Answer, FormatError
from clipfarm.vram.lag import supersedes
from clipfarm.world import GpuId, Holder, Reading
from clipfarm_contract.result import GpuReading

WAIT_SECONDS = 1.0
"""How long a look waits for slow sources; they may answer later."""
FORGET_SECONDS = 600.0
"""A GPU that its source has not reported for so long is gone; until then its memory is unknown."""
HOLDERS_SECONDS = 60.0
"""How long the holders of a GPU count if a newer reading names none."""
COLLECT_SECONDS = 30.0
"""DCGM's exporter collects so often by default."""
OTHER_SIZE = 0.1
"""Of a GPU's memory: two sources differ by what the driver keeps for itself, which not all leave out."""


@dataclass
class Gpus:
    """The newest reading of each GPU, whatever its age."""

    endpoints: tuple[str, ...] = ()
    """Addresses of ``/metrics``."""
    exporters: Exporters = field(default_factory=Exporters)
    prometheus: str = ""
    """Address of a Prometheus; empty: none is asked."""
    token_file: Path | None = None
    """Holds what the Prometheus takes as a bearer token."""
    collect_seconds: float = COLLECT_SECONDS
    """How often exporters collect that do not report how old their values are."""
    readings: dict[GpuId, Reading] = field(default_factory=dict)
    """As the configured sources report. The administrator vouches for them, so they count for every run."""
    _sources: dict[str, Source] = field(default_factory=dict)
    _by_node: dict[str, list[Source]] = field(default_factory=dict)
    _groups: dict[str, tuple[GpuId, ...]] = field(default_factory=dict)
    _grouped: tuple[int, int] | None = None
    """Of which readings the groups are; None: they have to be made anew."""
    _told_by: dict[GpuId, Source] = field(default_factory=dict)
    _measured: dict[str, dict[GpuId, Reading]] = field(default_factory=dict)
    """As pods of runs report, by their namespace, if that is newer than a source's. Those who may create a pod there
    vouch for them, so they count for the runs of that namespace alone."""
    _held: dict[GpuId, tuple[str, Reading]] = field(default_factory=dict)
    """Which source last reported who holds a GPU, and what."""
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _nowhere: str | None = None
    """Why there are no readings of a node that no source reports; None: it has to be found out anew."""

    def on(self, node: str) -> tuple[GpuId, ...]:
        """Return a node's GPUs that were ever measured: one that is not reported is unknown, not gone."""
        if self._grouped != (id(self.readings), len(self.readings)):
            groups: dict[str, list[GpuId]] = {}
            for gpu in sorted(self.readings):
                groups.setdefault(gpu.node, []).append(gpu)
            # Asked for each node by each tick of each run, where GPUs come and go once in a while.
            self._groups = {name: tuple(gpus) for name, gpus in groups.items()}
            self._grouped = (id(self.readings), len(self.readings))
        return self._groups.get(node, ())

    def for_namespace(self, namespace: str) -> Mapping[GpuId, Reading]:
        """Return the readings that count for the runs of a namespace."""
        told = self._measured.get(namespace)
        return self.readings | told if told else self.readings

    def problem(self, node: str) -> str:
        """Return why readings of a node are missing, if that is known; empty if nothing went wrong."""
        own, shared = self._by_node.get(node, []), self._by_node.get("", [])
        if own:
            if any(source.answered_at is not None and not source.problem for source in own):
                return ""
            return _failing([source for source in own if source.problem]) or f"{own[0].title}: no answer yet"
        failing = [source for source in shared if source.problem]
        if failing:
            return _failing(failing)
        if shared and self.on(node):
            return ""
        if self._nowhere is None:  # each tick of each run asks for each node
            self._nowhere = self._why_nowhere()
        return self._nowhere

    def _why_nowhere(self) -> str:
        """Return why there are no readings of a node that no source reports."""
        sought = self.exporters.sought()
        if self.exporters.problem():
            return self.exporters.problem()
        if not (sought or self.endpoints or self.prometheus):
            return "the operator has no source of readings: see its --vram-endpoint"
        asked = "no endpoint tells of it" if self.endpoints or self.prometheus else ""
        found = " and ".join(part for part in (asked, f"no {sought} runs on it" if sought else "") if part)
        return "; ".join(part for part in (found, self.exporters.hint()) if part)

    async def look(
        self, session: aiohttp.ClientSession, now: float, wall: float, nodes: Collection[str] | None = None
    ) -> bool:
        """Ask every source that is due, all at once, and return whether any was.

        Args:
            session: to ask with.
            now: the time, on the operator's own clock.
            wall: the time, seconds since 1970.
            nodes: those of the cluster; None: unknown.
        """
        self._nowhere = None
        self._settle()
        self._update_sources()
        if nodes is not None:
            self._forget(now, nodes)
        for url, source in self._sources.items():
            if url not in self._asking and now >= source.not_before:
                self._asking[url] = asyncio.create_task(self._ask(session, source, now, wall, nodes or ()))
        if not self._asking:
            return False
        await asyncio.wait(self._asking.values(), timeout=WAIT_SECONDS)
        self._settle()
        return True

    def _settle(self) -> None:
        for url in [url for url, task in self._asking.items() if task.done()]:
            self._asking.pop(url).result()  # an unforeseen exception is raised here

    def _update_sources(self) -> None:
        wanted = {endpoint: Source(endpoint, endpoint) for endpoint in self.endpoints}
        wanted |= {pod.url: Source(pod.url, f"pod {pod.name}", pod.node) for pod in self.exporters.pods()}
        if self.prometheus:
            wanted[self.prometheus] = Source(self.prometheus, self.prometheus)
        for url, source in wanted.items():
            known = self._sources.get(url)
            # Another pod may have got the address of one that is gone.
            if known is not None and (known.title, known.node) == (source.title, source.node):
                wanted[url] = known
        self._sources, self._by_node = wanted, {}
        for source in wanted.values():
            self._by_node.setdefault(source.node, []).append(source)

    async def _ask(
        self, session: aiohttp.ClientSession, source: Source, now: float, wall: float, nodes: Collection[str]
    ) -> None:
        question = Question(now, wall, nodes, self.collect_seconds)
        try:
            if source.url == self.prometheus:
                answer = await of_prometheus(session, source.url, self.token_file, self.exporters, question)
            else:
                answer = await of_exporter(session, source, question)
        except (ScrapeError, FormatError) as error:
            source.failed(now, str(error))
            return
        if self._sources.get(source.url) is not source:
            return  # its pod is gone; who has its address now is asked next
        source.answered(now, answer.problem)
        self._add(source, answer)

    def _add(self, source: Source, answer: Answer) -> None:
        for reading in answer.readings:
            gpu, known = reading.gpu, self.readings.get(reading.gpu)
            if known is None:
                for other in self._others(gpu):
                    self._drop(other)
            if reading.holders or (gpu in self._held and self._held[gpu][0] == source.url):
                self._held[gpu] = (source.url, reading)
            if known is None or supersedes(reading, known):
                self._told_by[gpu] = source
                self._grouped = self._grouped if known is not None else None
                self.readings[gpu] = replace(reading, holders=reading.holders or self._holders(gpu, reading.at))
                for told in self._measured.values():
                    if gpu in told and supersedes(reading, told[gpu]):
                        del told[gpu]

    def add_measured(self, namespace: str, node: str, told: GpuReading, as_of: float, now: float) -> None:
        """Take in what a pod measured of its GPU when its clips had ended, unless something newer is known.

        Only sources make GPUs known: if none of them reports a GPU, its end would not be noticed.

        Args:
            namespace: the pod's: for the runs there it counts.
            node: where the pod was.
            told: what it says.
            as_of: when it measured, or earlier, on the operator's own clock.
            now: the time, on that clock.
        """
        names = (told.uuid, told.instance)
        gpu = next((each for each in self.on(node) if (each.uuid, each.instance) == names), None)
        if gpu is None:
            return
        known = self.for_namespace(namespace)[gpu]
        reading = Reading(gpu, told.used_mib, told.total_mib, now, max(0.0, now - as_of), self._holders(gpu, now))
        alike = abs(reading.total_mib - known.total_mib) <= OTHER_SIZE * known.total_mib
        if alike and supersedes(reading, known):
            self._measured.setdefault(namespace, {})[gpu] = reading

    def _holders(self, gpu: GpuId, at: float) -> tuple[Holder, ...]:
        _, told = self._held.get(gpu, ("", None))
        return told.holders if told is not None and at - told.at < HOLDERS_SECONDS else ()

    def _others(self, new: GpuId) -> list[GpuId]:
        """Return what a GPU is known as that it is no more: by another index, or not split, or split."""
        return [
            gpu
            for gpu in self.readings
            if (gpu.node, gpu.uuid) == (new.node, new.uuid)
            and (bool(gpu.instance) != bool(new.instance) or (gpu.instance == new.instance and gpu.index != new.index))
        ]

    def _forget(self, now: float, nodes: Collection[str]) -> None:
        for gpu, reading in list(self.readings.items()):
            answered_at = self._answered_at(gpu)
            silent = answered_at is not None and answered_at - reading.at > FORGET_SECONDS
            if gpu.node not in nodes or silent:
                self._drop(gpu)

    def _answered_at(self, gpu: GpuId) -> float | None:
        """Return when the source of a GPU last answered; if its pod was replaced, the source that the node has now."""
        source = self._told_by.get(gpu)
        if source is None or self._sources.get(source.url) is source:
            return source.answered_at if source else None
        now_there = (*self._by_node.get(gpu.node, ()), *self._by_node.get("", ()))
        return max((each.answered_at for each in now_there if each.answered_at is not None), default=None)

    def _drop(self, gpu: GpuId) -> None:
        self.readings.pop(gpu, None)
        self._grouped = None
        self._told_by.pop(gpu, None)
        self._held.pop(gpu, None)
        for told in self._measured.values():
            told.pop(gpu, None)


def _failing(sources: list[Source]) -> str:
    texts = sorted(f"{source.title}: {source.problem}" for source in sources)
    more = f", and {len(texts) - 1} more that fail" if len(texts) > 1 else ""
    return texts[0] + more if texts else ""
