"""The pods' network: a bridge on this machine, and the one service address that pods need, the API server's."""

import contextlib
import json
import subprocess
from pathlib import Path

from control_plane.errors import ClusterError, program

BRIDGE = "clipfarm0"
SUBNET = "10.245.0.0/24"
GATEWAY = "10.245.0.1"
PLUGINS = Path("/usr/lib/cni")
KUBERNETES_SERVICE = "10.96.0.1"
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def up(state: Path, api_server_port: int) -> None:
    """Make the bridge and the rules, and write the configuration that containerd hands to the plugins."""
    down(state)
    _keep_forwarding(state / "ip_forward")
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{GATEWAY}/{SUBNET.partition('/')[2]}", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    # The API server listens on 127.0.0.1 alone: packets from the bridge may be sent on to it.
    Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet").write_text("1")
    for rule in _rules(api_server_port):
        _run("iptables", "--wait", "--table", "nat", "--append", *rule.split())
    configuration = state / "cni"
    configuration.mkdir(parents=True, exist_ok=True)
    (configuration / "10-clipfarm.conflist").write_text(json.dumps(_plugins(state), indent=2))


def down(state: Path) -> None:
    """Remove what ``up`` made, however much of it is there."""
    listed = subprocess.run(
        [program("iptables", "install iptables"), "--wait", "--table", "nat", "--list-rules"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listed.stdout.splitlines():
        if f"--comment {BRIDGE}" in line:
            _run("iptables", "--wait", "--table", "nat", "--delete", *line.split()[1:])
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        _run("ip", "link", "delete", BRIDGE)
    with contextlib.suppress(FileNotFoundError):
        FORWARD.write_text((state / "ip_forward").read_text())


def _keep_forwarding(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FORWARD.read_text())


def _rules(api_server_port: int) -> list[str]:
    mark = f"--match comment --comment {BRIDGE}"
    return [
        # What kube-proxy would do, for the service "kubernetes" alone.
        f"PREROUTING --in-interface {BRIDGE} --destination {KUBERNETES_SERVICE} --protocol tcp --dport 443 {mark}"
        f" --jump DNAT --to-destination 127.0.0.1:{api_server_port}",
        f"POSTROUTING --source {SUBNET} ! --destination {SUBNET} {mark} --jump MASQUERADE",
    ]


def _plugins(state: Path) -> dict[str, object]:
    addresses = {"type": "host-local", "dataDir": str(state / "addresses"), "ranges": [[{"subnet": SUBNET}]]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isDefaultGateway": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "clipfarm", "plugins": [bridge]}


def _run(name: str, *arguments: str) -> None:
    done = subprocess.run([program(name, f"install {name}"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{name} {' '.join(arguments)}: {done.stderr.strip()}")
