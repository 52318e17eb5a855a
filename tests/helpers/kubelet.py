"""A kubelet that ends pods as a test says, in namespaces whose name begins with ``driven-``.

There tools/cluster starts pods and removes deleted ones, but leaves the ends of a Job's pods to the test.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import urllib3

from helpers.cluster import ApiError, Namespace, Object

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclass(frozen=True)
class End:
    """How a pod ends: ``seconds`` after it started to run, with this exit code and termination message."""

    exit_code: int = 0
    seconds: float = 0.0
    message: str = ""
    evicted: bool = False

    def status(self, pod: Object) -> Object:
        """What a kubelet writes about it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        code = 137 if self.evicted else self.exit_code
        reason = {0: "Completed", 137: "Error" if self.evicted else "OOMKilled"}.get(code, "Error")
        ended = {"exitCode": code, "reason": reason, "message": self.message, "finishedAt": now}
        started = [status["state"]["running"]["startedAt"] for status in pod["status"]["containerStatuses"]]
        conditions = [("Ready", "False", ""), ("ContainersReady", "False", "")]
        if self.evicted:
            conditions.append(("DisruptionTarget", "True", "TerminationByKubelet"))
        return {
            "phase": "Failed" if code else "Succeeded",
            "reason": "Evicted" if self.evicted else None,
            "conditions": [
                {"type": type_, "status": value, "reason": reason, "lastTransitionTime": now}
                for type_, value, reason in conditions
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "ready": False,
                    "started": False,
                    "state": {"running": None, "terminated": ended | {"startedAt": began}},
                }
                for container, began in zip(pod["spec"]["containers"], started, strict=True)
            ],
        }


def end_pod(namespace: Namespace, name: str, end: End | None = None) -> None:
    """End a running pod now; for namespaces whose name begins with ``driven-``, where nobody else does."""
    pod = namespace.get("v1/pods", name)
    assert pod["status"]["phase"] == "Running", f"{name} is {pod['status']['phase']}"
    namespace.patch("v1/pods", name, "status", kind="strategic", body={"status": (end or End()).status(pod)})


def index(pod: Object) -> int:
    return int(pod["metadata"]["annotations"][INDEX])


def failures(pod: Object) -> int:
    """How often its index had failed before."""
    return int(pod["metadata"]["annotations"].get(FAILURES, 0))


def attempt(pod: Object) -> int:
    """Which attempt at its index this is, from 0; unlike failures, evictions count."""
    return failures(pod) + int(pod["metadata"]["annotations"].get(IGNORED, 0))


class Kubelet:
    """Ends the pods of a ``driven-`` namespace as ``outcome`` says; for None the test does it with ``end_pod``."""

    def __init__(self, namespace: Namespace, outcome: Callable[[Object], End | None]) -> None:
        self.started: list[Object] = []
        self._namespace = namespace
        self._outcome = outcome
        self._due: list[tuple[float, int, str, End]] = []
        self._number = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._watch, self._end)]

    def __enter__(self) -> "Kubelet":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The watching thread is not waited for: it may sit in a read, and does nothing after that.
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._threads[1].join()

    def _watch(self) -> None:
        seen: set[str] = set()
        path = self._namespace.api.path("v1/pods", self._namespace.name) + "?fieldSelector=status.phase=Running"
        while not self._stopped:
            try:
                for event in self._namespace.api.watch(path):
                    pod = event["object"]
                    if self._stopped or pod["kind"] != "Pod":
                        break
                    # A pod that leaves the selection, since it has ended, shows up as deleted.
                    new = event["type"] != "DELETED" and pod["metadata"]["uid"] not in seen
                    if new and INDEX in pod["metadata"].get("annotations", {}):
                        seen.add(pod["metadata"]["uid"])
                        self._start(pod)
            except (urllib3.exceptions.HTTPError, ApiError):
                # The API server is on its way out or in.
                time.sleep(0.1)

    def _start(self, pod: Object) -> None:
        self.started.append(pod)
        end = self._outcome(pod)
        if end is None:
            return
        with self._changed:
            heapq.heappush(
                self._due, (time.monotonic() + end.seconds, next(self._number), pod["metadata"]["name"], end)
            )
            self._changed.notify()

    def _end(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and not (self._due and self._due[0][0] <= time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                _, _, name, end = heapq.heappop(self._due)
            while not self._stopped and not self._ended(name, end):
                time.sleep(0.1)

    def _ended(self, name: str, end: End) -> bool:
        """Whether the pod has ended, by this or because it was deleted meanwhile; no while the API server is away."""
        try:
            if self._namespace.get("v1/pods", name)["status"]["phase"] == "Running":
                end_pod(self._namespace, name, end)
        except ApiError as error:
            if error.status not in (404, 409, 429) and error.status < 500:
                raise
            return error.status == 404
        except urllib3.exceptions.HTTPError:
            return False
        return True
