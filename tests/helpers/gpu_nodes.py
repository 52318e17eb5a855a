"""GPUs of nodes that kwok plays: what is in use of them follows from the pods there, and an exporter tells it."""

import json
import threading
import time
from collections import defaultdict
from typing import Any

import urllib3

from helpers.cluster import ApiError, Namespace
from helpers.exporters import TOTAL_MIB, Served
from helpers.operators import PODS, is_at_work

LABELS = "clipfarm.dev/role=render"
Gpu = tuple[str, int]


class GpuNodes(Served):
    """Serves the numbers of all nodes at one address, with an age of zero.

    A pod that runs has ``clip_mib`` in use of the GPU that its annotation names; without one, of the first GPU of its
    node that has no other pod: so a device plugin may give them out.

    Pods are watched, as listing hundreds of them each second would keep the API server busier than they do.
    """

    def __init__(
        self, namespace: Namespace, nodes: tuple[str, ...], gpus: int, clip_mib: float, look_seconds: float = 0.2
    ) -> None:
        self.others: dict[Gpu, float] = defaultdict(float)
        """MiB that others have in use."""
        self.silent: set[str] = set()
        """Nodes that nothing is told of."""
        self.broken = False
        self.most: dict[Gpu, float] = defaultdict(float)
        """The most that was ever in use at a time, pods that are on their way included."""
        self._namespace, self._clip_mib, self._look_seconds = namespace, clip_mib, look_seconds
        self._gpus = [(node, gpu) for node in nodes for gpu in range(gpus)]
        self._used: dict[Gpu, float] = {}
        self._pods: dict[str, dict[str, Any]] = {}
        """Pods at work, by UID."""
        self._stopped = False
        self._look()
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/metrics"
        threading.Thread(target=self._watch, daemon=True).start()
        self._looking = threading.Thread(target=self._look_on, daemon=True)
        self._looking.start()

    def close(self) -> None:
        super().close()
        self._stopped = True
        self._looking.join()

    def _look_on(self) -> None:
        while not self._stopped:
            self._look()
            time.sleep(self._look_seconds)

    def _watch(self) -> None:
        """Follow the pods, until no more are looked at; a watch that ends is begun anew, with all that are there."""
        api = self._namespace.api
        path = f"{api.path(PODS, self._namespace.name)}?labelSelector={LABELS.replace('=', '%3D')}"
        while not self._stopped:
            try:
                listed = api.request("GET", path)
                self._pods = {pod["metadata"]["uid"]: pod for pod in filter(is_at_work, listed["items"])}
                version = listed["metadata"]["resourceVersion"]
                for event in api.watch(f"{path}&resourceVersion={version}"):
                    pod = event["object"]
                    if pod["kind"] != "Pod" or self._stopped:
                        break
                    if event["type"] != "DELETED" and is_at_work(pod):
                        self._pods[pod["metadata"]["uid"]] = pod
                    else:
                        self._pods.pop(pod["metadata"]["uid"], None)
            except (urllib3.exceptions.HTTPError, ApiError):
                time.sleep(0.05)  # the API server is on its way out or in

    def _look(self) -> None:
        running, sent = defaultdict(int), defaultdict(int)
        for pod in list(self._pods.values()):
            where = self._gpu_of(pod, sent)
            if where is not None:
                sent[where] += 1
                running[where] += pod["status"]["phase"] == "Running"
        self._used = {gpu: self.others[gpu] + self._clip_mib * running[gpu] for gpu in self._gpus}
        for gpu in self._gpus:
            self.most[gpu] = max(self.most[gpu], self.others[gpu] + self._clip_mib * sent[gpu])

    def _gpu_of(self, pod: dict[str, Any], taken: dict[Gpu, int]) -> Gpu | None:
        annotations = pod["metadata"].get("annotations", {})
        if "clipfarm.dev/gpu" in annotations:
            told = json.loads(annotations["clipfarm.dev/gpu"])
            return told["node"], told["index"]
        node = annotations.get("clipfarm.dev/node") or pod["spec"].get("nodeName")
        return next(((n, gpu) for n, gpu in self._gpus if n == node and not taken[n, gpu]), None)

    def page(self) -> str | None:
        return None if self.broken else self.text()

    def text(self, of: str = "") -> str:
        """Return the metrics of one node; of all, where none is named."""
        lines = []
        for (node, gpu), used in self._used.items():
            if node not in self.silent and of in ("", node):
                labels = f'{{gpu="{gpu}",UUID="GPU-{node}-{gpu}",Hostname="{node}"}}'
                lines.append(f"DCGM_FI_DEV_FB_USED{labels} {min(used, TOTAL_MIB)}")
                lines.append(f"DCGM_FI_DEV_FB_FREE{labels} {max(0.0, TOTAL_MIB - used)}")
                lines.append(f"clipfarm_agent_reading_age_seconds{labels} 0")
        return "\n".join(lines) + "\n"


class NodeExporter(Served):
    """The exporter of one of the nodes, at an address of its own."""

    def __init__(self, gpus: GpuNodes, node: str) -> None:
        self._gpus, self._node = gpus, node
        super().__init__()

    def page(self) -> str:
        return self._gpus.text(self._node)
