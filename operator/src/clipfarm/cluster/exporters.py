"""Which pods tell of GPU memory: NVIDIA's DCGM exporters and clipfarm's own agents, found by their labels."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm.cluster.api import Api, Manifest
from clipfarm.cluster.store import Cache, Watcher

DCGM_PORT, AGENT_PORT = 9400, 9401
LONGEST_PAUSE = 30.0
"""After the API server has refused: where rights are missing they come by a person's hand."""
PORT_NAME = "metrics"
"""By this name both exporters' pods declare the port that they serve at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How pods of one kind are found."""

    title: str
    selector: str
    """Of labels; empty: none is looked for."""
    namespace: str = ""
    """Empty: all."""
    port: int | None = None
    """None: the one that a pod declares by the name ``metrics``, else the default."""
    default_port: int = DCGM_PORT

    def path(self) -> str:
        """Return where the API server lists them."""
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"/api/v1{inside}/pods"


@dataclass(frozen=True, slots=True)
class ExporterPod:
    """A pod that tells of its node's GPUs."""

    name: str
    """With its namespace: ``namespace/name``."""
    node: str
    address: str
    port: int

    @property
    def url(self) -> str:
        """Return where it answers."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}/metrics"


def exporter_pod(manifest: Manifest, finding: Finding) -> ExporterPod | None:
    """Return a view of a pod; None where it does not run."""
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status", {})
    address, node = status.get("podIP", ""), spec.get("nodeName", "")
    if status.get("phase") != "Running" or not (address and node) or "deletionTimestamp" in metadata:
        return None
    port = finding.port or _declared(spec) or finding.default_port
    return ExporterPod(f"{metadata['namespace']}/{metadata['name']}", node, address, port)


def _declared(spec: Manifest) -> int | None:
    ports = (port for container in spec["containers"] for port in container.get("ports", ()))
    return next((port["containerPort"] for port in ports if port.get("name") == PORT_NAME), None)


@dataclass
class Exporters:
    """The pods that are there now."""

    findings: tuple[Finding, ...] = ()
    _watchers: list[tuple[Finding, Watcher[ExporterPod]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for finding in self.findings:
            if finding.selector:
                self._watchers.append((finding, self._watcher(finding)))

    def _watcher(self, finding: Finding) -> Watcher[ExporterPod]:
        def view(manifest: Manifest) -> ExporterPod | None:
            return exporter_pod(manifest, finding)

        return Watcher(
            finding.path(),
            view,
            Cache[ExporterPod](lambda pod: pod.node),
            lambda _: None,
            {"labelSelector": finding.selector},
            longest_pause=LONGEST_PAUSE,
        )

    async def run(self, api: Api) -> None:
        """Follow them, for ever."""
        async with asyncio.TaskGroup() as group:
            for _, watcher in self._watchers:
                group.create_task(watcher.run(api))

    def pods(self) -> Collection[ExporterPod]:
        """Return all that run, one for each address."""
        return {pod.url: pod for _, watcher in self._watchers for pod in watcher.cache.all()}.values()

    def places(self) -> Mapping[str, str]:
        """Return their nodes, by their addresses and by their names."""
        pods = self.pods()
        return {pod.address: pod.node for pod in pods} | {pod.name.partition("/")[2]: pod.node for pod in pods}

    def problem(self) -> str:
        """Return why there may be others than those that are known of; empty: there are not."""
        for finding, watcher in self._watchers:
            if watcher.failure:
                return f"{finding.title} pods cannot be listed: {watcher.failure}"
        return ""

    def sought(self) -> str:
        """Return what is looked for, for people; empty: nothing."""
        return " or ".join(
            f"{finding.title} pod ({finding.selector}{f' in {finding.namespace}' if finding.namespace else ''})"
            for finding, _ in self._watchers
        )


def find(dcgm: Mapping[str, Any], agent: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return how both kinds are found, from selector, namespace and port of each."""
    return (
        Finding("DCGM exporter", **dcgm, default_port=DCGM_PORT),
        Finding("vram-agent", **agent, default_port=AGENT_PORT),
    )
