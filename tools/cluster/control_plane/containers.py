"""What containerd holds: images, which stay from one cluster to the next, and containers, which do not."""

import hashlib
import io
import json
import subprocess
import tarfile
import time
from pathlib import Path

from control_plane.binaries import MODULE, Go, cache_folder
from control_plane.errors import ClusterError, program

PAUSE_IMAGE = "localhost/clipfarm-pause:1"
NAMESPACE = "k8s.io"
PATIENCE = 20.0


def ctr(socket: Path, *arguments: str, data: bytes | None = None) -> str:
    """Run a command of containerd's client, and return what it prints."""
    done = _run(socket, *arguments, data=data)
    if done.returncode:
        raise ClusterError(f"ctr {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def remove_containers(socket: Path) -> None:
    """Kill what runs in containers, and remove them; images stay."""
    deadline = time.monotonic() + PATIENCE
    while tasks := ctr(socket, "tasks", "list", "--quiet").split():
        for task in tasks:
            # It may end by itself meanwhile; whether it has is what the list says.
            for command in (["kill", "--signal", "SIGKILL", "--all"], ["delete"]):
                _run(socket, "tasks", *command, task)
        if time.monotonic() > deadline:
            raise ClusterError(f"containers do not end: {' '.join(tasks)}")
        time.sleep(0.1)
    if containers := ctr(socket, "containers", "list", "--quiet").split():
        ctr(socket, "containers", "delete", *containers)


def remove_nameless_images(socket: Path) -> None:
    """Remove images that no name is left for, and with them all that only they need.

    The kubelet's part of containerd records each image under its hash, too. Whoever imports a changed image under the
    name of the one before, or removes a name, leaves that record behind, and gigabytes with it.
    """
    rows = [line.split() for line in ctr(socket, "images", "list").splitlines()[1:]]
    targets = {row[0]: row[2] for row in rows}
    named = {target for name, target in targets.items() if not name.startswith("sha256:")}
    if nameless := [name for name, target in targets.items() if target not in named]:
        # The answer comes once what they needed is gone from the disk.
        ctr(socket, "images", "remove", "--sync", *nameless)


def add_pause_image(socket: Path) -> None:
    """Make the image that holds each pod's namespaces open, unless it is there."""
    if PAUSE_IMAGE in ctr(socket, "images", "list", "--quiet").split():
        return
    layer = _tar({"pause": _pause()})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    archive = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
    }
    ctr(socket, "images", "import", "-", data=_tar(archive))


def _run(socket: Path, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [program("ctr", "install containerd"), "--address", str(socket), "--namespace", NAMESPACE]
    command += ["--connect-timeout", "2s", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def _pause() -> bytes:
    go = Go(MODULE)
    output = cache_folder() / "node" / "pause"
    done = subprocess.run(
        [go.path, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(output), "./pause"],
        cwd=MODULE,
        env=go.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"go build ./pause: {done.stderr.strip()}")
    return output.read_bytes()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
