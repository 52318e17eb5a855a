"""``clipfarm vram-agent``: serves a node's GPU memory over HTTP."""

import logging
import socket
import threading

import click

from clipfarm.cli.options import fail
from clipfarm.cli.seconds import Seconds


@click.command("vram-agent")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of /metrics.")
@click.option("--port", type=click.IntRange(0, 65535), default=9401, show_default=True, help="Its port; 0: any.")
@click.option(
    "--interval",
    type=Seconds(0.1, 3600),
    default=5.0,
    show_default=True,
    help="Seconds between two measurements.",
)
@click.option(
    "--node",
    envvar="NODE_NAME",
    show_envvar=True,
    help="The node's name in the cluster.  [default: this machine's host name]",
)
def vram_agent(*, host: str, port: int, interval: float, node: str | None) -> None:
    """Serve this machine's GPU memory under the names that NVIDIA's DCGM exporter uses, until a signal ends it.

    Without a GPU or its driver, it keeps serving, reports the problem, and tries again.
    """
    # Here, because --help has no use for it.
    from clipfarm.vram.agent import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(node or socket.gethostname(), host, port, interval, threading.Event())
    except (OSError, OverflowError, UnicodeError) as error:
        fail(f"{host}:{port}: {error}")
