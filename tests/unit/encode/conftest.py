import pytest
from rich.console import Console

from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.tally import DeviceTally
from clipfarm_encode.selection import Destination
from unit.encode.shared import RECIPE, Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def destination():
    """In the clips' own folders."""
    return Destination(RECIPE, out_dir=None, overwrite=False)


@pytest.fixture
def said(reporter, monkeypatch):
    """Lines that the reporter has printed, in its own name or a set's."""
    lines = []
    for each in (reporter, *reporter.sets):
        monkeypatch.setattr(each, "say", lines.append)
    return lines


@pytest.fixture
def reporter():
    """A reporter that shows nothing."""
    return Reporter([RECIPE], [DeviceTally("cpu")], None, Console(quiet=True))
