"""This machine as a node, with clipfarm installed, for the whole session; a namespace and a volume for each test."""

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import images
from helpers.cluster import CannotStartError, build, cluster
from helpers.node import ENCODE, OPERATOR, RENDER, Node, Place

STARTED = pytest.StashKey[Node | str]()
"""The node, or why there is none."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build and start before the first test: it takes longer than a test may, and somebody should see how far it is."""
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        begun = time.monotonic()
        session.config.stash[STARTED] = _start()
        print(f"\nnode: ready after {time.monotonic() - begun:.0f} s", flush=True)


def _start() -> Node | str:
    cluster("down", "--abandoned")
    build()
    build("kubelet", "dns", "helm", "kubectl")
    try:
        node = Node.up(f"pytest-node-{os.getpid()}", "--node")
        images.ensure([OPERATOR, RENDER, ENCODE])
        node.install()
    except (CannotStartError, images.MissingError, AssertionError) as error:
        return str(error)
    return node


def pytest_sessionfinish(session: pytest.Session) -> None:
    if STARTED in session.config.stash:
        cluster("down", "--name", f"pytest-node-{os.getpid()}")


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Node:
    started = request.config.stash[STARTED]
    if isinstance(started, str):
        if "install" in started and not os.environ.get("CI"):
            pytest.skip(started)
        pytest.fail(started)
    return started


@pytest.fixture
def place(node: Node, tmp_path: Path) -> Iterator[Place]:
    """A namespace with a claim, and the folder behind it."""
    volume = tmp_path / "volume"
    volume.mkdir()
    with node.namespace(f"test-{secrets.token_hex(4)}", volume) as made:
        yield made
        print(made.explain())  # pytest shows it where the test failed
