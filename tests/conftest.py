"""What all tests are run with."""

import os
import signal
from typing import Any

import pytest

from helpers.scheduling import Scheduling, unit


def pytest_configure() -> None:
    """Set what programs of the tests inherit: signals that whoever started the tests ignores, and how threads wait."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    # PyTorch's threads, which wait for each other by computing, would take the CPUs from the tests beside them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Deal tests out to several processes: what shares something goes to one of them."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mix tests that wait, those on a control plane, with tests that compute, if several processes run them."""
    if not hasattr(config, "workerinput"):
        return
    places: dict[str, float] = {}
    for folder in ("tests/cluster/", "tests/local/"):
        units = list(dict.fromkeys(unit(item.nodeid) for item in items if item.nodeid.startswith(folder)))
        places |= {each: number / len(units) for number, each in enumerate(units)}
    items.sort(key=lambda item: places.get(unit(item.nodeid), 1.0))
