"""A base image without a registry: a minimal Debian with Python, which debootstrap makes of Debian's own packages."""

import hashlib
import os
import shutil
from pathlib import Path

from container_images.builders import CACHE, Builder
from container_images.errors import UsageError, is_there, run, say

RELEASE = "bookworm"
"""The one that the Dockerfiles' own base image is of."""
PACKAGES = "python3,python3-venv,ca-certificates"
NAME = f"localhost/clipfarm-base:{hashlib.sha256(f'{RELEASE} {PACKAGES}'.encode()).hexdigest()[:16]}"


def check() -> None:
    """Find out before anything is built whether a base can be made.

    Raises:
        UsageError: something is missing.
    """
    if os.geteuid() != 0:
        raise UsageError("--base debootstrap: found no root's rights, expected them for debootstrap; run as root")
    if not is_there("debootstrap"):
        raise UsageError("--base debootstrap: debootstrap is missing: install it, as `tools/setup node` does")


def ensure(builder: Builder) -> str:
    """Make the base image unless it is there, and return its name."""
    if builder.identity(NAME):
        return NAME
    say(f"making {NAME} with debootstrap")
    folder = CACHE / "debian"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, folder])
        _clean(folder)
        builder.add_base(folder, NAME)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return NAME


def _clean(folder: Path) -> None:
    for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(folder / leftover)
        (folder / leftover / "partial").mkdir(parents=True)
    # A container has devices of its own, and some builders cannot copy them.
    shutil.rmtree(folder / "dev")
    (folder / "dev").mkdir()
