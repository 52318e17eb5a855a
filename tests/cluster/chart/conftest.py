"""A control plane of its own: what a chart installs belongs to the whole cluster."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.chart import CHART
from helpers.cluster import ControlPlane, Namespace, build, started
from helpers.local import wait_until
from helpers.releases import Release


def pytest_collection_finish(session: pytest.Session) -> None:
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        build("kubectl", "helm")


@pytest.fixture(scope="package")
def control_plane() -> Iterator[ControlPlane]:
    yield from started(f"pytest-{os.getpid()}-chart", "--nodes", 2, "--cpu", 100, "--gpus", 2)


@pytest.fixture
def release(control_plane: ControlPlane) -> Iterator[Callable[..., Release]]:
    """Install the chart, each time into a namespace that takes none but restricted pods; uninstalled after the test."""
    made: list[Release] = []

    def install(chart: Path = CHART, **values: object) -> Release:
        name = f"farm-{secrets.token_hex(3)}"
        enforced = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
        body = {"metadata": {"name": name, "labels": enforced}}
        control_plane.api.request("POST", "/api/v1/namespaces", body)
        made.append(Release(control_plane, Namespace(control_plane.api, name), name))
        made[-1].chart = chart
        made[-1].install(**values)
        return made[-1]

    yield install
    for each in made:
        each.close()
        control_plane.api.request("DELETE", f"/api/v1/namespaces/{each.namespace.name}")


@pytest.fixture
def without_definition(control_plane: ControlPlane) -> None:
    """No release has left its definition."""
    done = control_plane.kubectl("delete", "crd", "benchmarkruns.clipfarm.dev", "--ignore-not-found", "--timeout=110s")
    assert not done.returncode, done.stderr
    wait_until(lambda: "clipfarm.dev" not in control_plane.kubectl("api-resources").stdout, "the definition to be gone")
