"""Whether a renderer's command can be started, found out before the first clip.

What a program does with its arguments only shows when it runs. Python's first one is the exception: if it is no option,
it is the script.
"""

import errno
import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

_HEAD_BYTES = 256
"""As much of a file as the kernel looks at to see how to run it (BINPRM_BUF_SIZE)."""
_PYTHON = re.compile(r"python[0-9.]*")
_FOR_GOOD = frozenset(
    {
        errno.E2BIG,
        errno.EACCES,
        errno.EISDIR,
        errno.ELIBBAD,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOEXEC,
        errno.ENOTDIR,
        errno.EPERM,
    }
)
"""Of the errors of execve those that are of the command, and not of the moment as too little memory is."""


def why_not(command: Sequence[str]) -> str:
    """Return why a command cannot be started, as ``found ..., expected ...``; empty if nothing speaks against it.

    Its first word is looked up as the kernel does it: on the ``PATH``, or from the current folder if it has a slash.
    """
    program = command[0]
    try:
        problem = _problem(program)
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        return _refused(program, problem)
    script = command[1] if len(command) > 1 and _PYTHON.fullmatch(Path(program).name) else "-"
    if script.startswith("-") or os.path.lexists(script):
        return ""
    return f'found "{script}", expected a script for {program}: {_missing(Path(script))}'


def why_not_started(command: Sequence[str], error: OSError) -> str:
    """Return why a command was not started, given the error; empty for an error of the moment."""
    if error.errno not in _FOR_GOOD:
        return ""
    problem = error.strerror or str(error)
    if error.errno == errno.ENOEXEC:
        problem += "; is it built for another processor?"
    elif error.errno == errno.ENOENT and shutil.which(command[0]):
        problem = "it is there, but the loader that it asks for is not; is it built for another C library?"
    return _refused(command[0], problem)


def _refused(program: str, problem: str) -> str:
    return f'found "{program}", expected a program that can be started: {problem}'


def _problem(program: str) -> str:
    if "/" not in program:
        found = shutil.which(program)
        if found is None:
            here = f'; write "./{program}" for the one in {Path.cwd()}' if program and Path(program).is_file() else ""
            return f"it is not on the PATH{here}"
        return _file_problem(Path(found))
    path = Path(program)
    try:
        return _file_problem(path)
    except FileNotFoundError:
        return _missing(path)


def _missing(path: Path) -> str:
    return "there is no such file" + ("" if path.is_absolute() else f" in {Path.cwd()}")


def _file_problem(path: Path) -> str:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return "it is a folder"
    if not stat.S_ISREG(mode):
        return "it is not a regular file"
    if not os.access(path, os.X_OK):
        return "it is not executable; chmod +x makes it so"
    if not os.access(path, os.R_OK):
        return ""  # programs may be run that cannot be read
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"#!"):
        return _interpreter_problem(os.fsdecode(head[2:].partition(b"\n")[0]))
    if b"\0" in head:
        return ""  # a binary: whether this machine runs it only the kernel knows
    return 'its first line does not begin with "#!"' if head else "it is empty"


def _interpreter_problem(line: str) -> str:
    """Look at what the first line of a script names after "#!"."""
    hint = "; its lines end as Windows has them" if line.endswith("\r") else ""
    interpreter, _, argument = line.strip(" \t").partition(" ")
    if not shutil.which(interpreter):
        return f"its first line names {interpreter!r}, which is not there{hint}"
    words = argument.split(" ") if argument.startswith("-S") else [argument]
    asked = next((word for word in words if word and not word.startswith("-") and "=" not in word), "")
    if Path(interpreter).name == "env" and asked and not shutil.which(asked):
        return f"its first line asks for {asked!r}, which is not on the PATH{hint}"
    return ""
