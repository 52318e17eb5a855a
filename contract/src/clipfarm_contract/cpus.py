"""How many CPUs this process may use."""

import os
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def available_cpus() -> int:
    """Return the number of CPUs that affinity and the container's limit leave to this process, at least 1.

    A container with a limit of 4 CPUs on a machine of 64 still sees 64; as many threads would wait for each other.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cgroup_limit()
    return max(1, min(count, int(limit))) if limit else count


def cgroup_limit(v2: Path = _CGROUP_V2, v1: Path = _CGROUP_V1) -> float | None:
    """Return the CPUs that the control group allows, None where it sets no limit."""
    try:
        if v2.exists():
            quota, period = v2.read_text().split()
        else:
            quota, period = ((v1 / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        limit = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" in place of a quota is no limit
        return None
    return limit if limit > 0 else None  # version 1 says -1 for no limit
