"""The operator as a process: kopf brings events of runs, the loop does the work, HTTP reports how it is."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import kopf
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, disable_created_metrics, generate_latest

from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.process import run_metrics
from clipfarm.cluster.process.operator import Operator
from clipfarm.cluster.process.page import ClusterPage
from clipfarm.cluster.process.vram_metrics import GpuMetrics
from clipfarm.live import serving
from clipfarm.run import API_VERSION

END_SECONDS = 2.0
"""For everything to end by itself. kopf takes longer where it is stopped before it has quite begun."""
ALIVE_SECONDS = 60.0
"""A tick has to have finished within this; the loop ticks each second, and waits for no request."""


async def serve(operator: Operator, host: str, port: int, page: tuple[str, int] | None = None) -> None:
    """Run the operator until a signal ends it, or a part of it fails.

    Args:
        operator: the loop.
        host: address of /healthz, /readyz and /metrics.
        port: their port.
        page: address and port of the page; None: none is served.

    Raises:
        OSError: an address cannot be had.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter was made is of no use
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    REGISTRY.register(GpuMetrics(operator.gpus, operator.runs, operator.ledger, operator.clock))
    servers = [await _serve_http(operator, host, port)]
    if page is not None:
        servers.append(await serving.start(ClusterPage(operator), *page))
        logging.getLogger(__name__).info("page at %s", serving.address(servers[-1]))
    kopf_stop = threading.Event()
    kopf_end: asyncio.Future[None] = loop.create_future()
    threading.Thread(
        target=_run_kopf,
        args=(
            _registry(lambda key: loop.call_soon_threadsafe(operator.mark, key)),
            operator.namespaces,
            kopf_stop,
            lambda error: loop.call_soon_threadsafe(_settle, kopf_end, error),
        ),
        daemon=True,
    ).start()
    work = asyncio.create_task(operator.run())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((kopf_end, work, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        kopf_stop.set()
        work.cancel()
        stopped.cancel()
        await asyncio.wait((work, kopf_end), timeout=END_SECONDS)
        for server in servers:
            await server.cleanup()
    for end in (work, kopf_end):
        if end.done() and not end.cancelled():
            await end


def _run_kopf(
    registry: kopf.OperatorRegistry,
    namespaces: tuple[str, ...],
    stop: threading.Event,
    ended: Callable[[BaseException | None], object],
) -> None:
    """Run kopf, in a thread of its own: when it ends it waits for whatever else runs in its loop."""
    error = None
    try:
        kopf.run(
            registry=registry,
            settings=_settings(),
            standalone=True,
            namespaces=namespaces,
            clusterwide=not namespaces,
            stop_flag=stop,
        )
    except Exception as failure:  # noqa: BLE001 - handed on to the loop
        error = failure
    with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits for it
        ended(error)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _registry(mark: Callable[[RunKey], object]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    group, version = API_VERSION.split("/")

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        account = kopf.login_with_service_account(**arguments)
        return by_address(account, os.environ) if account else kopf.login_with_kubeconfig(**arguments)

    # No timer, no daemon, no handler of deletions: each would put a finalizer on the run, and a run would not go
    # while the operator is away. What the event says is not used: it would be missed for runs that are deleted while
    # kopf's watch is broken. It is a coroutine, because kopf would run a function in a pool of threads.
    @kopf.on.event(group, version, "benchmarkruns", registry=registry)
    async def saw(event: kopf.RawEvent, **_: Any) -> None:
        metadata = event["object"]["metadata"]
        mark((metadata["namespace"], metadata["name"]))

    return registry


def by_address(account: kopf.ConnectionInfo, environ: Mapping[str, str]) -> kopf.ConnectionInfo:
    """Return a pod's way to the API server by the address that the kubelet says, as all other clients have it.

    kopf's own way is by name, and an operator that starts while the cluster's DNS is down would see no event.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return account
    return dataclasses.replace(account, server=f"https://{f'[{host}]' if ':' in host else host}:{port}")


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # kopf's own watches have no end by default: a silently stalled one would be a silently stalled operator.
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    # Each line that kopf logs of an object would be a Kubernetes Event.
    settings.posting.enabled = False
    settings.peering.standalone = True
    # It needs no rights to watch namespaces and definitions.
    settings.scanning.disabled = True
    return settings


async def _serve_http(operator: Operator, host: str, port: int) -> web.AppRunner:
    async def healthz(_: web.Request) -> web.Response:
        age = operator.clock() - operator.last_tick
        return web.Response(status=200 if age < ALIVE_SECONDS else 503, text=f"the last tick was {age:.0f} s ago\n")

    async def readyz(_: web.Request) -> web.Response:
        if operator.lease is not None and operator.lease.waits_for:
            return web.Response(status=503, text=f"{operator.lease.waits_for}\n")
        if operator.synced:
            return web.Response(text=f"everything was read; {'leads' if operator.leads else 'stands by'}\n")
        refused = operator.unread()
        why = f": {refused}" if refused else ""
        return web.Response(status=503, text=f"waits for the first answers of the API server{why}\n")

    async def metrics(_: web.Request) -> web.Response:
        # Counted when they are asked for: ticks are many times as frequent as scrapes.
        if operator.leads:
            run_metrics.count(operator.runs.values())
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    address, bound = runner.addresses[0][:2]
    logging.getLogger(__name__).info("/healthz, /readyz and /metrics at http://%s:%s", address, bound)
    return runner
