"""Which pods report GPU memory: NVIDIA's DCGM exporters and clipfarm's own agents, found by their labels."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm.cluster.api.cache import Cache
from clipfarm.cluster.api.client import Api, Manifest
from clipfarm.cluster.api.errors import FAULTS, ApiError
from clipfarm.cluster.api.store import Watcher

LOGGER = logging.getLogger(__name__)
ELSEWHERE_SECONDS = 300.0
"""Between two looks for exporters in other namespaces, while none is found where they are looked for."""
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
    """Those who may create pods here vouch for what they report; empty: all namespaces, and so anyone."""
    setting: str = ""
    """What names that namespace, for people."""
    port: int | None = None
    """None: the one that a pod declares by the name ``metrics``, else the default."""
    default_port: int = DCGM_PORT

    def set_to(self, namespace: str) -> str:
        """Say how they are looked for in another namespace."""
        return f"set {self.setting} to {namespace}"

    def path(self) -> str:
        """Return where the API server lists them."""
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"/api/v1{inside}/pods"


@dataclass(frozen=True, slots=True)
class ExporterPod:
    """A pod that reports its node's GPUs."""

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
    everywhere: bool = False
    """Whether the operator may list pods of all namespaces, and so can say where else there are some."""
    _watchers: list[tuple[Finding, Watcher[ExporterPod]]] = field(default_factory=list)
    _elsewhere: dict[str, str] = field(default_factory=dict)
    """Of what was not found, by its title: another namespace that has pods with its labels."""

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
            for finding, watcher in self._watchers:
                group.create_task(watcher.run(api))
                if finding.namespace and self.everywhere:
                    group.create_task(self._look_elsewhere(finding, watcher, api))
                if not finding.namespace:
                    LOGGER.warning(
                        "%s pods (%s) are looked for in all namespaces: anyone who may create a pod with these labels,"
                        " in any of them, may report GPU memory for every run; name their namespace: %s",
                        finding.title, finding.selector, finding.setting,
                    )  # fmt: skip

    async def _look_elsewhere(self, finding: Finding, watcher: Watcher[ExporterPod], api: Api) -> None:
        """Find out where pods of a kind run while none runs where they are looked for; messages name that place."""
        await watcher.synced.wait()
        while True:
            self._elsewhere.pop(finding.title, None)
            if not any(watcher.cache.all()):
                try:
                    wanted = {"labelSelector": finding.selector, "resourceVersion": "0"}  # from memory will do
                    async for pods, _ in api.pages("/api/v1/pods", **wanted):
                        namespaces = {pod["metadata"]["namespace"] for pod in pods} - {finding.namespace}
                        if namespaces:
                            self._elsewhere[finding.title] = min(namespaces)
                            break
                except (ApiError, *FAULTS) as error:
                    LOGGER.info("%s pods in other namespaces: %s", finding.title, error or type(error).__name__)
            await asyncio.sleep(ELSEWHERE_SECONDS)

    def hint(self) -> str:
        """Return what to do where none is found in the namespace that is looked at; empty where some are."""
        for finding, watcher in self._watchers:
            if finding.namespace and finding.title in self._elsewhere and not any(watcher.cache.all()):
                other = self._elsewhere[finding.title]
                return f"pods with these labels run in {other}: if they are the cluster's own, {finding.set_to(other)}"
        empty = [finding for finding, watcher in self._watchers if not any(watcher.cache.all())]
        if empty and len(empty) == len(self._watchers) and empty[0].namespace:
            return f"if they run in another namespace, {empty[0].set_to('NAMESPACE')}"
        return ""

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
            f"{finding.title} pod ({finding.selector} in {finding.namespace or 'any namespace'})"
            for finding, _ in self._watchers
        )


def find(dcgm: Mapping[str, Any], agent: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return how both kinds are found, from selector, namespace and port of each."""
    return (
        Finding("DCGM exporter", **dcgm, setting=_setting("DCGM"), default_port=DCGM_PORT),
        Finding("vram-agent", **agent, setting=_setting("AGENT"), default_port=AGENT_PORT),
    )


def _setting(kind: str) -> str:
    chart = " (in the chart: vram.dcgm.namespace)" if kind == "DCGM" else ""
    return f"CLIPFARM_{kind}_NAMESPACE{chart}"
