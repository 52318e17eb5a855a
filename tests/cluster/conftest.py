"""One control plane for each process that runs tests, which knows runs; a namespace, and operators, for each test."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.chart import DEFINITION
from helpers.cluster import ControlPlane, Namespace, build, cluster, started, temporary_namespace
from helpers.local import wait_until
from helpers.operators import Operator

NAME = "customresourcedefinitions/benchmarkruns.clipfarm.dev"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test: it can take longer than a test may, and somebody should see how far it is."""
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        build()
        if any("karpenter" in getattr(item, "fixturenames", ()) for item in session.items):
            build("karpenter")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    cluster("down", "--abandoned")
    yield from started(f"pytest-{os.getpid()}", "--nodes", 3, "--cpu", 100, "--gpus", 4)


@pytest.fixture(scope="session")
def karpenter(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, with an autoscaler beside it from the first test on that needs one."""
    control_plane.add_karpenter()
    return control_plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[Namespace]:
    """Here pods of Jobs end by themselves, as annotations of theirs say: tools/cluster/stages/pods.yaml."""
    with temporary_namespace(control_plane.api, f"test-{secrets.token_hex(4)}") as made:
        yield made


@pytest.fixture
def driven(control_plane: ControlPlane) -> Iterator[Namespace]:
    """Here pods of Jobs run until the test ends them, with ``end_pod`` or through a ``Kubelet``."""
    with temporary_namespace(control_plane.api, f"driven-{secrets.token_hex(4)}") as made:
        yield made


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
def start_operator(definition: ControlPlane, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Start operators, with options of their own; they are ended after the test."""
    started: list[Operator] = []

    def start(namespace: Namespace, *options: object, everywhere: bool = False) -> Operator:
        folder = tmp_path / f"operator-{len(started)}"
        folder.mkdir()
        started.append(Operator(definition, namespace, folder, *options, everywhere=everywhere).start())
        return started[-1]

    yield start
    for operator in started:
        if operator.running:
            operator.end()
        sys.stdout.write(operator.log())  # pytest shows it where the test failed
        assert "Traceback" not in operator.log()
