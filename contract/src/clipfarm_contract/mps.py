"""CUDA MPS, by which processes use one GPU at the same time: whether its daemon answers.

A program that cannot reach the daemon runs as if there were none, and says nothing. A daemon that was killed leaves its
files behind, so a file alone is no sign of it.
"""

import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

PIPES = "CUDA_MPS_PIPE_DIRECTORY"
USUAL_PIPES = "/tmp/nvidia-mps"  # noqa: S108 - NVIDIA's own default
"""Where the daemon has its pipes; a client looks there, too."""


def control(environ: Mapping[str, str] = os.environ) -> Path:
    """Return what programs reach the daemon by, whether it is there or not."""
    return Path(environ.get(PIPES) or USUAL_PIPES, "control")


def is_on(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a daemon listens there; it is sent nothing."""
    path = control(environ)
    try:
        mode = path.stat().st_mode
        if stat.S_ISSOCK(mode):
            return _has_listener(path)
        if stat.S_ISFIFO(mode):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False  # there is none, nothing reads it (ENXIO), or it is not for us
    return True


def _has_listener(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno == errno.EPROTOTYPE  # it takes connections, and this kind of socket makes none
    return True
