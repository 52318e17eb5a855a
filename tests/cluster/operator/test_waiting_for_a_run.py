"""Tools that know nothing of clips wait for a run: kubectl, kstatus, Argo CD."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.cluster import ApiError, ControlPlane, Namespace, program, temporary_namespace
from helpers.definition import is_taken, without_rules
from helpers.health import SCRIPT, health
from helpers.local import wait_until
from helpers.operators import RUNS, Operator, Runs, command

Wait = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def shared(definition: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Runs of a namespace that one operator looks after for all tests."""
    with temporary_namespace(definition.api, f"test-{secrets.token_hex(4)}") as namespace:
        operator = Operator(definition, namespace, tmp_path_factory.mktemp("operator")).start()
        yield Runs(namespace)
        operator.end()


@pytest.fixture
def wait(definition: ControlPlane, shared: Runs) -> Wait:
    """Have kubectl wait for a run's condition."""

    def run(name: str, condition: str, timeout: str = "60s") -> subprocess.CompletedProcess[str]:
        what = (f"benchmarkrun/{name}", f"--for=condition={condition}", f"--timeout={timeout}")
        return definition.kubectl("--namespace", shared.namespace.name, "wait", *what)

    return run


def test_kubectl_waits_for_success(shared: Runs, wait: Wait):
    shared.create("good", clips=3, seconds="0.5")
    done = wait("good", "Complete")
    assert (done.returncode, done.stdout) == (0, "benchmarkrun.clipfarm.dev/good condition met\n")
    assert shared.status("good")["phase"] == "Succeeded"
    assert health([shared.get("good")])[0].words == ("Current", "Healthy")


@pytest.mark.parametrize(("name", "ends"), [("some-bad", {1: [1]}), ("all-bad", {0: [1], 1: [1], 2: [1]})])
def test_kubectl_waits_for_failure(shared: Runs, wait: Wait, name: str, ends: Any):
    shared.create(name, clips=3, ends=ends)
    assert wait(name, "Failed").returncode == 0
    assert shared.status(name)["phase"] in ("CompletedWithFailures", "Failed")
    assert health([shared.get(name)])[0].words == ("Failed", "Degraded")
    done = wait(name, "Complete", timeout="0.1s")
    assert (done.returncode, "timed out" in done.stderr) == (1, True)


def test_what_was_tried_again_is_no_longer_failed(definition: ControlPlane, shared: Runs, wait: Wait):
    shared.create("again", clips=2, ends={1: [1]})
    assert wait("again", "Failed").returncode == 0
    done = command(definition, "retry", "again", "--namespace", shared.namespace.name)
    assert not done.returncode, done.stderr
    # The pod of the one clip that is tried again has another index, and ends well.
    assert wait("again", "Complete").returncode == 0
    assert shared.condition("Failed", "again")["status"] == ""


def test_a_suspended_run_is_neither_failed_nor_done(shared: Runs):
    shared.create("suspended", suspend=True)
    wait_until(lambda: shared.status("suspended").get("phase") == "Suspended", "the run to be seen")
    assert health([shared.get("suspended")])[0].words == ("InProgress", "Suspended")


def test_a_run_that_makes_no_sense_has_failed(shared: Runs, wait: Wait, definition: ControlPlane):
    senseless = {"checkInterval": "1d", "staleAfter": "1h"}
    with without_rules(definition, "spec", "vram"):
        wait_until(lambda: is_taken(shared, "senseless", vram=senseless), "the run to be taken")
    assert wait("senseless", "Failed").returncode == 0
    assert shared.status("senseless")["phase"] == "Invalid"
    assert health([shared.get("senseless")])[0].words == ("Failed", "Degraded")


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
