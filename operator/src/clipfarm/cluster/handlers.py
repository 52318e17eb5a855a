"""kopf: brings the events of runs, and keeps the process going. No handler does work; each marks a run as due."""

import asyncio
import logging
import time
from typing import Any

import kopf
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from clipfarm.cluster.api import Api
from clipfarm.cluster.operator import Operator
from clipfarm.manifests.common import Images
from clipfarm.run import API_VERSION

ALIVE_SECONDS = 60.0
"""A tick has to have finished within this; the loop ticks each second."""


def serve(images: Images, namespaces: tuple[str, ...], host: str, port: int) -> None:
    """Run the operator until a signal ends it.

    Args:
        images: what its pods run.
        namespaces: which to look at; all where there are none.
        host: address of /healthz and /metrics.
        port: their port.
    """
    registry = kopf.OperatorRegistry()
    group, version = API_VERSION.split("/")

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
        # kopf's own watches have no end unless told: a silently stalled one would be a silently stalled operator.
        settings.watching.server_timeout = 240
        settings.watching.client_timeout = 300
        settings.watching.connect_timeout = 10
        settings.networking.request_timeout = 30
        settings.posting.enabled = False
        settings.peering.standalone = True
        memo.api = await Api.connect()
        await memo.api.__aenter__()
        memo.operator = Operator(memo.api, images, namespaces)
        memo.task = asyncio.create_task(_until_it_fails(memo.operator))
        memo.server = await _serve_http(memo.operator, host, port)

    @kopf.on.cleanup(registry=registry)
    async def end(memo: kopf.Memo, **_: Any) -> None:
        memo.task.cancel()
        await asyncio.gather(memo.task, return_exceptions=True)
        await memo.server.cleanup()
        await memo.api.__aexit__()

    @kopf.on.event(group, version, "benchmarkruns", registry=registry)
    def saw(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
        memo.operator.saw(dict(event["object"]), deleted=event["type"] == "DELETED")

    kopf.configure(verbose=False)
    kopf.run(
        registry=registry,
        memo=kopf.Memo(),
        standalone=True,
        namespaces=namespaces,
        clusterwide=not namespaces,
    )


async def _until_it_fails(operator: Operator) -> None:
    """Run the loop; a fault that nobody foresaw ends it, liveness fails, and the pod is started again."""
    try:
        await operator.run()
    except Exception:
        logging.getLogger(__name__).exception("the loop has ended")
        raise


async def _serve_http(operator: Operator, host: str, port: int) -> web.AppRunner:
    async def healthz(_: web.Request) -> web.Response:
        age = time.monotonic() - operator.last_tick
        return web.Response(status=200 if age < ALIVE_SECONDS else 503, text=f"the last tick was {age:.0f} s ago\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
