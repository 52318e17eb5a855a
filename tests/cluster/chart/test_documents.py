"""Commands of the documents that are marked as tested do what the documents say.

In one control plane, one document after the other, as a reader would. The operator's pod would be played, so its
process is started here as soon as it is installed.
"""

import contextlib
import os
import sys
from pathlib import Path

import pytest

from helpers.chart import program
from helpers.cluster import ControlPlane, Namespace
from helpers.cluster import program as built
from helpers.documents import ANYWHERE, NODE, Shell, blocks, commands, never_ends, read
from helpers.releases import Process, Release

DOCUMENTS = ("docs/install.md", "README.md")


@pytest.fixture
def shell(control_plane: ControlPlane, tmp_path: Path) -> Shell:
    """A shell with the tools on the PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "helm").symlink_to(program())
    (tools / "kubectl").symlink_to(built("kubectl"))
    # The command of this environment, and none that happens to be installed.
    (tools / "clipfarm").write_text(f'#!/bin/sh\nexec {sys.executable} -m clipfarm.cli.main "$@"\n')
    (tools / "clipfarm").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    return Shell(os.environ | {"KUBECONFIG": control_plane.kubeconfig, "PATH": path}, tmp_path)


def run(shell: Shell, command: str) -> str:
    if not never_ends(command):
        return shell.run(command)
    with shell.follow(command) as shown:
        assert shown.stdout is not None
        # A head, and the first run.
        lines = shown.stdout.readline() + shown.stdout.readline()
        shown.terminate()
    return lines


@pytest.mark.usefixtures("without_definition")
def test_marked_commands_do_what_the_documents_say(control_plane: ControlPlane, shell: Shell, tmp_path: Path):
    namespace = Namespace(control_plane.api, "clipfarm")
    ran: list[str] = []
    with contextlib.ExitStack() as cleanup:
        # Nothing is waited for that only a garbage collector brings about.
        gone = ("delete", "--ignore-not-found", "--wait=false")
        cleanup.callback(control_plane.kubectl, *gone, "namespace", "clipfarm")
        cleanup.callback(shell.run, "helm uninstall clipfarm --namespace clipfarm --ignore-not-found --wait")
        claims, runs = ("pvc/clips", "pvc/demo-clips"), ("benchmarkruns/friction", "benchmarkruns/demo")
        cleanup.callback(control_plane.kubectl, *gone, *claims, *runs)
        for document in DOCUMENTS:
            with contextlib.ExitStack() as operators:
                for command, printed in [each for block in read(document, ANYWHERE) for each in commands(block)]:
                    said = run(shell, command)
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


def test_a_block_is_taken_apart_as_a_reader_does():
    document = (
        f"a\n{ANYWHERE}\n```console\n$ one\nprinted\n$ two\n```\nb\n{NODE}\n    three\n    four  # why\n\n"
        f"{ANYWHERE}\n    five\n\nc\n"
    )
    assert [list(commands(block)) for block in blocks(document, ANYWHERE, NODE)] == [
        [("one", ["printed"]), ("two", [])],
        [("three", []), ("four", [])],
        [("five", [])],
    ]
    assert [list(commands(block)) for block in blocks(document, NODE)] == [[("three", []), ("four", [])]]
