"""Last of all, because it ends the node that the other tests share: what is left of it on the machine."""

import subprocess
from pathlib import Path

from helpers.node import Node, Place

STATE = "/run/clipfarm-node"
BRIDGE = "clipfarm0"


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


def _mounts(folder: str) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(folder + "/")]


def _commands() -> list[str]:
    listed = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True)
    return [line[:300] for line in listed.stdout.splitlines()]
