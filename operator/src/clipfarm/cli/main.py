"""``clipfarm``: the command line."""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import click

from clipfarm import __version__
from clipfarm.cli.output import show
from clipfarm.cli.suggesting import Suggesting
from clipfarm_contract import streams
from clipfarm_contract.signals import not_ignored

COMMANDS = (
    "clip",
    "doctor",
    "encode",
    "export",
    "gallery",
    "gpu",
    "inline",
    "local",
    "operator",
    "plan",
    "probe",
    "report",
    "retry",
    "status",
    "verify",
    "vram",
    "vram-agent",
    "watch",
)
"""Each is a module of this package with a command of that name (a hyphen is an underscore there), imported when it is
used."""


FAILED = 1
INTERRUPTED = 128 + signal.SIGINT
WITH_RESULTS = ("local",)
"""Commands whose exit code reports what they did: lost output does not change it."""


class _Commands(Suggesting):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"clipfarm.cli.{name}"), name)
        _at_signals(_leave)  # from here on there may be something to clean up
        return command


CONTEXT = {
    "help_option_names": ["-h", "--help"],
    # The first system wrote --test_clips: --test-clips is the same option.
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "max_content_width": 100,
}


@click.group(cls=_Commands, context_settings=CONTEXT)
@click.version_option(__version__)
def commands() -> None:
    """Make physics clips with V-JEPA 2 features from one YAML file."""


def main() -> None:
    """Run the command line.

    A signal ends it with 128 + its number at any time, also while modules are still being imported. What a command
    has under way is cleaned up by its ``finally`` and ``with`` on the way out.
    """
    output = streams.guard("clipfarm")
    _at_signals(_leave_at_once)
    code = _run()
    sys.stdout.flush()
    if output.failed and not code and not set(WITH_RESULTS) & set(sys.argv[1:2]):
        code = FAILED
    sys.exit(code)


def _run() -> int:
    """Run the command, and return the exit code; a mistake is reported in one line."""
    try:
        code = commands.main(prog_name="clipfarm", standalone_mode=False)
    except SystemExit as end:
        code = end.code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.UsageError as error:
        show(f"{error.ctx.command_path if error.ctx else 'clipfarm'}: {_one_line(error)}", error=True)
        code = error.exit_code
    except click.ClickException as error:
        show(f"clipfarm: {_one_line(error)}", error=True)
        code = error.exit_code
    except OSError as error:
        show(f"clipfarm: {error.filename}: {error.strerror}" if error.filename else f"clipfarm: {error}", error=True)
        code = FAILED
    except click.Abort:
        code = INTERRUPTED
    return code if isinstance(code, int) else 0


def _one_line(error: click.ClickException) -> str:
    return " ".join(error.format_message().split())


def _at_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in not_ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def _leave_at_once(number: int, _: FrameType | None) -> None:
    """End at once: an exception in the middle of an import may be swallowed by the module that is being imported."""
    os._exit(128 + number)


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
