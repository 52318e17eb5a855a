"""Exporters for each test."""

from collections.abc import Callable, Iterator

import pytest

from helpers.exporters import Exporter, Prometheus


@pytest.fixture
def export() -> Iterator[Callable[..., Exporter]]:
    """Start exporters; they are closed after the test."""
    made: list[Exporter] = []

    def start(*used: float, **how: str) -> Exporter:
        made.append(Exporter(*used, **how))
        return made[-1]

    yield start
    for exporter in made:
        exporter.close()


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    """A Prometheus that knows of GPU 0 of node-0."""
    made = Prometheus()
    yield made
    made.close()
