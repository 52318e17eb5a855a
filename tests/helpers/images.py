"""The images on a node, as tools/images names them, and what its containerd has of them."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOCKET = Path("/run/clipfarm-node/containerd.sock")


@dataclass(frozen=True)
class Image:
    """One of clipfarm's images."""

    name: str
    """operator, render or encode."""

    @property
    def reference(self) -> str:
        """The name by which pods ask for it."""
        version = re.search(r'^version = "(.*)"', (ROOT / "operator" / "pyproject.toml").read_text(), re.M)
        assert version
        return f"clipfarm-{self.name}:{version[1]}"

    def stored(self) -> list[str]:
        """Hashes of what containerd keeps of it: its configuration and its layers."""
        rows = [line.split() for line in ctr("images", "list").splitlines()]
        [manifest] = [row[2] for row in rows if row[0] == f"docker.io/library/{self.reference}"]
        content = json.loads(ctr("content", "get", manifest))
        return [blob["digest"].removeprefix("sha256:") for blob in (content["config"], *content["layers"])]


def imported() -> list[str]:
    """Names of containerd's images; each has its hash as a second one."""
    return ctr("images", "list", "--quiet").split()


def ctr(*arguments: str, data: bytes | None = None) -> str:
    """Run a command of containerd's client, and return what it prints."""
    command = ["ctr", "--address", str(SOCKET), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-3000:]}"
    return done.stdout.decode()
