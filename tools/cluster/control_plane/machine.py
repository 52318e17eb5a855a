"""This machine as a node: containerd, runc and a kubelet beside the control plane."""

import contextlib
import json
import os
import shutil
from pathlib import Path

from control_plane import containers, mounts, network, volumes
from control_plane.api import Api
from control_plane.binaries import cache_folder
from control_plane.errors import ClusterError, MissingError
from control_plane.folder import Folder, all_folders, write
from control_plane.processes import Process, end, identify

NODE = "this-machine"
CGROUP = "clipfarm"
PROGRAMS = ("kubelet", "dns")
"""What a node needs beside containerd, built here."""

PACKAGES = "containerd runc containernetworking-plugins iptables iproute2"
STATE = Path("/run/clipfarm-node")
"""A machine is one node: bridge, images and control groups are there once."""
SOCKET = STATE / "containerd.sock"


def check() -> None:
    """Say what is missing, before anything is started."""
    if os.geteuid() != 0:
        raise ClusterError("--node: containers need root; run as root")
    missing = [name for name in ("containerd", "runc", "ctr", "iptables", "ip") if shutil.which(name) is None]
    if not (network.PLUGINS / "bridge").exists():
        missing.append(f"{network.PLUGINS}/bridge")
    if missing:
        raise MissingError(f"{missing[0]} is missing: install the packages {PACKAGES}")


def refuse_second(folder: Folder) -> None:
    """One cluster at a time can have this machine."""
    if taken(folder):
        names = [other.name for other in all_folders() if _runs_containerd(other)]
        raise ClusterError(f"{names[0] if names else 'another cluster'} has this machine as its node: end it first")


def taken(folder: Folder) -> bool:
    """Whether another cluster has this machine."""
    return not _runs_containerd(folder) and containerd_answers()


def _runs_containerd(folder: Folder) -> bool:
    process = folder.processes.get("containerd")
    return process is not None and process.alive


def containerd(folder: Folder) -> list[str]:
    """Command line of containerd."""
    config = folder.path / "containerd.toml"
    write(config, _containerd_config())
    return ["containerd", "--config", str(config)]


def dns(folder: Folder, program: Path) -> list[str]:
    """Command line of what answers the pods' questions for names."""
    return [str(program), f"--kubeconfig={folder.kubeconfig}", f"--listen={network.GATEWAY}:53"]


def kubelet(folder: Folder, program: Path) -> list[str]:
    """Command line of the kubelet, which logs in as the administrator."""
    mounts.make_cgroup(CGROUP)
    config = folder.path / "kubelet.json"
    write(config, json.dumps(_kubelet_config(folder), indent=2))
    return [
        str(program),
        f"--config={config}",
        f"--kubeconfig={folder.kubeconfig}",
        f"--root-dir={folder.path / 'kubelet'}",
        f"--cert-dir={folder.path / 'kubelet' / 'pki'}",
        f"--hostname-override={NODE}",
        # Of the machine's own network nothing can be reached from outside.
        f"--node-ip={network.GATEWAY}",
    ]


def containerd_answers() -> bool:
    """Whether a containerd takes commands."""
    if not SOCKET.exists():
        return False
    try:
        containers.ctr(SOCKET, "version")
    except ClusterError:
        return False
    return True


def prepare(folder: Folder) -> None:
    """Make the network, and the image that every pod needs; what an earlier cluster left is removed."""
    containers.remove_containers(SOCKET)
    containers.add_pause_image(SOCKET)
    network.up(STATE, folder.port("kube-apiserver"))


def end_containers() -> None:
    """Kill and remove all containers, and what they came from where nothing can ask for it again."""
    containers.remove_containers(SOCKET)
    containers.remove_nameless_images(SOCKET)


def clean() -> None:
    """Remove what is left once containerd and the kubelet are gone: shims, mounts, control groups, the network."""
    # Now and then one outlives the end of its container, and nobody is left to end it.
    end(_shims(), patience=2.0)
    mounts.remove_below(STATE)
    mounts.remove_cgroup(CGROUP)
    network.down(STATE)
    shutil.rmtree(STATE, ignore_errors=True)


def _shims() -> list[Process]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (path / "cmdline").read_text(errors="replace").split("\0")
            if Path(command[0]).name.startswith("containerd-shim") and str(SOCKET) in command:
                found.append(identify(int(path.name)))
    return [process for process in found if process is not None]


def ready(api: Api) -> bool:
    """Whether the kubelet has made its node known."""
    nodes = api.request("GET", "/api/v1/nodes")["items"]
    return any(node["metadata"]["name"] == NODE for node in nodes)


def add_objects(api: Api, folder: Folder) -> None:
    """What the kubelet and claims need: the right to ask it for logs, and volumes."""
    api.create(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": "api-server-asks-kubelet"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:kubelet-api-admin",
            },
            # The name in the certificate that the API server shows.
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "clipfarm"}],
        },
    )
    volumes.add(api, folder, NODE)


def _containerd_config() -> str:
    images = cache_folder() / "node" / "containerd"
    return f"""\
version = 2
root = "{images}"
state = "{STATE}/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{containers.PAUSE_IMAGE}"
  # Without it no container starts where a process may not lower its score for the kernel's killer.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{network.PLUGINS}"
  conf_dir = "{STATE}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    Root = "{STATE}/runc"
"""


def _kubelet_config(folder: Folder) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.GATEWAY,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(folder.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failSwapOn": False,
        # Kubernetes would rather have version 2, and the machine has what it has.
        "failCgroupV1": False,
        "clusterDNS": [network.GATEWAY],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(folder.path / "pods"),
        # Chains for a kube-proxy that is not here.
        "makeIPTablesUtilChains": False,
        # A disk that is nearly full is the machine's owner's business: no pod is turned away, no image removed.
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    }
