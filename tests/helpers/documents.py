"""Commands of the documents: a block below a mark is run by a test."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from helpers.local import wait_until

ROOT = Path(__file__).parents[2]
ANYWHERE = "<!-- tested -->"
"""Runs on any cluster, and so on a control plane whose nodes are played."""
NODE = "<!-- tested on a node -->"
"""Makes this machine a node."""


def blocks(document: str, *marks: str) -> list[str]:
    """Code after each of the marks, in the document's order: fenced, or indented by four blanks."""
    found = []
    for part in re.split("|".join(f"^{re.escape(mark)}\n" for mark in marks), document, flags=re.M)[1:]:
        fenced = re.match("```console\n(.*?)^```$", part, re.M | re.S)
        indented = re.match("((?: {4}.*\n)+)", part)
        block = fenced or indented
        assert block, f"nothing to run after a mark: {part[:60]!r}"
        found.append(block[1])
    return found


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of a block with what they are said to print; an indented block says nothing of that."""
    if block[:2] not in ("$ ", "# "):
        for line in block.splitlines():
            yield re.sub(r" +# .*", "", line).strip(), []
        return
    for part in re.split(r"^[$#] ", block, flags=re.M)[1:]:
        command, *printed = part.strip("\n").splitlines()
        yield command, printed


def read(document: str, *marks: str) -> list[str]:
    """Blocks of one of the repository's documents; a document without any has lost its marks."""
    found = blocks((ROOT / document).read_text(), *marks)
    assert found, f"{document}: nothing is marked as tested"
    return found


class Shell:
    """Runs commands as a reader types them, one after the other, from the root of the repository.

    What one command changes of its environment the next one sees.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self._folder = folder

    def run(self, command: str, limit: float | None = 120, *, shown: bool = False) -> str:
        """Run a command to its end, and return what it prints; ``shown``: show it instead, and return nothing."""
        after = self._folder / "environment"
        done = subprocess.run(
            [shutil.which("bash") or "bash", "-c", f'{command}\nstatus=$?\nenv -0 >"$0"\nexit $status', after],
            cwd=ROOT,
            env=self.environment,
            stdout=None if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            text=True,
            timeout=limit,
            check=False,
        )
        assert not done.returncode, f"{command}\n{done.stdout or ''}{done.stderr or ''}"
        pairs = (pair.partition("=") for pair in after.read_text().split("\0") if pair)
        self.environment = {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD")}
        return done.stdout or ""

    def follow(self, command: str, output: IO[str] | int = subprocess.PIPE) -> "subprocess.Popen[str]":
        """Start a command that never ends."""
        return subprocess.Popen(
            [shutil.which("bash") or "bash", "-c", f"exec {command}"],
            cwd=ROOT,
            env=self.environment,
            stdout=output,
            text=True,
        )

    def watch(self, command: str, shown: Path, text: str, limit: float) -> None:
        """Run a command that never ends until it has shown a text; ``shown``: the file with what it prints."""
        with shown.open("w") as output, self.follow(command, output) as process:
            try:
                wait_until(lambda: text in shown.read_text(), f"{command} to show {text}", limit)
            finally:
                process.terminate()


def never_ends(command: str) -> bool:
    """Whether a command goes on until it is ended."""
    return command.endswith((" -w", " --watch"))
