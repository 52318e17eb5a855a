"""Up, down, restart, status: each one waits until what it says is true."""

import contextlib
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from control_plane import autoscaler, binaries, machine, mounts, nodes, tidy
from control_plane.api import Api
from control_plane.components import CLIENTS, KARPENTER, NODE, START_ORDER, command, environment
from control_plane.errors import ClusterError, program
from control_plane.folder import INSTALL_OPENSSL, Folder, all_folders
from control_plane.processes import Process, end, start, wait

# Seconds; on an idle machine the API server is ready in five.
LIMIT = 120.0
PROGRAM = Path(__file__).parents[1] / "cluster"


def up(
    folder: Folder, count: int, size: nodes.Size, wait: bool, owner: Process | None, *, node: bool, karpenter: bool
) -> None:
    """Start what does not run, and add the nodes that are missing.

    With ``node`` this machine is one of them; with ``karpenter`` an autoscaler adds and removes others.
    """
    folder.refuse_strangers()
    program("openssl", INSTALL_OPENSSL)
    node = node or folder.has_node
    if node:
        machine.check()
        machine.refuse_second(folder)
    karpenter = karpenter or folder.has_karpenter
    more = (*(machine.PROGRAMS if node else ()), *((KARPENTER,) if karpenter else ()))
    programs = binaries.ensure((*binaries.CONTROL_PLANE, *more))
    with folder.lock():
        watched = folder.owner
        folder.prepare(programs, owner, node=node, karpenter=karpenter)
        if owner is not None and owner != watched:
            _take_down_with(owner, folder)
        if not _alive(folder, _core(folder)):
            # What is left of a cluster that lost a part is not trusted; its data is.
            _end_all(folder)
            try:
                _start_all(folder)
            except BaseException:
                _end_all(folder)
                raise
        api = Api(folder)
        nodes.add_storage_class(api, default=not node)
        nodes.add(api, count, size)
        if node:
            machine.add_objects(api, folder)
            _until(lambda: machine.ready(api), folder, "the kubelet to make its node known")
        if karpenter and not _alive(folder, (KARPENTER,)):
            autoscaler.add_definitions(api, programs[KARPENTER])
            _start(folder, KARPENTER)
            _until(lambda: autoscaler.ready(folder), folder, "Karpenter")
    tidy.remove_old_programs()
    if wait:
        _until(lambda: nodes.settled(api), folder, "the default service account and ready nodes")


def down(folder: Folder, keep: bool) -> None:
    """End the components, last started first, and remove the data unless it is to be kept."""
    with folder.lock():
        _end_all(folder)
        if not keep:
            folder.remove()


def wait_for_owner(folder: Folder) -> bool:
    """Wait until the process has ended that a cluster is for; tell whether it still was for that one."""
    owner = folder.owner
    if owner is None:
        return False
    wait(owner)
    return folder.owner == owner


def down_abandoned() -> list[str]:
    """Take down the clusters whose owner has ended without doing it."""
    gone = [folder for folder in all_folders() if folder.owner and not folder.owner.alive]
    for folder in gone:
        down(folder, keep=False)
    return [folder.name for folder in gone]


def restart(folder: Folder, component: str, pause: float) -> None:
    """Kill a component, as a crash does, and start it again after a pause on the same port with the same data."""
    with folder.lock():
        process = folder.processes.get(component)
        if process is None:
            raise ClusterError(f"{folder.name}: {component} was never started")
        end([process], signal.SIGKILL)
        time.sleep(pause)
        _start(folder, component)
        # Whoever restarts etcd needs an API server that has found it again.
        _until(lambda: Api(folder).ready, folder, "the API server")


def status(folder: Folder) -> dict[str, Any]:
    """What runs, and where."""
    processes = folder.processes
    return {
        "name": folder.name,
        "running": _alive(folder, _components(folder)),
        "folder": str(folder.path),
        "server": folder.server,
        "kubeconfig": str(folder.kubeconfig),
        "logs": str(folder.logs),
        "etcd": f"http://127.0.0.1:{folder.port('etcd')}",
        "components": {
            name: {"pid": processes[name].pid, "age": round(processes[name].age, 1)}
            if name in processes and processes[name].alive
            else None
            for name in _components(folder)
        },
    }


def _take_down_with(owner: Process, folder: Folder) -> None:
    """Start a process that outlives the owner, also if that is killed or ends by Ctrl-C in its terminal."""
    command = [sys.executable, str(PROGRAM), "down", "--name", folder.name, "--dir", str(folder.path), "--with-owner"]
    start(command, folder.logs / f"down-with-{owner.pid}.log", dict(os.environ))


def _core(folder: Folder) -> tuple[str, ...]:
    return START_ORDER + (NODE if folder.has_node else ())


def _components(folder: Folder) -> tuple[str, ...]:
    return _core(folder) + ((KARPENTER,) if folder.has_karpenter else ())


def _alive(folder: Folder, components: tuple[str, ...]) -> bool:
    processes = folder.processes
    return all(name in processes and processes[name].alive for name in components)


def _start_all(folder: Folder) -> None:
    _start(folder, "etcd")
    _until(lambda: _etcd_healthy(folder), folder, "etcd")
    _start(folder, "kube-apiserver")
    _until(lambda: Api(folder).ready, folder, "the API server")
    for component in CLIENTS:
        _start(folder, component)
    if folder.has_node:
        _start_containerd(folder)
        machine.prepare(folder)
        for component in NODE[1:]:
            _start(folder, component)


def _start(folder: Folder, component: str) -> None:
    log = folder.logs / f"{component}.log"
    made = command(component, folder, folder.programs)
    folder.record(component, start(made, log, os.environ | environment(component, folder)))


def _end_all(folder: Folder) -> None:
    if folder.has_node:
        _end_node(folder)
    processes = folder.processes
    for group in ((KARPENTER,), CLIENTS, ("kube-apiserver",), ("etcd",)):
        # The API server would wait for clients that still watch. All that it knows is in etcd.
        end([processes[name] for name in group if name in processes], patience=10.0 if "etcd" in group else 2.0)
    folder.forget()


def _end_node(folder: Folder) -> None:
    processes = folder.processes
    end([processes[name] for name in NODE if name in processes and name != "containerd"])
    if "containerd" in processes and not machine.taken(folder):
        if not processes["containerd"].alive:
            # Containers outlive it, and only it knows them.
            _start_containerd(folder)
        machine.end_containers()
        end([folder.processes["containerd"]])
        machine.clean()
    # Whoever removes the folder must not reach through a mount: behind it may be somebody's clips.
    mounts.remove_below(folder.path)


def _start_containerd(folder: Folder) -> None:
    _start(folder, "containerd")
    _until(machine.containerd_answers, folder, "containerd", parts=("containerd",))


def _until(condition: Callable[[], bool], folder: Folder, what: str, parts: tuple[str, ...] = ()) -> None:
    """Wait; fail as soon as one of ``parts`` has ended, or of all components where none is named."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        for component, process in folder.processes.items():
            if not process.alive and component in (parts or (component,)):
                raise ClusterError(f"{component} has ended: {_last_words(folder, component)}")
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {LIMIT:g} s for {what}; see {folder.logs}")
        time.sleep(0.05)


def _last_words(folder: Folder, component: str) -> str:
    log = folder.logs / f"{component}.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1].strip() if lines else 'it said nothing'} ({log})"


def _etcd_healthy(folder: Folder) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with (
        contextlib.suppress(OSError),
        opener.open(f"http://127.0.0.1:{folder.port('etcd')}/health", timeout=5) as answer,
    ):
        return b'"true"' in answer.read()
    return False
