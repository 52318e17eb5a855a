"""What all tests are run with."""

import os
import signal
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLUSTER, LOCAL = TESTS / "cluster", TESTS / "local"
OWN_CONTROL_PLANE = CLUSTER / "chart"


def pytest_configure() -> None:
    """Set what programs of the tests inherit: signals that whoever started the tests ignores, and how threads wait."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    # PyTorch's threads, which wait for each other by computing, would take the CPUs from the tests beside them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist writes the groups into the tests' names
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal tests out to several processes: what shares something to one of them, what waits beside what computes."""
    if not hasattr(config, "workerinput"):
        return  # one process runs them in the order of their files
    for item in items:
        if (group := _group(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    places: dict[str, float] = {}
    for folder in (CLUSTER, LOCAL):
        units = list(dict.fromkeys(_unit(item) for item in items if folder in item.path.parents))
        places |= {unit: number / len(units) for number, unit in enumerate(units)}
    items.sort(key=lambda item: places.get(_unit(item), 1.0))


def _group(item: pytest.Item) -> str | None:
    """Return what a test is kept together with, unless the test itself says so; None: nothing."""
    if item.get_closest_marker("xdist_group") is not None:
        return None
    if OWN_CONTROL_PLANE in item.path.parents:
        return OWN_CONTROL_PLANE.name
    if CLUSTER in item.path.parents:
        return None  # some of them wait for a minute: one by one they keep all processes busy to the end
    return str(item.path.relative_to(TESTS))  # rendered clips, for instance, are made once for a file


def _unit(item: pytest.Item) -> str:
    """Return the group of a test, or the test itself."""
    mark = item.get_closest_marker("xdist_group")
    return item.nodeid if mark is None else f"group {mark.args[0]}"
