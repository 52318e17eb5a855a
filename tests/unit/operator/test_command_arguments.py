"""Values of the command line that are taken or refused before a command does anything."""

import json
import sys

import pytest
from click.testing import CliRunner

from clipfarm.cli import main
from clipfarm.cli.main import commands

REPORT = ["report", "--name", "a", "--namespace", "b", "--clips", "0-3", "--output"]


@pytest.fixture(autouse=True)
def _signals(monkeypatch):
    """Signals stay pytest's."""
    monkeypatch.setattr(main, "_at_signals", lambda handler: None)


def refused(*arguments: object) -> str:
    """Return the last line of what a command says that is refused."""
    done = CliRunner().invoke(commands, [str(each) for each in arguments])
    assert done.exit_code == 2, (done.output, done.exception)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("{", "report: --status: not JSON"),
        ("[" * 100_000, "report: --status: not JSON"),
        ("null", "report: --status: expected an object as the operator writes it"),
        ("[1]", "report: --status: expected an object as the operator writes it"),
        ('{"failures": 3}', "report: --status: expected an object as the operator writes it"),
        ('{"failures": [3]}', "report: --status: expected an object as the operator writes it"),
    ],
)
def test_a_status_that_is_none_is_refused(tmp_path, status, line):
    assert refused(*REPORT, tmp_path, "--status", status) == line


def test_ranges_that_no_clips_have_are_refused(tmp_path):
    status = json.dumps({"phase": "Succeeded"})
    line = refused(*REPORT, tmp_path, "--status", status, "--clips", "9" * 5000)
    assert line.startswith('report: found "9999')


@pytest.mark.parametrize("below", ["", "/clips", "/a/b"])
@pytest.mark.parametrize("command", [["plan", "run.yaml"], ["local", "run.yaml"], ["clip", "clips", "1"]])
def test_an_output_that_leads_to_a_file_is_refused(tmp_path, command, below):
    file = tmp_path / "file"
    file.touch()
    assert refused(*command, "--output", f"{file}{below}").endswith(f": found {file}, expected a folder")


@pytest.mark.parametrize(
    "arguments",
    [["vram-agent", "--interval"], ["operator", "--stuck-after"], ["operator", "--dcgm-interval"]],
    ids=lambda arguments: arguments[-1],
)
def test_no_number_of_seconds_is_nan(arguments):
    assert "'nan' is not a number of seconds" in refused(*arguments, "nan")


def test_a_host_that_cannot_be_one_is_named():
    assert refused("vram-agent", "--host", "no..host").startswith("no..host:9401: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["loca"], "clipfarm: no such command: loca; did you mean local?"),
        (["vram_agnet"], "clipfarm: no such command: vram_agnet; did you mean vram-agent?"),
        (["gpu", "prepar"], "clipfarm gpu: no such command: prepar; did you mean prepare?"),
        (["xyzzy"], "clipfarm: no such command: xyzzy; expected one of clip, doctor, "),
        (["plan"], "clipfarm plan: Missing argument 'RUN_FILE'."),
        (["--colour"], "clipfarm: No such option"),
    ],
)
def test_a_word_that_is_no_command_is_answered_by_one_line(monkeypatch, capsys, arguments, line):
    monkeypatch.setattr(sys, "argv", ["clipfarm", *arguments])
    assert main._run() == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), error[: len(line)]) == (1, line)
