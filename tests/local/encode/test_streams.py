"""Whatever becomes of the encoder's standard streams: never a traceback, and an exit code that is right."""

import subprocess
import sys

import pytest

FULL = "clipfarm-encode: standard output: No space left on device\n"
MISSING = "clipfarm-encode: Missing option '--data-dir'.\n"


@pytest.mark.parametrize(
    ("how", "arguments", "expected"),
    [
        (">/dev/full", ["--help"], (1, FULL)),
        ("| true", ["--help"], (0, "")),
        (">&-", ["--help"], (0, "")),
        (">/dev/full", [], (2, MISSING)),
        ("2>/dev/full", [], (2, "")),
        (">&- 2>&- <&-", [], (2, "")),
    ],
)
def test_the_encoder_ends_with_a_code_and_a_line(how, arguments, expected):
    shell = ["bash", "-c", f'"$@" {how}; exit ${{PIPESTATUS[0]}}', "bash"]
    command = [*shell, sys.executable, "-m", "clipfarm_encode", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == expected
