"""Options and errors of commands for runs in a cluster."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from clipfarm.cli.options import fail

Command = TypeVar("Command", bound=Callable[..., Any])
UNREACHABLE = 3
"""Exit code if the API server does not answer."""


def run_arguments(command: Command) -> Command:
    """Add the name of a run and the option ``--namespace`` to a command."""
    help_text = "Namespace of the run.  [default: that of the kubeconfig]"
    decorated: Any = click.option("-n", "--namespace", help=help_text)(command)
    return click.argument("name")(decorated)  # type: ignore[no-any-return]


def with_cluster(work: Callable[[Any, str], Awaitable[int]], namespace: str | None) -> None:
    """Connect to the cluster of the current kubeconfig, do the work, and end with the exit code it returns.

    Args:
        work: is given the API server and the namespace.
        namespace: that of the command line, if given.
    """
    # Here, because it takes a second to import, and --help has no use for it.
    from clipfarm.cluster.api.client import Api
    from clipfarm.cluster.api.errors import FAULTS, ApiError, NoClusterError

    logging.getLogger("kubernetes").setLevel(logging.ERROR)  # what it warns of, the errors below say

    async def run() -> int:
        async with await Api.connect() as api:
            return await work(api, namespace or api.namespace)

    try:
        code = asyncio.run(run())
    except NoClusterError as error:
        fail(str(error))
    except ApiError as error:
        fail(f"the API server refuses: {error.message}")
    except FAULTS as error:
        click.echo(f"the API server does not answer: {error or type(error).__name__}", err=True)
        raise SystemExit(UNREACHABLE) from None
    raise SystemExit(code)


async def find(api: Any, namespace: str, name: str) -> dict[str, Any]:
    """Return a run; ends the program if there is none."""
    from clipfarm.cluster.api.paths import run_path

    run: dict[str, Any] | None = await api.get(run_path((namespace, name)))
    if run is None:
        fail(f"{name}: there is no such run in the namespace {namespace}")
    return run
