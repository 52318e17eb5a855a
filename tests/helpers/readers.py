"""Programs that read data sets, in environments of their own: they need other versions of NumPy and PyTorch than we do.

An environment is made once from a lock file with hashes, ``tests/readers/NAME.txt``, and kept in the cache.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.chart import ROOT

FOLDER = ROOT / "tests" / "readers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm" / "readers"


def read(environment: str, program: str, *arguments: object) -> Any:
    """Run ``tests/readers/PROGRAM.py`` in an environment, and return the JSON of its last line."""
    # No hub is asked for anything: what is read lies on this machine.
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    interpreter = python(environment)
    libraries = {"LD_LIBRARY_PATH": ":".join(map(str, _libraries(interpreter.parents[1])))}
    done = subprocess.run(
        [interpreter, "-I", FOLDER / f"{program}.py", *map(str, arguments)],
        env=os.environ | offline | libraries,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not done.returncode, f"{program}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def python(environment: str) -> Path:
    """Return the Python of an environment, made if it is not there; on a laptop the test is skipped if it cannot be."""
    lock = FOLDER / f"{environment}.txt"
    place = CACHE / f"{environment}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{environment}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several processes share the tests
        if not (place / "made").exists():
            for old in CACHE.glob(f"{environment}-*"):
                shutil.rmtree(old)
            try:
                _make(place, lock)
            except (OSError, subprocess.CalledProcessError) as error:
                why = f"no environment {environment}: {error}: {getattr(error, 'stderr', '')}"
                if os.environ.get("CI") == "true":
                    pytest.fail(why)
                pytest.skip(why)
            (place / "made").touch()
    return place / "bin" / "python"


def _make(place: Path, lock: Path) -> None:
    version = re.search(r"^UV_VERSION=(.+)$", (ROOT / "tools" / "setup").read_text(), re.MULTILINE)
    assert version
    uv = CACHE.parent / f"uv-{version[1]}" / "bin" / "uv"
    run = {"check": True, "capture_output": True, "text": True}
    subprocess.run([uv, "venv", "--quiet", "--python", "3.11", place], **run)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", place / "bin" / "python"]
    subprocess.run([*install, "-r", lock], **run)
    own, folder = _libraries(place)
    own.mkdir()
    for library in folder.glob("lib*-*.so.*"):
        name, _, version = library.name.partition(".so.")
        link = own / f"{name.rpartition('-')[0]}.so.{version.partition('.')[0]}"
        link.unlink(missing_ok=True)
        link.symlink_to(library)


def _libraries(place: Path) -> tuple[Path, Path]:
    """Return where FFmpeg's libraries are: those of PyAV, under the names by which torchcodec looks for them."""
    return place / "ffmpeg", place / "lib" / "python3.11" / "site-packages" / "av.libs"
