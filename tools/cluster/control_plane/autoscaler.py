"""Karpenter: what it needs before it starts, and when it has."""

import contextlib
import urllib.request
from pathlib import Path

from control_plane.api import Api
from control_plane.binaries import karpenter_definitions
from control_plane.folder import Folder

YAML = "application/yaml"


def add_definitions(api: Api, program: Path) -> None:
    """Make the definitions of node pools and of what Karpenter makes of them."""
    for file in karpenter_definitions(program):
        api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", file.read_text(), YAML)


def ready(folder: Folder) -> bool:
    """Whether it has read everything, the definitions included."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address = f"http://127.0.0.1:{folder.port('karpenter-health')}/readyz"
    with contextlib.suppress(OSError), opener.open(address, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
