"""Where images are loaded to, one class for each kind of cluster that takes them without a registry."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from container_images.builders import CACHE, Builder
from container_images.containerd import Containerd
from container_images.errors import UsageError, is_there, run, show

SOCKET = Path("/run/clipfarm-node/containerd.sock")
NODE = Containerd(("ctr", "--address", str(SOCKET), "--namespace", "k8s.io"))
K3S = Containerd(("k3s", "ctr", "--namespace", "k8s.io"))


class Target(Protocol):
    """A cluster whose nodes can be given images."""

    title: str

    def check(self) -> None:
        """Raise a ``UsageError`` if it is not there."""

    def load(self, builder: Builder, name: str) -> bool:
        """Give an image to its nodes; returns whether they lacked it."""


@dataclass(frozen=True)
class Node:
    """This machine, as tools/cluster's node."""

    title: str = "the node of tools/cluster"

    def check(self) -> None:
        """Raise a ``UsageError`` if it is not there."""
        if os.geteuid() != 0:
            raise UsageError("--load node: found no root's rights, expected them for containerd; run as root")
        if not SOCKET.exists():
            raise UsageError(
                "--load node: found no node on this machine; start it: tools/cluster/cluster up --node --wait"
            )

    def load(self, builder: Builder, name: str) -> bool:
        """Import it into containerd."""
        return NODE.load(builder, name)


@dataclass(frozen=True)
class K3s:
    """A k3s on this machine."""

    title: str = "k3s"

    def check(self) -> None:
        """Raise a ``UsageError`` if it is not there."""
        if not is_there("k3s"):
            raise UsageError("--load k3s: k3s is not on the PATH, expected it on this machine")

    def load(self, builder: Builder, name: str) -> bool:
        """Import it into k3s's containerd."""
        return K3S.load(builder, name)


@dataclass(frozen=True)
class Kind:
    """All nodes of a cluster of kind's."""

    cluster: str = "kind"

    @property
    def title(self) -> str:
        """The cluster, as kind calls it."""
        return f"kind's cluster {self.cluster}"

    def check(self) -> None:
        """Raise a ``UsageError`` if it is not there."""
        if not is_there("kind"):
            raise UsageError("--load kind: kind is not on the PATH, https://kind.sigs.k8s.io")
        clusters = run(["kind", "get", "clusters"]).split()
        if self.cluster not in clusters:
            named = "" if self.cluster == "kind" else f" --name {self.cluster}"
            found = " ".join(clusters) or "no cluster"
            raise UsageError(
                f"--load kind: found {found}, expected {self.cluster}; create it: kind create cluster{named}"
            )

    def load(self, builder: Builder, name: str) -> bool:
        """Save it into an archive, which kind reads once for each node."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="archive-") as folder:
            file = Path(folder) / "image.tar"
            builder.save(name, file)
            show(["kind", "load", "image-archive", str(file), "--name", self.cluster])
        return True


def target(text: str) -> Target:
    """Return what --load names.

    Raises:
        UsageError: there is no such kind of cluster.
    """
    kind, _, name = text.partition(":")
    if kind == "kind" and (name or ":" not in text):
        return Kind(name or "kind")
    if text in ("node", "k3s"):
        return Node() if text == "node" else K3s()
    raise UsageError(f"--load: found {text!r}, expected node, k3s, kind, or kind:NAME")
