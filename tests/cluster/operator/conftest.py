"""Runs, and an operator, in each test's namespace."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from helpers.cluster import ControlPlane, Namespace
from helpers.encoder_pods import Encoder
from helpers.operators import Operator, Runs


@pytest.fixture
def runs(definition: ControlPlane, namespace: Namespace) -> Runs:
    """Runs whose pods end by themselves."""
    return Runs(namespace)


@pytest.fixture
def operator(start_operator: Callable[..., Operator], namespace: Namespace) -> Operator:
    """An operator in the test's namespace."""
    return start_operator(namespace)


@pytest.fixture
def encoder() -> Iterator[Encoder]:
    """What an encoder's pod answers."""
    made = Encoder()
    yield made
    made.close()


@pytest.fixture
def kubectl(definition: ControlPlane, namespace: Namespace) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run kubectl in the test's namespace."""
    return lambda *arguments, **how: definition.kubectl("--namespace", namespace.name, *arguments, **how)
