"""docs/cli.md is what --help says, options have one style, and those of the first system still work."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, metadata

import click
import pytest

from clipfarm.cli.main import CONTEXT, commands
from helpers.chart import ROOT

DOCUMENT = (ROOT / "docs" / "cli.md").read_text()
PROGRAMS = ("clipfarm", "clipfarm-render", "clipfarm-encode", "clipfarm-encode-videos", "clipfarm-export")
VALUES = {
    "--output_dir": "out",
    "--seed": "7",
    "--test_clips": "3",
    "--start_job": "1",
    "--end_job": "2",
    "--workers": "4",
    "--data_dir": ".",
    "--out_dir": "out",
    "--batch_size": "8",
    "--dtype": "fp32",
    "--limit": "5",
    "--crop_size": "32",
    "--log_json": "log.json",
}
"""Of options that take one."""
NEEDED = {"local": ("--output", "clips"), "encode": ("--data-dir", "tests")}


def program(name: str) -> click.Command:
    [entry] = metadata.entry_points(group="console_scripts", name=name)
    [found] = [each for each in vars(import_module(entry.module)).values() if isinstance(each, click.Command)]
    return found


def all_commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from all_commands(child)


def test_the_document_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "cli-reference", "--check"], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_options_are_written_with_dashes(name: str):
    found = [each for command in all_commands(program(name)) for each in command.params]
    spellings = [word for each in found if isinstance(each, click.Option) for word in each.opts + each.secondary_opts]
    assert len(spellings) > 5
    assert not [word for word in spellings if "_" in word]


def former() -> Iterator[tuple[str, str, str]]:
    """Program, old spelling and new one of each option in the table."""
    table = DOCUMENT.partition("\n## Coming from the first system\n")[2].partition("\n## ")[0]
    for old, new, _ in re.findall(r"^\| (.+?) \| (.*?) \| (.*?) ?\|$", table, re.M)[2:]:
        names, kept = re.findall(r"`(--\w+)`", old), re.findall(r"--[\w-]+(?=`)", new)
        where = "encode" if "clipfarm-encode" in new else "local"
        if new:
            yield from ((where, *pair) for pair in zip(names, kept or names, strict=True))


def parsed(where: str, *words: str) -> dict[str, object]:
    if where == "local":
        local = commands.get_command(click.Context(commands), "local")
        assert local is not None
        arguments = ["run.yaml", *words]
        return local.make_context("local", arguments, **CONTEXT).params
    encode = program("clipfarm-encode")
    return encode.make_context("clipfarm-encode", list(words), **encode.context_settings).params


@pytest.mark.parametrize(("where", "old", "new"), list(former()))
def test_an_option_of_the_first_system_means_the_same(monkeypatch, where: str, old: str, new: str):
    monkeypatch.chdir(ROOT)
    given = [VALUES[old]] if old in VALUES else []
    option, value = NEEDED[where]
    needed = [] if new == option else [option, value]
    found = parsed(where, *needed, old, *given)
    assert found == parsed(where, *needed, new, *given)
    assert found != parsed(where, option, value)


def test_every_option_of_the_first_system_is_in_the_table():
    assert {old for _, old, _ in former()} >= set(VALUES) | {"--test", "--auto_scale", "--dry_run", "--force_restart"}


@pytest.mark.parametrize("words", [["run"], ["run", "--failed"]])
def test_retry_takes_the_option_that_it_once_required(words: list[str]):
    retry = commands.get_command(click.Context(commands), "retry")
    assert retry is not None
    assert retry.make_context("retry", words, **CONTEXT).params == {"name": "run", "namespace": None}
