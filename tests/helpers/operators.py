"""The operator as a process on a control plane, runs for it, and a witness of what it lets go."""

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import urllib3

from clipfarm.cluster.reporting.summary import FINISHED, phase
from helpers.cluster import ApiError, ControlPlane, Namespace, Object
from helpers.kubelet import index
from helpers.local import CLIPFARM, wait_until
from helpers.runs import document

RUNS = "clipfarm.dev/v1alpha1/benchmarkruns"
CONFIG_MAPS = "v1/configmaps"
JOBS, PODS, DEPLOYMENTS, CLAIMS, EVENTS, NODES = (
    "batch/v1/jobs", "v1/pods", "apps/v1/deployments", "v1/persistentvolumeclaims", "v1/events", "v1/nodes",
)  # fmt: skip
GATE = "clipfarm.dev/admission"


def run_document(name: str = "run", clips: int = 4, *, seconds: str = "0", ends: Any = None, **spec: Any) -> Object:
    """Return a run whose pods last ``seconds`` and end as ``ends`` says; see tools/cluster/stages/pods.yaml."""
    annotations = {"clipfarm.test/run-seconds": seconds} | ({"clipfarm.test/ends": json.dumps(ends)} if ends else {})
    # All pods stay, for tests to look at, and each makes one clip; what happens otherwise has tests of its own.
    render = {"keepPods": "all", "clipsPerPod": 1} | spec.pop("render", {})
    pod = render.get("pod", {})
    notes = annotations | spec.pop("annotations", {}) | pod.get("annotations", {})
    render["pod"] = pod | {"annotations": notes}
    made = document(clips, **({"storage": {"size": "1Gi"}, "render": render} | spec))
    made["metadata"]["name"] = name
    return made


class Runs:
    """The runs of one namespace, as a test looks at them."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def create(self, name: str = "run", clips: int = 4, **how: Any) -> str:
        self.namespace.create(RUNS, run_document(name, clips, **how))
        return name

    def get(self, name: str = "run") -> Object:
        return self.namespace.get(RUNS, name)

    def status(self, name: str = "run") -> Object:
        return self.get(name).get("status", {})

    def condition(self, kind: str, name: str = "run") -> Object:
        found = self.status(name).get("conditions", [])
        return next((entry for entry in found if entry["type"] == kind), {"status": "", "reason": "", "message": ""})

    def patch(self, name: str = "run", **spec: Any) -> None:
        self.namespace.patch(RUNS, name, body={"spec": spec})

    def finished(self, name: str = "run", limit: float = 60.0) -> Object:
        """Wait for a run's end, and return its status."""

        def look() -> Object | None:
            run = self.get(name)
            return run["status"] if phase(run) in FINISHED else None

        return wait_until(look, f"the run {name} to finish", limit)

    def pods(self, name: str = "run") -> list[Object]:
        return self.namespace.pods(f"clipfarm.dev/run={name},clipfarm.dev/role=render")

    def at_work(self, name: str = "run") -> list[Object]:
        return [pod for pod in self.pods(name) if is_at_work(pod)]

    def running(self, count: int, name: str = "run") -> list[Object]:
        """Wait until so many pods run, no more and no fewer, and return them."""

        def look() -> list[Object] | None:
            pods = self.at_work(name)
            ready = len(pods) == count and all(pod["status"]["phase"] == "Running" for pod in pods)
            return pods if ready else None

        return wait_until(look, f"{count} pods to run") or []

    def reporter(self, name: str = "run") -> Object:
        """Wait until the pod that writes a run's report runs, and return it."""
        labels = f"clipfarm.dev/run={name},clipfarm.dev/role=report"

        def look() -> Object | None:
            return next((pod for pod in self.namespace.pods(labels) if pod["status"]["phase"] == "Running"), None)

        return wait_until(look, "the pod of the report to run")

    def gated(self, name: str = "run") -> list[Object]:
        return [pod for pod in self.pods(name) if is_gated(pod)]

    def attempts(self, name: str = "run") -> dict[int, int]:
        """How many pods each index had that were let go."""
        return dict(Counter(index(pod) for pod in self.pods(name) if not is_gated(pod)))


def is_gated(pod: Object) -> bool:
    return any(gate["name"] == GATE for gate in pod["spec"].get("schedulingGates", ()))


def is_at_work(pod: Object) -> bool:
    return not is_gated(pod) and pod["status"]["phase"] not in ("Succeeded", "Failed")


class Operator:
    """``clipfarm operator`` as a process, in one namespace or in all."""

    def __init__(
        self,
        control_plane: ControlPlane,
        namespace: Namespace,
        folder: Path,
        *options: object,
        everywhere: bool = False,
    ) -> None:
        where = [] if everywhere else ["--namespace", namespace.name]
        self._command = [*CLIPFARM, "operator", *where, "--port", "0", *map(str, options)]
        # As a pod has them: a container that is started again in its pod takes up its Lease at once.
        pod = {"POD_NAME": "operator", "POD_UID": secrets.token_hex(8)}
        self._environment = os.environ | pod | {"KUBECONFIG": control_plane.kubeconfig}
        self._log = folder / "operator.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Operator":
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status; 0 where it does not run."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait(timeout=30)
        self._process = None
        return status

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def address(self) -> str:
        """Where it serves /healthz and /metrics."""
        marker = "/metrics at "
        wait_until(lambda: marker in self.log(), "the operator to serve")
        return self.log().rpartition(marker)[2].splitlines()[0]

    def http(self, path: str) -> tuple[int, str]:
        answer = urllib3.request("GET", self.address() + path, timeout=5)
        return answer.status, answer.data.decode()


def strand(runs: Runs, name: str) -> Object:
    """Let one of a run's pods go to a node that is not there any more; return the pod."""
    pod = wait_until(lambda: next(iter(runs.gated(name)), None), "a pod at its gate")
    fields = [{"key": "metadata.name", "operator": "In", "values": ["gone"]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    patch = [
        {"op": "remove", "path": "/spec/schedulingGates"},
        {"op": "add", "path": "/metadata/annotations/clipfarm.dev~1node", "value": "gone"},
        {
            "op": "add",
            "path": "/spec/affinity",
            "value": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        },
    ]
    runs.namespace.patch(PODS, pod["metadata"]["name"], body=patch)
    return pod


def is_evicted(runs: Runs, pod: Object) -> bool:
    """Whether a pod was evicted; one that no node has is there for up to 20 s after that, and then another is made."""
    found = [each for each in runs.namespace.pods() if each["metadata"]["uid"] == pod["metadata"]["uid"]]
    conditions = [entry["reason"] for each in found for entry in each["status"]["conditions"] if "reason" in entry]
    return "EvictionByEvictionAPI" in conditions


class Witness:
    """Counts the pods of a run that are at work, by every change that the API server tells of, in its order."""

    def __init__(self, namespace: Namespace, run: str = "run") -> None:
        self.most = 0
        self.started: Counter[int] = Counter()
        """Pods that were let go, by index."""
        self._api = namespace.api
        self._path = (
            f"{self._api.path(PODS, namespace.name)}?labelSelector=clipfarm.dev/run%3D{run},clipfarm.dev/role%3Drender"
        )
        self._seen: set[str] = set()
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True

    def _watch(self) -> None:
        while not self._stopped:
            at_work: set[str] = set()
            try:
                for event in self._api.watch(self._path):
                    if event["object"]["kind"] != "Pod" or self._stopped:
                        break
                    self._take(event["type"], event["object"], at_work)
            except (urllib3.exceptions.HTTPError, ApiError):
                time.sleep(0.05)  # the API server is on its way out or in

    def _take(self, kind: str, pod: Object, at_work: set[str]) -> None:
        uid = pod["metadata"]["uid"]
        if kind != "DELETED" and is_at_work(pod):
            at_work.add(uid)
        else:
            at_work.discard(uid)
        self.most = max(self.most, len(at_work))
        if not is_gated(pod) and uid not in self._seen:
            self._seen.add(uid)
            self.started[index(pod)] += 1


def command(control_plane: ControlPlane, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command of clipfarm's against the control plane."""
    return subprocess.run(
        [*CLIPFARM, *map(str, arguments)],
        env=os.environ | {"KUBECONFIG": control_plane.kubeconfig, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
