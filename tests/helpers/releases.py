"""A release of the chart on a control plane, and its operator: the process that its Deployment describes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers.chart import CHART, helm, settings
from helpers.cluster import ControlPlane, Namespace, Object
from helpers.local import wait_until

RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Release:
    """One release; its pods are kwok's, so the operator is started here, as its pod would be."""

    def __init__(self, control_plane: ControlPlane, namespace: Namespace, name: str) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self.name = name
        self.chart = CHART
        self._installed = False

    def helm(self, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        options = ("--namespace", self.namespace.name)
        return helm(*command.split(), self.name, *arguments, *options, kubeconfig=self.control_plane.kubeconfig)

    def install(self, **values: object) -> str:
        """Install; returns what helm says."""
        # From a test before this one the definition may be there.
        return self._apply("install", values, "--take-ownership")

    def upgrade(self, **values: object) -> str:
        """Upgrade to these values, and the chart's own for all others."""
        return self._apply("upgrade", values)

    def uninstall(self) -> str:
        done = self.helm("uninstall", "--wait")
        assert not done.returncode, done.stderr
        self._installed = False
        return done.stdout

    def close(self) -> None:
        if self._installed:
            self.uninstall()

    def _apply(self, command: str, values: dict[str, object], *options: str) -> str:
        chosen = settings({path.replace("__", "."): value for path, value in values.items()})
        named = ("--set", f"fullnameOverride={self.name}")
        done = self.helm(command, self.chart, *chosen, *named, "--wait", "--timeout=60s", *options)
        assert not done.returncode, done.stderr
        self._installed = True
        return done.stdout

    def deployment(self) -> Object:
        return self.namespace.get("apps/v1/deployments", self.name)

    def pods(self, component: str) -> list[Object]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        return self.namespace.pods(selector)

    def token(self) -> str:
        """A token of the account that the operator's pod runs with."""
        account = self.deployment()["spec"]["template"]["spec"]["serviceAccountName"]
        path = self.namespace.api.path("v1/serviceaccounts", self.namespace.name, account, "token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return self.namespace.api.request("POST", path, body)["status"]["token"]

    def granted(self) -> set[tuple[str, str, str, str]]:
        """All that roles of the release allow: verb, group, resource, and the namespace; empty: in all."""
        api, found = self.namespace.api, set()
        for kind in ("clusterroles", "roles"):
            for role in api.request("GET", f"{RBAC}/{kind}?labelSelector=app.kubernetes.io/instance={self.name}")[
                "items"
            ]:
                if role["metadata"]["name"] in (self.name, f"{self.name}-lease"):
                    found |= {(*right, role["metadata"].get("namespace", "")) for right in _rights(role["rules"])}
        return found


def _rights(rules: list[Object]) -> set[tuple[str, str, str]]:
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


class Process:
    """The operator of a release as a process here: its pod's arguments and environment, at a port of this machine."""

    def __init__(self, release: Release, kubeconfig: str, folder: Path) -> None:
        [container] = release.deployment()["spec"]["template"]["spec"]["containers"]
        self._command = [sys.executable, "-m", "clipfarm.cli.main", *container["args"]]
        # Of an option that is given twice the last one counts.
        self._command += ["--host=127.0.0.1", "--port=0", "--page-port=0"]
        (folder / "kubeconfig").write_text(kubeconfig)
        self._environment = os.environ | {
            "KUBECONFIG": str(folder / "kubeconfig"),
            **{entry["name"]: entry.get("value", "") for entry in container["env"]},
        }
        self._log = folder / "operator.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Process":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=30)
        sys.stdout.write(self.log())  # pytest shows it where the test failed

    def log(self) -> str:
        return self._log.read_text()

    def address(self) -> str:
        """Where it serves /healthz and /metrics."""
        marker = "/metrics at "
        wait_until(lambda: marker in self.log(), "the operator to serve")
        return self.log().rpartition(marker)[2].splitlines()[0]
