"""What a person is told, in one line, when a command cannot be done."""

import shutil


class ClusterError(Exception):
    """The command cannot be done; its text is the one line that says why."""

    status = 1


class MissingError(ClusterError):
    """Something has to be installed first; told apart by its exit status, so that tests can be skipped."""

    status = 2


def program(name: str, install: str) -> str:
    """Path of a program of this machine, or what to install."""
    path = shutil.which(name)
    if path is None:
        raise MissingError(f"{name} is not on the PATH: {install}")
    return path
