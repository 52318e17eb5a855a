"""The environment of a child, composed by the supervisor.

Blender, OpenColorIO and the numeric libraries read dozens of variables, and some of these change every pixel. So the
built-in renderer gets those alone that say where programs, libraries and GPUs are, and how many threads it may use.
A renderer of the user's own gets all that the supervisor has: what it needs only its author knows.
"""

import site
from collections.abc import Mapping
from pathlib import Path

from clipfarm_contract import environment

PASSED_ON = (
    # Programs and libraries.
    "PATH",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    # Python, and where its packages lie.
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONPYCACHEPREFIX",
    "PYTHONUNBUFFERED",
    # Threads.
    *environment.THREAD_COUNT_VARIABLES,
    environment.MKL_THREADING_LAYER,
    # GPUs: which ones, where compiled kernels are kept, and how processes share one.
    environment.GPU,
    environment.CLIP_PREPARING,
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_MODULE_LOADING",
    "CUDA_CACHE_DISABLE",
    "CUDA_CACHE_MAXSIZE",
    "CUDA_CACHE_PATH",
    "OPTIX_CACHE_MAXSIZE",
    "OPTIX_CACHE_PATH",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
    "CUDA_MPS_LOG_DIRECTORY",
    "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
    "CUDA_MPS_PIPE_DIRECTORY",
    "NVIDIA_VISIBLE_DEVICES",
)
"""Variables that the built-in renderer gets if the supervisor has them; and no other."""
OF_THE_RUN = (
    environment.RUN_EXPERIMENT,
    environment.RUN_CLIPS,
    environment.GIVE_UP_AFTER,
    environment.RETRY_LIMIT,
    environment.JOB,
)
"""Variables that say what all clips are, and when to leave some out: a child makes one, and its task says which."""


def compose(inherited: Mapping[str, str], scratch: Path, *, own_command: bool) -> dict[str, str]:
    """Return the environment of a child, but for its task.

    Args:
        inherited: the supervisor's own.
        scratch: the child's folder for temporary files, which goes with it.
        own_command: whether it is a renderer of the user's own.
    """
    made = _all(inherited, scratch) if own_command else _passed_on(inherited, scratch)
    if made.get(environment.GPU):
        made["CUDA_VISIBLE_DEVICES"] = made[environment.GPU]
    return made | {
        # What the child leaves in temporary folders (Kubric and a crashing Blender do) goes with the scratch folder,
        # and no configuration of a user's own Blender can change a clip.
        "TMPDIR": str(scratch),
        "BLENDER_USER_RESOURCES": str(scratch / "blender"),
        # The order of sets of strings follows a random number otherwise.
        "PYTHONHASHSEED": "0",
    }


def _all(inherited: Mapping[str, str], scratch: Path) -> dict[str, str]:
    kept = {name: value for name, value in inherited.items() if name not in OF_THE_RUN}
    if not kept.get("HOME"):
        kept["HOME"] = _home(scratch)
    return kept


def _passed_on(inherited: Mapping[str, str], scratch: Path) -> dict[str, str]:
    kept = {name: inherited[name] for name in PASSED_ON if name in inherited}
    return kept | {
        # Blender dies of SIGSEGV without one where the user has no entry in /etc/passwd, as in many pods.
        "HOME": _home(scratch),
        # Packages that pip has installed for the user alone are found by the home otherwise.
        "PYTHONUSERBASE": site.getuserbase(),
        "LC_ALL": "C.UTF-8",
    }


def _home(scratch: Path) -> str:
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    return str(home)
