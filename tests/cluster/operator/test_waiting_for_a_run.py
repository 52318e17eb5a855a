"""Tools that know nothing of clips wait for a run: kubectl, kstatus, Argo CD."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from helpers.cluster import ApiError, ControlPlane, Namespace, program
from helpers.health import SCRIPT, health
from helpers.local import wait_until
from helpers.operators import RUNS, Operator, Runs, command

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


def waits_for(kubectl: Kubectl, condition: str, timeout: str = "60s") -> subprocess.CompletedProcess[str]:
    return kubectl("wait", "benchmarkrun/run", f"--for=condition={condition}", f"--timeout={timeout}")


def test_kubectl_waits_for_success(runs: Runs, operator: Operator, kubectl: Kubectl):
    runs.create(clips=3, seconds="1")
    done = waits_for(kubectl, "Complete")
    assert (done.returncode, done.stdout) == (0, "benchmarkrun.clipfarm.dev/run condition met\n")
    assert runs.status()["phase"] == "Succeeded"
    assert health([runs.get()])[0].words == ("Current", "Healthy")
    assert waits_for(kubectl, "Failed", timeout="1s").returncode == 1


@pytest.mark.parametrize("ends", [{1: [1]}, {0: [1], 1: [1], 2: [1]}])
def test_kubectl_waits_for_failure(runs: Runs, operator: Operator, kubectl: Kubectl, ends):
    runs.create(clips=3, ends=ends)
    assert waits_for(kubectl, "Failed").returncode == 0
    assert runs.status()["phase"] in ("CompletedWithFailures", "Failed")
    assert health([runs.get()])[0].words == ("Failed", "Degraded")
    done = waits_for(kubectl, "Complete", timeout="1s")
    assert done.returncode == 1
    assert "timed out" in done.stderr


def test_a_run_is_in_progress_from_its_first_moment_until_it_succeeds(runs: Runs, start_operator, namespace: Namespace):
    runs.create(clips=2, seconds="1")
    assert runs.status()["observedGeneration"] == -1
    assert health([runs.get()])[0].words == ("InProgress", "Progressing")
    assert "no operator has looked at this run yet" in runs.condition("Ready")["message"]
    start_operator(namespace)
    seen = set()

    def complete() -> bool:
        seen.add(health([run := runs.get()])[0].words)
        return run["status"]["phase"] == "Succeeded"

    wait_until(complete, "the run to succeed")
    assert seen <= {("InProgress", "Progressing"), ("Current", "Healthy")}


def test_what_was_tried_again_is_no_longer_failed(definition: ControlPlane, runs: Runs, operator: Operator, kubectl):
    runs.create(clips=2, seconds="1", ends={1: [1]})
    assert waits_for(kubectl, "Failed").returncode == 0
    done = command(definition, "retry", "run", "--failed", "--namespace", runs.namespace.name)
    assert not done.returncode, done.stderr
    # The pod of the one clip that is tried again has another index, and ends well.
    assert waits_for(kubectl, "Complete").returncode == 0
    assert runs.condition("Failed")["status"] == ""


def test_a_suspended_run_is_neither_failed_nor_done(runs: Runs, operator: Operator):
    runs.create(suspend=True)
    wait_until(lambda: runs.status().get("phase") == "Suspended", "the run to be seen")
    assert health([runs.get()])[0].words == ("InProgress", "Suspended")


def test_a_run_that_makes_no_sense_has_failed(runs: Runs, operator: Operator, kubectl: Kubectl):
    runs.create(vram={"checkInterval": "1d", "staleAfter": "1h"})
    assert waits_for(kubectl, "Failed").returncode == 0
    assert runs.status()["phase"] == "Invalid"
    assert health([runs.get()])[0].words == ("Failed", "Degraded")


def test_the_status_says_when_it_was_written(runs: Runs, operator: Operator, definition: ControlPlane):
    runs.create(clips=1, seconds="3600")
    runs.running(1)
    wait_until(lambda: runs.status().get("running") == 1, "the run to be seen")
    operator.kill()
    assert "old" not in command(definition, "status", "run", "--namespace", runs.namespace.name).stdout
    runs.namespace.patch(RUNS, "run", "status", body={"status": {"observedAt": "2026-01-01T00:00:00Z"}})
    said = command(definition, "status", "run", "--namespace", runs.namespace.name).stdout
    assert "old: no operator has refreshed it since; `kubectl get deployments -A" in said
    runs.patch(workers=2)
    said = command(definition, "status", "run", "--namespace", runs.namespace.name).stdout
    assert "the run has changed since; no operator has looked at the change yet" in said


def test_the_script_is_installed_as_the_documentation_says(definition: ControlPlane, namespace: Namespace):
    root = SCRIPT.parents[3]
    document = (root / "docs" / "operator.md").read_text()
    line = next(part for part in document.split("\n$ ") if "argocd-cm" in part).partition("\n```")[0]
    api, path = namespace.api, "/api/v1/namespaces/argocd/configmaps"
    with suppress(ApiError):
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "argocd"}})
    api.request("POST", path, {"metadata": {"name": "argocd-cm"}, "data": {"other": "kept"}})
    try:
        environment = os.environ | {
            "KUBECONFIG": definition.kubeconfig,
            "PATH": f"{Path(program('kubectl')).parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(["bash", "-euc", line], cwd=root, env=environment, capture_output=True, check=False)
        assert not done.returncode, done.stderr
        found = api.request("GET", f"{path}/argocd-cm")["data"]
    finally:
        api.request("DELETE", f"{path}/argocd-cm")
    assert found == {"other": "kept", "resource.customizations.health.clipfarm.dev_BenchmarkRun": SCRIPT.read_text()}
