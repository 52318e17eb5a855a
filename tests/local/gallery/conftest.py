"""One browser for the tests of a page, and small galleries."""

import os
import shutil

import pytest

from helpers import browser as browsers
from helpers.local import clipfarm


@pytest.fixture(scope="module")
def chromium():
    """Return a browser that ends with the module: while it is driven, this thread has a running event loop."""
    if browsers.program() is None and os.environ.get("CI") != "true":
        pytest.skip("no browser on this machine")
    with browsers.browser() as started:
        yield started


@pytest.fixture(scope="session")
def make_gallery():
    """Return a function that runs ``clipfarm gallery`` and returns the gallery's folder."""

    def make(run, *options):
        done = clipfarm("gallery", run.root, *options)
        assert done.returncode == 0, done.stderr
        return run.root / "gallery"

    return make


@pytest.fixture
def moved(tmp_path):
    """Return a function that copies a gallery away from its run."""

    def move(folder):
        return shutil.copytree(folder, tmp_path / "elsewhere")

    return move
