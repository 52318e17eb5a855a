"""The definition of runs on the control plane, and an operator for each test."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.cluster import ControlPlane, Namespace
from helpers.local import wait_until
from helpers.operators import Operator, Runs

DEFINITION = Path(__file__).parents[3] / "crds" / "benchmarkruns.clipfarm.dev.yaml"
NAME = "customresourcedefinitions/benchmarkruns.clipfarm.dev"


@pytest.fixture(scope="session")
def definition(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, which knows what a BenchmarkRun is."""
    done = control_plane.kubectl("apply", "-f", DEFINITION)
    assert not done.returncode, done.stderr
    path = f"/apis/apiextensions.k8s.io/v1/{NAME}"

    def established() -> bool:
        conditions = control_plane.api.request("GET", path).get("status", {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    wait_until(established, "the definition to be taken in")
    return control_plane


@pytest.fixture
def runs(definition: ControlPlane, namespace: Namespace) -> Runs:
    """Runs whose pods end by themselves."""
    return Runs(namespace)


@pytest.fixture
def start_operator(definition: ControlPlane, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Start operators, with options of their own; they are ended after the test."""
    started: list[Operator] = []

    def start(namespace: Namespace, *options: object) -> Operator:
        folder = tmp_path / f"operator-{len(started)}"
        folder.mkdir()
        started.append(Operator(definition, namespace, folder, *options).start())
        return started[-1]

    yield start
    for operator in started:
        if operator.running:
            operator.end()
        sys.stdout.write(operator.log())  # pytest shows it where the test failed
        assert "Traceback" not in operator.log()


@pytest.fixture
def operator(start_operator: Callable[..., Operator], namespace: Namespace) -> Operator:
    """An operator in the test's namespace."""
    return start_operator(namespace)


@pytest.fixture
def kubectl(definition: ControlPlane, namespace: Namespace) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run kubectl in the test's namespace."""
    return lambda *arguments, **how: definition.kubectl("--namespace", namespace.name, *arguments, **how)
