"""``clipfarm export``: a run's clips as a data set that others can load."""

import importlib.util
import os
import sys

import click

from clipfarm.cli.options import fail

PACKAGE = "clipfarm_export"


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="RUN_FOLDER DEST")
def export(*, arguments: tuple[str, ...]) -> None:
    """Write the clips of a run as a data set for `datasets`, `webdataset` or `lerobot`.

    This command becomes `clipfarm-export`, a package of its own, whose arguments and exit codes it has.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        fail("clipfarm export: not installed: clipfarm_export (`make setup`, or the extra clipfarm[export])")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", PACKAGE, *arguments])  # noqa: S606 - a list of arguments
