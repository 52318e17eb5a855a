"""Mounts and control groups that a kubelet and its containers leave."""

import contextlib
import ctypes
import os
from pathlib import Path

from control_plane.errors import ClusterError

UMOUNT_NOFOLLOW, MNT_DETACH = 8, 2
CGROUPS = Path("/sys/fs/cgroup")


def below(folder: Path) -> list[Path]:
    """Mount points in a folder, the innermost first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Space, tab, newline and backslash are written as octal numbers.
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if folder in point.parents:
            found.append(point)
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def remove_below(folder: Path) -> None:
    """Unmount everything in a folder, or say what could not be."""
    library = ctypes.CDLL(None, use_errno=True)
    for point in below(folder):
        library.umount2(os.fsencode(point), MNT_DETACH | UMOUNT_NOFOLLOW)
    if left := below(folder):
        raise ClusterError(f"{left[0]} is still mounted: unmount it, and run this again")


def cgroup_roots() -> list[Path]:
    """Where control groups are: a folder for each controller in version 1, a single one in version 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def make_cgroup(name: str) -> None:
    """Make a group of the machine's own, under which the kubelet keeps its pods."""
    for root in cgroup_roots():
        (root / name).mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A new group of version 1 may use no CPU until it is told which.
            if (root / setting).exists() and (root / name / setting).exists():
                (root / name / setting).write_text((root / setting).read_text())


def remove_cgroup(name: str) -> None:
    """Remove the group and all in it; no process is left there."""
    for root in cgroup_roots():
        for folder, _, _ in os.walk(root / name, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
