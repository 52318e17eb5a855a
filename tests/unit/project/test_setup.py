"""What `make setup` and `make demo` install, by the lock file."""

import os
import subprocess
import tomllib

import pytest

from helpers.chart import ROOT

BROWSER = {"playwright", "axe-playwright-python"}


@pytest.mark.parametrize(("mode", "installed"), [("", set()), ("test", BROWSER)])
def test_what_drives_a_browser_is_installed_for_tests_alone(tmp_path, mode, installed):
    """`tools/setup` runs as it is, in a copy in which uv writes down how it is called."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    [workspace] = [each for each in lock["package"] if each["name"] == "clipfarm-workspace"]
    groups = {name: {each["name"] for each in group} for name, group in workspace["dev-dependencies"].items()}
    arguments = _called(tmp_path, mode).split()
    wanted = {"dev"} | {arguments[i + 1] for i, each in enumerate(arguments) if each == "--group"}
    assert set().union(*(groups[name] for name in wanted)) & BROWSER == installed


def _called(place, mode):
    script = (ROOT / "tools" / "setup").read_text()
    version = next(line for line in script.splitlines() if line.startswith("UV_VERSION=")).partition("=")[2]
    uv = place / "cache" / "clipfarm" / f"uv-{version}" / "bin" / "uv"
    for path in (uv, place / "tools" / "setup"):
        path.parent.mkdir(parents=True)
    (place / "tools" / "setup").write_text(script)
    (place / ".venv").mkdir()
    uv.write_text(f'#!/bin/sh\necho "$@" > {place}/called\n')
    uv.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "XDG_CACHE_HOME": str(place / "cache")}
    subprocess.run(["bash", place / "tools" / "setup", mode], env=environment, check=True, capture_output=True)
    return (place / "called").read_text()
