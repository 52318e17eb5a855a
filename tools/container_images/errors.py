"""What a person is told, in one line, when images cannot be built or loaded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


class ImagesError(Exception):
    """The command cannot be done; its text is the one line that says why."""

    status = 1


class UsageError(ImagesError):
    """The caller has to change the command, or to install or start something first."""

    status = 2


def run(command: list[str | Path], environment: dict[str, str] | None = None, data: bytes | None = None) -> str:
    """Run a command without showing its output, and return what it prints.

    Raises:
        ImagesError: it failed; with the end of what it said.
    """
    try:
        done = subprocess.run(
            command, input=data, env=environment or dict(os.environ), capture_output=True, check=False
        )
    except OSError as error:
        raise ImagesError(f"{command[0]}: cannot be run: {error.strerror}") from None
    if done.returncode:
        raise ImagesError(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return done.stdout.decode()


def show(command: list[str | Path], environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
    """Run a command whose output a person follows.

    Raises:
        ImagesError: it failed, and has said why.
    """
    sys.stdout.flush()
    try:
        done = subprocess.run(command, env=environment or dict(os.environ), cwd=folder, check=False)
    except OSError as error:
        raise ImagesError(f"{command[0]}: cannot be run: {error.strerror}") from None
    if done.returncode:
        raise ImagesError(f"{' '.join(map(str, command[:2]))} ended with {done.returncode}")


def is_there(program: str) -> bool:
    """Whether a program is on the PATH."""
    return shutil.which(program) is not None


def say(text: str) -> None:
    """Print one line to standard error."""
    print(f"images: {text}", file=sys.stderr, flush=True)
