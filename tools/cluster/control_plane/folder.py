"""The folder of one cluster: keys, ports, kubeconfig, logs, and which processes are its own."""

import base64
import contextlib
import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from control_plane.binaries import cache_folder
from control_plane.errors import ClusterError, program
from control_plane.processes import Process

PORTS = ("kube-apiserver", "etcd", "etcd-peer", "karpenter-metrics", "karpenter-health")
INSTALL_OPENSSL = "install the package openssl"


def default_path(name: str) -> Path:
    """Where a cluster of this name keeps its data."""
    return cache_folder() / "clusters" / name


def all_folders() -> list["Folder"]:
    """Every cluster that is kept in the usual place."""
    found = [Folder(path.name, path) for path in sorted(default_path("").glob("*"))]
    return [folder for folder in found if folder.exists]


class Folder:
    """Paths of one cluster, and the little that is remembered about it."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.kubeconfig = path / "kubeconfig"
        self.certificate = path / "pki" / "server.crt"
        self.certificate_key = path / "pki" / "server.key"
        self.account_key = path / "pki" / "service-accounts.key"
        self.tokens = path / "pki" / "tokens.csv"
        self.etcd_data = path / "etcd"
        self.scheduler_config = path / "scheduler.json"
        self.kwok_config = path / "kwok.yaml"
        self.logs = path / "logs"
        self._memory = path / "cluster.json"

    @property
    def token(self) -> str:
        """What the administrator shows to the API server."""
        return self.tokens.read_text().partition(",")[0]

    @property
    def server(self) -> str:
        """Address of the API server."""
        return f"https://127.0.0.1:{self.port('kube-apiserver')}"

    def port(self, name: str) -> int:
        """Port of the API server, etcd, etcd's peers, or one of Karpenter's."""
        return int(self._read()["ports"][name])

    @property
    def exists(self) -> bool:
        """Whether a cluster was ever started here."""
        return self._memory.is_file()

    @property
    def processes(self) -> dict[str, Process]:
        """The components that were started, in the order of their start; some may be gone."""
        return {name: Process(**process) for name, process in self._read().get("processes", {}).items()}

    def record(self, component: str, process: Process) -> None:
        """Remember that a process is ours."""
        self._write(self._read() | {"processes": self._read().get("processes", {}) | {component: asdict(process)}})

    def forget(self) -> None:
        """None of the processes is left."""
        self._write(self._read() | {"processes": {}})

    @property
    def owner(self) -> Process | None:
        """The process that the cluster is for; None when it is for a person."""
        owner = self._read().get("owner")
        return Process(**owner) if owner else None

    @property
    def programs(self) -> dict[str, Path]:
        """What the components were started from."""
        return {name: Path(path) for name, path in self._read().get("programs", {}).items()}

    def refuse_strangers(self) -> None:
        """Never settle where somebody keeps other things: down removes the folder."""
        strangers = {path.name for path in self.path.glob("*")} - {"lock", "logs", "pki"}
        if not self.exists and strangers:
            raise ClusterError(f"{self.path} holds no cluster, but {min(strangers)}: name an empty folder")

    @property
    def has_node(self) -> bool:
        """Whether the machine itself is one of its nodes."""
        return bool(self._read().get("node"))

    @property
    def has_karpenter(self) -> bool:
        """Whether an autoscaler adds and removes nodes."""
        return bool(self._read().get("karpenter"))

    def prepare(self, programs: dict[str, Path], owner: Process | None, *, node: bool, karpenter: bool) -> None:
        """Make what is not there yet: keys, ports, token, kubeconfig. What is there stays, but for its owner."""
        self.logs.mkdir(exist_ok=True)
        (self.path / "pki").mkdir(exist_ok=True)
        memory = self._read() or {"ports": {}}
        missing = [name for name in PORTS if name not in memory["ports"]]
        if missing:
            memory["ports"] |= dict(zip(missing, free_ports(len(missing)), strict=True))
        paths = {name: str(path) for name, path in programs.items()}
        # With its owner from the first moment: whoever is killed while keys are made leaves no cluster for good.
        memory |= {
            "programs": paths,
            "node": node or self.has_node,
            "karpenter": karpenter or self.has_karpenter,
            "owner": asdict(owner) if owner else None,
        }
        self._write(memory)
        openssl = program("openssl", INSTALL_OPENSSL)
        if not self.account_key.is_file():
            _run([openssl, "genrsa", "-out", str(self.account_key), "2048"])
        if not self.certificate.is_file():
            # One certificate that vouches for itself; clients get it through the kubeconfig.
            subject = [
                "-subj",
                "/CN=clipfarm",
                "-addext",
                "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc,IP:10.96.0.1",
            ]
            files = ["-keyout", str(self.certificate_key), "-out", str(self.certificate)]
            _run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", *subject, *files])
        if not self.tokens.is_file():
            write(self.tokens, f"{secrets.token_hex(24)},admin,admin,system:masters\n")
        write(self.kubeconfig, self._kubeconfig())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One command at a time changes a cluster. The folder is made where it is missing."""
        file = self._locked()
        while not self._holds(file):
            file.close()
            file = self._locked()
        with file:
            yield

    def _locked(self) -> IO[str]:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            file = (self.path / "lock").open("w")
        except FileNotFoundError:
            return self._locked()
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _holds(self, file: IO[str]) -> bool:
        # Whoever held the lock before may have removed the folder, and this very file with it.
        try:
            return os.fstat(file.fileno()).st_ino == (self.path / "lock").stat().st_ino
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Remove everything; a folder that was never a cluster's stays."""
        if self.exists:
            shutil.rmtree(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._memory.read_text())
        except FileNotFoundError:
            return {}
        except json.JSONDecodeError as error:
            raise ClusterError(f"{self._memory}: {error}") from error
        return found

    def _write(self, content: dict[str, Any]) -> None:
        write(self._memory, json.dumps(content, indent=2) + "\n")

    def _kubeconfig(self) -> str:
        name = f"clipfarm-{self.name}"
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        return f"""apiVersion: v1
kind: Config
current-context: {name}
clusters:
  - name: {name}
    cluster:
      server: {self.server}
      certificate-authority-data: {authority}
users:
  - name: {name}
    user:
      token: {self.token}
contexts:
  - name: {name}
    context:
      cluster: {name}
      user: {name}
"""


def write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, outside the range that the kernel gives to outgoing connections.

    A component that is started again needs its old port back, and no connection may have taken it meanwhile.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(20000, first if first > 21000 else 32768)
    found: list[int] = []
    for port in random.sample(ports, 900):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"no {count} free ports on 127.0.0.1 from {ports[0]} to {ports[-1]}")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command[:2])}: {done.stderr.strip().splitlines()[-1:]}")
