"""``clipfarm encode``: features of videos that clipfarm did not make."""

import importlib.util
import os
import sys

import click

from clipfarm.cli.options import fail

PACKAGE = "clipfarm_encode"


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="VIDEOS --output DIR")
def encode(*, arguments: tuple[str, ...]) -> None:
    """Turn other people's videos into features: mp4, webm, avi, folders of pictures.

    This command becomes `clipfarm-encode-videos`, whose arguments and exit codes it has.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        fail("clipfarm encode: not installed: clipfarm_encode (`make setup`, or the package clipfarm-encode[video])")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"{PACKAGE}.videos", *arguments])  # noqa: S606 - a list of arguments
