"""What other tools make of an object: kstatus and Argo CD, by ``tools/health``, which is built with Go."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helpers.chart import ROOT

SOURCES = ROOT / "tools" / "health"
SCRIPT = ROOT / "charts" / "clipfarm" / "files" / "health.lua"


@dataclass(frozen=True)
class Opinion:
    """What one tool shows."""

    status: str
    message: str


@dataclass(frozen=True)
class Health:
    """What each of them shows."""

    kstatus: Opinion
    argocd: Opinion

    @property
    def words(self) -> tuple[str, str]:
        """Both in a word: kstatus', then Argo CD's."""
        return self.kstatus.status, self.argocd.status


@cache
def _program() -> Path:
    go = shutil.which("go")
    if go is None:
        if os.environ.get("CI"):
            pytest.fail("go is missing: install Go 1.26 or newer, https://go.dev/dl/")
        pytest.skip("go is missing: install Go 1.26 or newer, https://go.dev/dl/")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm" / "health"
    folder.mkdir(parents=True, exist_ok=True)
    # With the flags of tools/cluster's programs, so that what both are made of is compiled once.
    built = folder / f"health-{os.getpid()}"
    done = subprocess.run(
        [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", built, "."],
        cwd=SOURCES,
        env=os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return built.rename(folder / "health")


def health(objects: Iterable[Any]) -> list[Health]:
    """Return what the tools make of each object."""
    text = "".join(json.dumps(each) for each in objects)
    done = subprocess.run([_program(), SCRIPT], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [Health(Opinion(**each["kstatus"]), Opinion(**each["argocd"])) for each in found]
