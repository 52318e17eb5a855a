"""What has to be installed, told in one message before anything is imported."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

NEEDED = {
    "torch": "torch",
    "einops": "einops",
    "safetensors": "safetensors",
    "prometheus_client": "prometheus-client",
    "numpy": "numpy",
    "PIL": "pillow",
}
"""Packages by the name under which they are imported."""
SMALL = {"numpy": "numpy>=1.26", "pillow": "pillow>=11"}
"""Packages that are installed without a question, with what is asked for."""
IN_IMAGE = "CLIPFARM_IMAGE"
"""Set in clipfarm's images, where nothing is installed: what an image lacks is a mistake in it."""


class MissingError(ImportError):
    """Packages are missing; the message lists them all, with the command that installs them."""


def missing() -> list[str]:
    """Return the packages that are needed and not installed, without importing any."""
    return [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]


def in_image(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this is a container: clipfarm's image, or another."""
    return bool(environ.get(IN_IMAGE) or environ.get("KUBERNETES_SERVICE_HOST") or Path("/.dockerenv").exists())


def require() -> None:
    """Make sure that everything is installed; outside of images NumPy and Pillow are installed where they are missing.

    PyTorch is not: which build is right depends on the machine's GPU, and it is some gigabytes.

    Raises:
        MissingError: something is missing.
    """
    absent = missing()
    small = [SMALL[package] for package in absent if package in SMALL]
    if small and not in_image():
        print(f"installing {' and '.join(small)}", file=sys.stderr)  # noqa: T201  before anything nicer is there
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *small], check=False)
        importlib.invalidate_caches()
        absent = missing()
    if absent:
        raise MissingError(
            f"not installed: {', '.join(absent)}; install with: {sys.executable} -m pip install {' '.join(absent)}"
        )
