"""The commands."""

import argparse
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from control_plane import binaries, cluster, nodes, tidy
from control_plane.components import KARPENTER, NODE, START_ORDER
from control_plane.errors import ClusterError
from control_plane.folder import Folder, all_folders, default_path
from control_plane.processes import Process, identify

COMPONENTS = (*START_ORDER, *NODE, KARPENTER)
DESCRIPTION = """\
A real Kubernetes control plane on this machine, for tests and for trying things: etcd, kube-apiserver,
kube-controller-manager, kube-scheduler, and nodes that are played by kwok. Everything listens on 127.0.0.1.
The programs are built with Go the first time, which takes about 12 minutes; after that a cluster is up in seconds.
"""


def main() -> int:
    """Run one command; 1 where it cannot be done, 2 where something has to be installed first."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except ClusterError as failure:
        print(f"cluster: {failure}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("cluster", description=DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    named = argparse.ArgumentParser(add_help=False)
    named.add_argument(
        "--name",
        default=os.environ.get("CLUSTER_NAME") or "default",
        type=_name,
        help="which cluster; several can run at once (CLUSTER_NAME, or default)",
    )
    named.add_argument(
        "--dir", type=Path, metavar="FOLDER", help="keep its data here, not in ~/.cache/clipfarm/clusters/NAME"
    )

    up = commands.add_parser("up", parents=[named], help="start a cluster, or what is missing of it")
    up.add_argument("--nodes", type=int, metavar="N", help="nodes that kwok plays (3; 0 beside --node or --karpenter)")
    up.add_argument("--cpu", default="8", metavar="C", help="CPU of each (8)")
    up.add_argument("--memory", default="32Gi", metavar="M", help="memory of each (32Gi)")
    up.add_argument("--gpus", type=int, default=0, metavar="G", help="nvidia.com/gpu of each (0)")
    up.add_argument(
        "--wait", action="store_true", help="until every node takes pods, not just until the API server is ready"
    )
    up.add_argument("--node", action="store_true", help="this machine is a node: kubelet, containerd, runc; needs root")
    up.add_argument(
        "--karpenter", action="store_true", help="an autoscaler that adds and removes nodes which kwok plays"
    )
    up.add_argument(
        "--owner",
        default=os.environ.get("CLUSTER_OWNER"),
        type=int,
        metavar="PID",
        help="the process it is for, see down --abandoned (CLUSTER_OWNER, or nobody)",
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", parents=[named], help="end a cluster and remove its data")
    down.add_argument("--keep", action="store_true", help="keep the data, for the next up")
    down.add_argument(
        "--abandoned", action="store_true", help="end the clusters whose owner is gone, whatever their names"
    )
    down.add_argument("--with-owner", action="store_true", help="once the process is gone that the cluster is for")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", parents=[named], help="what runs, and where; 1 unless all of it runs")
    status.add_argument("--json", action="store_true", help="for programs")
    status.add_argument("--all", action="store_true", help="names of all clusters, with their servers")
    status.set_defaults(run=_status)

    env = commands.add_parser("env", parents=[named], help='for a shell: eval "$(tools/cluster/cluster env)"')
    env.set_defaults(run=_env)

    restart = commands.add_parser(
        "restart", parents=[named], help="kill a component, as a crash does, and start it again"
    )
    restart.add_argument("component", type=_component, help=", ".join(COMPONENTS))
    restart.add_argument("--pause", type=float, default=0.0, metavar="SECONDS", help="stay away that long")
    restart.set_defaults(run=_restart)

    build = commands.add_parser("build", help="build programs without starting anything, and print their paths")
    build.add_argument("program", nargs="*", type=_program, help=", ".join(binaries.PACKAGES))
    build.set_defaults(run=_build)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    size = nodes.Size(arguments.cpu, arguments.memory, arguments.gpus)
    others = arguments.node or arguments.karpenter
    played = arguments.nodes if arguments.nodes is not None else 0 if others else 3
    cluster.up(
        folder,
        played,
        size,
        arguments.wait,
        _owner(arguments.owner),
        node=arguments.node,
        karpenter=arguments.karpenter,
    )
    print(f"{folder.name} is up at {folder.server}")
    print(f"export KUBECONFIG={shlex.quote(str(folder.kubeconfig))}")
    if shutil.which("kubectl") is None:
        print("kubectl is not on the PATH; `cluster build kubectl` makes one", file=sys.stderr)
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if arguments.abandoned:
        for name in cluster.down_abandoned():
            print(f"{name} is down")
        return 0
    folder = _folder(arguments)
    if arguments.with_owner and not cluster.wait_for_owner(folder):
        return 0
    if folder.path.exists():
        cluster.down(folder, arguments.keep)
    print(f"{folder.name} is down")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    if arguments.all:
        for folder in all_folders():
            found = cluster.status(folder)
            print(f"{folder.name:20} {'running' if found['running'] else 'not running':12} {folder.server}")
        return 0
    found = cluster.status(_existing(arguments))
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0 if found["running"] else 1
    print(f"{found['name']}: {'running' if found['running'] else 'not running'}")
    for key in ("server", "kubeconfig", "logs", "etcd"):
        print(f"  {key:24} {found[key]}")
    for component, process in found["components"].items():
        print(
            f"  {component:24} " + (f"pid {process['pid']}, for {process['age']:.0f} s" if process else "not running")
        )
    return 0 if found["running"] else 1


def _env(arguments: argparse.Namespace) -> int:
    folder = _existing(arguments)
    print(f"export KUBECONFIG={shlex.quote(str(folder.kubeconfig))}")
    # kubectl and helm are here once they have been built.
    print(f'export PATH={shlex.quote(str(folder.programs["kwok"].parent))}:"$PATH"')
    return 0


def _restart(arguments: argparse.Namespace) -> int:
    cluster.restart(_existing(arguments), arguments.component, arguments.pause)
    return 0


def _build(arguments: argparse.Namespace) -> int:
    for path in binaries.ensure(arguments.program or binaries.CONTROL_PLANE).values():
        print(path)
    tidy.remove_old_programs()
    return 0


def _folder(arguments: argparse.Namespace) -> Folder:
    path = arguments.dir.absolute() if arguments.dir else default_path(arguments.name)
    return Folder(arguments.name, path)


def _existing(arguments: argparse.Namespace) -> Folder:
    folder = _folder(arguments)
    if not folder.exists:
        raise ClusterError(f"{folder.name}: no cluster in {folder.path}; start one with `cluster up`")
    return folder


def _owner(pid: int | None) -> Process | None:
    if pid is None:
        return None
    owner = identify(pid)
    if owner is None:
        raise ClusterError(f"--owner: no process {pid}")
    return owner


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: lower-case letters, digits and dashes")
    return text


def _program(text: str) -> str:
    if text not in binaries.PACKAGES:
        raise argparse.ArgumentTypeError(f"{text!r}: one of {', '.join(binaries.PACKAGES)}")
    return text


def _component(text: str) -> str:
    for name in COMPONENTS:
        if text in (name, name.removeprefix("kube-")):
            return name
    raise argparse.ArgumentTypeError(f"{text!r}: one of {', '.join(COMPONENTS)}")
