"""Helm is built before the first test: it can take longer than a test may, and somebody should see how far it is."""

from pathlib import Path

import pytest

from helpers.cluster import build


def pytest_collection_finish(session: pytest.Session) -> None:
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        build("helm")
