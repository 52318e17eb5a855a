"""Whatever becomes of standard output: never a traceback, at most one line, and the exit code of what was done."""

import os
import subprocess
from pathlib import Path

import pytest

from helpers.local import CLIPFARM, Local

EXAMPLE = Path(__file__).parents[3] / "examples" / "run.yaml"
FULL = "clipfarm: standard output: No space left on device\n"


def run(how: str, *arguments: object, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code, of the command itself, and what is on standard error."""
    shell = ["bash", "-c", f'"$@" {how}; exit ${{PIPESTATUS[0]}}', "bash"]
    done = subprocess.run(
        [*shell, *CLIPFARM, *map(str, arguments)],
        stderr=subprocess.PIPE,
        env=os.environ | (env or {}),
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("how", "arguments", "expected"),
    [
        (">/dev/full", ["--help"], (1, FULL)),
        (">/dev/full", ["plan", EXAMPLE], (1, FULL)),
        (">/dev/full", ["plan", "--manifests", EXAMPLE], (1, FULL)),
        (">/dev/full", ["plan", "none.yaml"], (2, "none.yaml: No such file or directory\n")),
        ("| true", ["--version"], (0, "")),
        ("| true", ["plan", "--manifests", EXAMPLE], (0, "")),
        (">&-", ["vram", "--local"], (0, "")),
        ("2>/dev/full", ["plan", "none.yaml"], (2, "")),
        (">&- 2>&- <&-", ["plan", "none.yaml"], (2, "")),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_command_ends_with_a_code_and_a_line(how, arguments, expected):
    assert run(how, *arguments) == expected


@pytest.mark.parametrize(("how", "line"), [(">/dev/full", FULL), ("| true", ""), (">&- 2>&- <&-", "")])
def test_a_run_goes_on_to_its_end(tmp_path, how, line):
    local = Local(tmp_path, clips=2, spec={"encode": {"enabled": False}})
    assert run(how, "local", local.yaml, "--output", local.output, env=local.environment()) == (0, line)
    assert local.complete() == [0, 1]
