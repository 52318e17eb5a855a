"""This machine as a node with clipfarm on it, as README says, for the whole session; a namespace for each test."""

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.cluster import cluster
from helpers.documents import Shell
from helpers.node import INSTALLATION, README, Node, Place

NAME = f"pytest-node-{os.getpid()}"
STARTED = pytest.StashKey[tuple[Node, Shell] | str]()
"""The node, and the shell that README's lines ran in; or why there is none."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build and start before the first test: it takes longer than a test may, and somebody should see how far it is."""
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    folder = session.config._tmp_path_factory.mktemp("shell")  # type: ignore[attr-defined]
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        begun = time.monotonic()
        session.config.stash[STARTED] = _start(folder)
        print(f"\nnode: ready after {time.monotonic() - begun:.0f} s", flush=True)


def _start(folder: Path) -> tuple[Node, Shell] | str:
    cluster("down", "--abandoned")
    temporary = folder / "tmp"
    temporary.mkdir()
    # The cluster has an owner: should this process be killed, the next one takes it down.
    variables = {"CLUSTER_NAME": NAME, "CLUSTER_OWNER": str(os.getpid()), "TMPDIR": str(temporary)}
    shell = Shell(os.environ | variables, folder)
    try:
        for command in README[:INSTALLATION]:
            print(f"\n$ {command}", flush=True)
            shell.run(command, None, shown=True)
        node = Node(NAME)
        node.restrict()
        shell.run(README[INSTALLATION])
        node.settle()
    except AssertionError as error:
        return str(error)
    return node, shell


def pytest_sessionfinish(session: pytest.Session) -> None:
    if STARTED in session.config.stash:
        cluster("down", "--name", NAME)


@pytest.fixture(scope="session")
def started(request: pytest.FixtureRequest) -> tuple[Node, Shell]:
    found = request.config.stash[STARTED]
    if isinstance(found, str):
        pytest.fail(found)
    return found


@pytest.fixture(scope="session")
def node(started: tuple[Node, Shell]) -> Node:
    return started[0]


@pytest.fixture(scope="session")
def reader(started: tuple[Node, Shell]) -> Shell:
    """A reader's shell, after README's lines up to the installation."""
    return started[1]


@pytest.fixture
def place(node: Node, tmp_path: Path) -> Iterator[Place]:
    """A namespace with a claim, and the folder behind it."""
    volume = tmp_path / "volume"
    volume.mkdir()
    with node.namespace(f"test-{secrets.token_hex(4)}", volume) as made:
        yield made
        print(made.explain())  # pytest shows it where the test failed
