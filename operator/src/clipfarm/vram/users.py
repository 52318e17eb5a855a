"""The user of a GPU: the pod of a process if it has one, else the name of the process."""

import re
from pathlib import Path

from clipfarm.world import Holder

PROC, POD_LOGS = Path("/proc"), Path("/var/log/pods")
POD_UID = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
"""In the path of a control group: with underscores where systemd manages them, with hyphens else."""


def user_name(pid: int, proc: Path = PROC, pod_logs: Path = POD_LOGS) -> str:
    """Return ``namespace/pod``, or ``name (pid N)``, or ``pid N``: the most that is known of a process.

    Args:
        pid: the process, as the driver numbers it: in a container that is none of its own, unless it shares the
            node's process numbers.
        proc: the folder with information on processes.
        pod_logs: where the kubelet keeps the pods' logs, in folders ``NAMESPACE_NAME_UID``.
    """
    pod = _pod_uid(proc / str(pid) / "cgroup")
    if pod:
        return _pod_name(pod, pod_logs) or f"pod {pod}"
    try:
        name = (proc / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        name = ""
    return f"{name} (pid {pid})" if name else f"pid {pid}"


def _pod_uid(cgroup: Path) -> str:
    try:
        found = POD_UID.search(cgroup.read_text(errors="replace"))
    except OSError:
        return ""
    return found[1].replace("_", "-") if found else ""


def _pod_name(uid: str, pod_logs: Path) -> str:
    try:
        folder = next(pod_logs.glob(f"*_{uid}"), None)
    except OSError:
        return ""
    if folder is None:
        return ""
    namespace, _, name = folder.name.removesuffix(f"_{uid}").partition("_")
    return f"{namespace}/{name}"


def holders_text(holders: tuple[Holder, ...], most: int = 3) -> str:
    """Return ``team/a 21 GiB, team/b 3.5 GiB and 2 more``; empty if they are unknown."""
    told = [f"{each.name} {each.used_mib / 1024:.3g} GiB" if each.used_mib else each.name for each in holders[:most]]
    more = len(holders) - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
