"""A command that cannot be started is refused before the first clip, with the reason that a person can act on."""

import errno
import os
import sys
from pathlib import Path

import pytest

from clipfarm_contract.program import why_not, why_not_started


def script(folder: Path, text: str, mode: int = 0o755) -> str:
    path = folder / "renderer"
    path.write_bytes(text.encode())
    path.chmod(mode)
    return str(path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


FILES = {
    # what the file holds, its mode; why it cannot be started
    "of shell": ("#!/bin/sh\nexit 0\n", 0o755, ""),
    "of Python, by env": ("#!/usr/bin/env python3\n", 0o755, ""),
    "with options for env": ("#!/usr/bin/env -S X=1 python3 -u\n", 0o755, ""),
    "without an end of line": ("#!/bin/sh", 0o755, ""),
    "with blanks before its interpreter": ("#!  /bin/sh -e\n", 0o755, ""),
    "that is binary": ("\x7fELF\0\0", 0o755, ""),
    "that is not executable": ("#!/bin/sh\n", 0o644, "it is not executable; chmod +x makes it so"),
    "that is empty": ("", 0o755, "it is empty"),
    "without a first line of its own": ("print('hi')\n", 0o755, 'its first line does not begin with "#!"'),
    "whose interpreter is not there": (
        "#!/usr/bin/pyhton3\n", 0o755, "its first line names '/usr/bin/pyhton3', which is not there",
    ),
    "with the lines of Windows": (
        "#!/bin/sh\r\n", 0o755,
        r"its first line names '/bin/sh\r', which is not there; its lines end as Windows has them",
    ),
    "whose interpreter env does not find": (
        "#!/usr/bin/env pyhton3\n", 0o755, "its first line asks for 'pyhton3', which is not on the PATH",
    ),
    "that env would look for with the end of a line of Windows": (
        "#!/usr/bin/env python3\r\n", 0o755,
        r"its first line asks for 'python3\r', which is not on the PATH; its lines end as Windows has them",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file(here: Path, case: str):
    text, mode, why = FILES[case]
    path = script(here, text, mode)
    expected = f'found "{path}", expected a program that can be started: {why}' if why else ""
    assert why_not([path, "--option"]) == expected


def test_names_that_are_no_files(here: Path):
    (here / "folder").mkdir()
    os.mkfifo(here / "fifo")
    script(here, "#!/bin/sh\n")
    whys = {
        "no-such-renderer": "it is not on the PATH",
        "renderer": f'it is not on the PATH; write "./renderer" for the one in {here}',
        "": "it is not on the PATH",
        "/no/such/renderer": "there is no such file",
        "./render": f"there is no such file in {here}",
        "./folder": "it is a folder",
        "./fifo": "it is not a regular file",
        "./renderer/x": "Not a directory",
        "x" * 300 + "/x": "File name too long",
    }
    for program, why in whys.items():
        assert why_not([program]) == f'found "{program}", expected a program that can be started: {why}'
    for program in ("sh", sys.executable, "./renderer"):
        assert why_not([program]) == ""


def test_the_script_of_a_python_has_to_be_there(here: Path):
    (here / "there.py").touch()
    for command in (
        ["python3", "there.py"],
        [sys.executable, "."],
        ["python3", "-u", "no.py"],
        ["sh", "no.sh"],
        ["sh"],
    ):
        assert why_not(command) == ""
    for program in ("python3", sys.executable):
        assert why_not([program, "no.py", "x"]) == (
            f'found "no.py", expected a script for {program}: there is no such file in {here}'
        )
    assert why_not(["python3", "/no.py"]) == 'found "/no.py", expected a script for python3: there is no such file'


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOEXEC, "Exec format error; is it built for another processor?"),
        (errno.ENOENT, "it is there, but the loader that it asks for is not; is it built for another C library?"),
        (errno.EACCES, "Permission denied"),
        (errno.ENOMEM, ""),
        (errno.EAGAIN, ""),
        (errno.EMFILE, ""),
        (errno.ETXTBSY, ""),
    ],
)
def test_an_error_of_the_moment_does_not_refuse_a_command(number: int, why: str):
    found = why_not_started(["sh"], OSError(number, os.strerror(number), "sh"))
    assert found == (f'found "sh", expected a program that can be started: {why}' if why else "")
