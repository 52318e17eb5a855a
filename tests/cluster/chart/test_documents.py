"""Commands of the documents that are marked as tested do what the documents say.

In one control plane, one document after the other, as a reader would. The operator's pod would be played, so its
process is started here as soon as it is installed.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.chart import ROOT, program
from helpers.cluster import ControlPlane, Namespace
from helpers.cluster import program as built
from helpers.releases import Process, Release

MARK = "<!-- tested -->\n"
DOCUMENTS = ("docs/install.md", "README.md")


def blocks(document: str) -> list[str]:
    """Code after each mark: fenced, or indented by four blanks."""
    found = []
    for part in document.split(MARK)[1:]:
        fenced = re.match("```console\n(.*?)^```$", part, re.M | re.S)
        indented = re.match("((?: {4}.*\n)+)", part)
        block = fenced or indented
        assert block, f"nothing to run after a mark: {part[:60]!r}"
        found.append(block[1])
    return found


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of a block with what they are said to print; an indented block says nothing of that."""
    if not block.startswith("$ "):
        for line in block.splitlines():
            yield line.strip(), []
        return
    for part in block.removeprefix("$ ").split("\n$ "):
        command, *printed = part.strip("\n").splitlines()
        yield command, printed


class Shell:
    """Runs commands as a reader does, from the root of the repository, with the tools on the PATH."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        tools = folder / "bin"
        tools.mkdir()
        (tools / "helm").symlink_to(program())
        (tools / "kubectl").symlink_to(built("kubectl"))
        # The command of this environment, and none that happens to be installed.
        (tools / "clipfarm").write_text(f'#!/bin/sh\nexec {sys.executable} -m clipfarm.cli.main "$@"\n')
        (tools / "clipfarm").chmod(0o755)
        path = f"{tools}:{os.environ['PATH']}"
        self.environment = os.environ | {"KUBECONFIG": control_plane.kubeconfig, "PATH": path}

    def run(self, command: str) -> str:
        if command.endswith((" -w", " --watch")):
            return self._first_line(command)
        done = subprocess.run(
            [shutil.which("bash") or "bash", "-c", command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not done.returncode, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _first_line(self, command: str) -> str:
        """What a command that never ends prints first, and second: a head, and the first run."""
        with subprocess.Popen(
            command.split(), cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as shown:
            assert shown.stdout is not None
            lines = shown.stdout.readline() + shown.stdout.readline()
            shown.terminate()
        return lines


@pytest.mark.usefixtures("without_definition")
def test_marked_commands_do_what_the_documents_say(control_plane: ControlPlane, tmp_path: Path):
    shell = Shell(control_plane, tmp_path)
    namespace = Namespace(control_plane.api, "clipfarm")
    ran: list[str] = []
    with contextlib.ExitStack() as cleanup:
        # Nothing is waited for that only a garbage collector brings about.
        gone = ("delete", "--ignore-not-found", "--wait=false")
        cleanup.callback(control_plane.kubectl, *gone, "namespace", "clipfarm")
        cleanup.callback(shell.run, "helm uninstall clipfarm --namespace clipfarm --ignore-not-found --wait")
        cleanup.callback(control_plane.kubectl, *gone, "pvc/clips", "benchmarkruns/friction")
        for document in DOCUMENTS:
            with contextlib.ExitStack() as operators:
                for command, printed in [each for block in read(document) for each in commands(block)]:
                    said = shell.run(command)
                    for line in printed:
                        assert line in said, f"{document}: {command} does not print {line!r}, but {said!r}"
                    ran.append(command)
                    if command.startswith("helm install"):
                        release = Release(control_plane, namespace, "clipfarm")
                        folder = tmp_path / Path(document).stem
                        folder.mkdir()
                        operators.enter_context(Process(release, Path(control_plane.kubeconfig).read_text(), folder))
    programs = {command.split()[0] for command in ran}
    assert programs == {"helm", "kubectl", "clipfarm"}


def read(document: str) -> list[str]:
    found = blocks((ROOT / document).read_text())
    assert found, f"{document}: nothing is marked as tested"
    return found


def test_a_block_is_taken_apart_as_a_reader_does():
    document = f"a\n{MARK}```console\n$ one\nprinted\n$ two\n```\nb\n{MARK}    three\n    four\n\nc\n"
    assert [list(commands(block)) for block in blocks(document)] == [
        [("one", ["printed"]), ("two", [])],
        [("three", []), ("four", [])],
    ]
