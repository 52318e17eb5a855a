"""clipfarm's own exporter of GPU memory, for nodes without DCGM's: the same names and labels, and each value's age.

A driver can hang in a call for ever. So one thread asks it, and others tell what was read last and how old it is.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clipfarm.vram import dcgm
from clipfarm.vram.nvml import Device, Look, NvmlSource
from clipfarm.world import GpuId
from clipfarm_contract.result import MIB

LOGGER = logging.getLogger(__name__)
LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName", "GPU_I_PROFILE", "GPU_I_ID", "Hostname")
FORGET_SECONDS = 600.0
"""A GPU that was not seen for so long is no longer reported: it was removed, or split another way."""


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class Agent(Collector):
    """What is served: the last good value of each GPU, and what is wrong."""

    node: str
    clock: Callable[[], float] = time.monotonic
    _last: dict[GpuId, tuple[Device, float]] = field(default_factory=dict)
    """With the time at which it was read."""
    _problem: str = "no look has ended yet"
    _begun: float | None = None
    """When the look under way began."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, source: NvmlSource) -> None:
        """Ask the driver once, however long it takes."""
        begun = self.clock()
        with self._lock:
            self._begun = begun
        found = source.look(begun)
        with self._lock:
            self._begun = None
            self._say(found)
            # A value counts from before the question: it may have been read at any moment since.
            self._last = {gpu: kept for gpu, kept in self._last.items() if not _is_over(gpu, found)}
            self._last |= {device.gpu: (device, begun) for device in found.devices if device.memory is not None}
            self._last = {gpu: kept for gpu, kept in self._last.items() if begun - kept[1] < FORGET_SECONDS}
            self._problem = found.problem

    def _say(self, found: Look) -> None:
        if found.problem == self._problem:
            return
        if found.problem and not found.devices:
            LOGGER.warning("no GPU here: %s; looks again", found.problem)
        elif found.problem:
            LOGGER.warning("%s; looks again", found.problem)
        else:
            LOGGER.info("GPUs here: %d", len(found.devices))

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        with self._lock:
            last, problem, begun, now = dict(self._last), self._problem, self._begun, self.clock()
        if not problem and begun is not None and now - begun > 1.0:
            problem = f"NVML: the driver has not answered for {now - begun:.0f} s"
        used = GaugeMetricFamily(dcgm.USED, "Framebuffer memory used (in MiB).", labels=LABELS)
        free = GaugeMetricFamily(dcgm.FREE, "Framebuffer memory free (in MiB).", labels=LABELS)
        reserved = GaugeMetricFamily(dcgm.RESERVED, "Framebuffer memory reserved (in MiB).", labels=LABELS)
        age = GaugeMetricFamily(dcgm.AGE, "How old the GPU's values are.", labels=LABELS)
        holder = GaugeMetricFamily(dcgm.HOLDER, "GPU memory by user; NaN: unknown.", labels=(*LABELS, "holder"))
        for device, at in last.values():
            labels, memory = self._labels(device), device.memory
            assert memory is not None, "only good ones are kept"
            used.add_metric(labels, memory.used / MIB)
            free.add_metric(labels, memory.free / MIB)
            if memory.reserved is not None:
                reserved.add_metric(labels, memory.reserved / MIB)
            age.add_metric(labels, now - at)
            for each in device.holders[: dcgm.MOST_HOLDERS]:
                holder.add_metric([*labels, each.name], math.nan if each.used_mib is None else each.used_mib * MIB)
        yield from (used, free, reserved, age, holder)
        yield GaugeMetricFamily("clipfarm_agent_gpus", "GPUs and instances with a value.", value=len(last))
        wrong = GaugeMetricFamily(dcgm.PROBLEM, "What cannot be read, and why.", labels=("Hostname", "problem"))
        if problem:
            wrong.add_metric((self.node, problem), 1)
        yield wrong

    def _labels(self, device: Device) -> list[str]:
        gpu = device.gpu
        name = f"nvidia{gpu.index}"
        return [str(gpu.index), gpu.uuid, device.bus_id, name, device.model, device.profile, gpu.instance, self.node]


def _is_over(gpu: GpuId, found: Look) -> bool:
    """Tell whether a GPU answers and is no longer what it was: split, split in another way, or a whole again."""
    now = [device.gpu for device in found.devices if device.gpu.uuid == gpu.uuid]
    return bool(now) and gpu not in now


def serve(node: str, host: str, port: int, interval: float, stop: threading.Event) -> None:
    """Serve until ``stop`` is set.

    Args:
        node: the node's name, for the label Hostname.
        host: address of /metrics.
        port: its port; 0: any.
        interval: seconds between two looks.
        stop: ends it.

    Raises:
        OSError: the address cannot be had.
    """
    agent, source = Agent(node), NvmlSource(node)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(agent)
    server, _ = start_http_server(port, addr=host, registry=registry)
    address, bound = server.server_address[:2]
    LOGGER.info("/metrics at http://%s:%s", address, bound)

    def look_for_ever() -> None:
        try:
            while not stop.is_set():
                agent.look(source)
                stop.wait(interval)
        finally:
            stop.set()  # if it fails in an unforeseen way, a new process may do better

    # A daemon: one that hangs in the driver must not keep the process from ending.
    threading.Thread(target=look_for_ever, daemon=True).start()
    stop.wait()
    server.shutdown()
