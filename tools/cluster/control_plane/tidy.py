"""What no cluster needs any more of the programs that were built for other contents of go.mod."""

import fcntl
import shutil
from pathlib import Path

from control_plane.binaries import KARPENTER, MODULE, cache_folder
from control_plane.folder import all_folders

# Of each module. Half a gigabyte each: those of this checkout, and of others that are at work beside it.
KEPT = 3


def remove_old_programs() -> None:
    """Keep the programs that were used last, and those that a cluster was started from."""
    needed = {path.parent.parent for folder in all_folders() for path in folder.programs.values()}
    for module in (MODULE, KARPENTER):
        builds = [path for path in (cache_folder() / module.name).glob("*") if path.is_dir()]
        builds.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in builds[KEPT:]:
            if path not in needed:
                _remove_unless_built(path)


def _remove_unless_built(path: Path) -> None:
    try:
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    except (BlockingIOError, FileNotFoundError):
        # Somebody builds there, or removes it.
        return
