"""Last of all, because it ends the node that the other tests share: what is left of it on the machine."""

import hashlib
import io
import json
import os
import secrets
import subprocess
import tarfile
from pathlib import Path

from helpers import images
from helpers.local import wait_until
from helpers.node import OPERATOR, Node, Place

STATE = "/run/clipfarm-node"
BRIDGE = "clipfarm0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm"
BLOBS = CACHE / "node" / "containerd" / "io.containerd.content.v1.content" / "blobs" / "sha256"


def test_a_node_that_is_taken_down_while_pods_run_leaves_nothing_but_its_images(node: Node, place: Place):
    pod = {
        "metadata": {"name": "left"},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": "localhost/clipfarm-pause:1",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "clips", "mountPath": "/clips"}],
                }
            ],
            "volumes": [{"name": "clips", "persistentVolumeClaim": {"claimName": "clips"}}],
        },
    }
    (place.volume / "precious").write_text("a clip")
    old, used = _two_images_without_a_name(), OPERATOR.stored()
    assert old[0].exists()
    assert all((BLOBS / blob).exists() for blob in used)
    place.namespace.create("v1/pods", pod)
    done = place.kubectl("wait", "--for=condition=Ready", "pod/left", "--timeout=60s")
    assert not done.returncode, done.stderr
    folder = Path(node.status()["folder"])
    assert _mounts(STATE)
    assert _mounts(str(folder))

    node.down()
    assert (_mounts(STATE), _mounts(str(folder))) == ([], [])
    assert not folder.exists()
    assert not Path(STATE).exists()
    assert not Path("/sys/class/net", BRIDGE).exists()
    assert not list(Path("/sys/fs/cgroup").glob("*/clipfarm"))
    rules = [subprocess.run(["iptables-save", "-t", table], capture_output=True, text=True, check=True).stdout
             for table in ("nat", "filter", "mangle")]  # fmt: skip
    assert not [rule for rule in "".join(rules).splitlines() if BRIDGE in rule]
    assert not [line for line in _commands() if STATE in line or str(folder) in line]
    assert (place.volume / "precious").read_text() == "a clip"  # nobody reached through the mount
    assert not [blob for blob in old if blob.exists()]
    assert all((BLOBS / blob).exists() for blob in used)


def _two_images_without_a_name() -> list[Path]:
    """Import an image and, under its name, another, and remove the name; files of theirs."""
    name = f"localhost/clipfarm-test:{secrets.token_hex(4)}"
    first, record = _import(name)
    wait_until(lambda: record in images.imported(), "the kubelet's part of containerd to record the first")
    second, _ = _import(name)
    images.ctr("images", "remove", name)
    return [first, second]


def _import(name: str) -> tuple[Path, str]:
    """Import an image that is like no other; the file of its layer, and the image's hash."""
    layer = _tar({"number": os.urandom(1000)})
    digest = hashlib.sha256(layer).hexdigest()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {"manifest.json": json.dumps(manifest).encode(), "config.json": config, "layer.tar": layer}
    images.ctr("images", "import", "-", data=_tar(files))
    return BLOBS / digest, f"sha256:{hashlib.sha256(config).hexdigest()}"


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _mounts(folder: str) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(folder + "/")]


def _commands() -> list[str]:
    listed = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True)
    return [line[:300] for line in listed.stdout.splitlines()]
