"""One control plane for the whole session, and a namespace of its own for each test."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.cluster import COMMAND, ApiError, CannotStartError, ControlPlane, Namespace, cluster
from helpers.local import wait_until


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test: it can take longer than a test may, and somebody should see how far it is."""
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        # Why it cannot be done, where it cannot, is said by the fixture.
        subprocess.run([COMMAND, "build"], stdout=subprocess.DEVNULL, check=False)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    name = f"pytest-{os.getpid()}"
    cluster("down", "--abandoned")
    try:
        yield ControlPlane.up(name, "--nodes", 3, "--cpu", 100, "--gpus", 4)
    except CannotStartError as error:
        if error.needs_installing and not os.environ.get("CI"):
            pytest.skip(str(error))
        pytest.fail(str(error))
    finally:
        cluster("down", "--name", name)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[Namespace]:
    """Here pods of Jobs end by themselves, as annotations of theirs say: tools/cluster/stages/pods.yaml."""
    yield from _namespace(control_plane, f"test-{secrets.token_hex(4)}")


@pytest.fixture
def driven(control_plane: ControlPlane) -> Iterator[Namespace]:
    """Here pods of Jobs run until the test ends them, with ``end_pod`` or through a ``Kubelet``."""
    yield from _namespace(control_plane, f"driven-{secrets.token_hex(4)}")


def _namespace(control_plane: ControlPlane, name: str) -> Iterator[Namespace]:
    api = control_plane.api
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    made = Namespace(api, name)
    wait_until(lambda: _has_account(made), "the namespace's default service account, without which no pod is taken")
    yield made
    api.request("DELETE", f"/api/v1/namespaces/{name}")


def _has_account(namespace: Namespace) -> bool:
    try:
        return bool(namespace.get("v1/serviceaccounts", "default"))
    except ApiError as error:
        if error.status != 404:
            raise
        return False
