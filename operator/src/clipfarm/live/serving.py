"""Serving the page: it only reads, and answers nothing but this page's own requests."""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from clipfarm.gallery.write import PAGE, script

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_LOG = logging.getLogger(__name__)
# A request that breaks the rules of HTTP is answered with 400, and is no fault of this program.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Source(Protocol):
    """What the page shows. Methods may wait for a disk: each is called in a thread."""

    def runs(self) -> Sequence[Mapping[str, Any]]:
        """Return the runs as they are now."""

    def table(self) -> Mapping[str, Any]:
        """Return the clips that can be looked at, as :func:`clipfarm.gallery.table.table`."""

    def truths(self, number: int) -> Mapping[str, Any]:
        """Return the truth of the clips in one file."""

    def strip(self, index: int) -> bytes | None:
        """Return a clip's thumbnail, WebP; None if it has none."""

    def file(self, index: int, name: str) -> Path | None:
        """Return the place of a clip's file that may be read; None if there is no such clip."""


async def start(source: Source, host: str, port: int) -> web.AppRunner:
    """Serve a source until the runner is cleaned up.

    Args:
        source: what is shown.
        host: address to listen on.
        port: 0: any.

    Raises:
        OSError: the address cannot be had.
    """
    app = web.Application(middlewares=[_guard(host)])
    app.add_routes(_routes(source))
    runner = web.AppRunner(app, access_log=None, logger=_LOG)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


def address(runner: web.AppRunner) -> str:
    """Return where a runner serves, as people open it."""
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _routes(source: Source) -> list[web.RouteDef]:
    async def page(request: web.Request) -> web.Response:
        name = request.match_info.get("name") or "index.html"
        suffix = Path(name).suffix
        found = PAGE / name
        if suffix not in TYPES or not found.is_file():
            raise web.HTTPNotFound
        return web.Response(body=found.read_bytes(), content_type=TYPES[suffix], charset="utf-8")

    async def now(_: web.Request) -> web.Response:
        return web.json_response({"runs": list(await asyncio.to_thread(source.runs))})

    async def clips(request: web.Request) -> web.Response:
        table = await asyncio.to_thread(source.table)
        if request.path.endswith(".json"):
            return web.json_response(text=await asyncio.to_thread(_dump, table))
        text = await asyncio.to_thread(script, "clips", table)
        return web.Response(text=text, content_type="text/javascript", charset="utf-8")

    async def truths(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(source.truths, int(request.match_info["number"]))
        return web.Response(text=script("truth", found), content_type="text/javascript", charset="utf-8")

    async def strip(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(source.strip, int(request.match_info["index"]))
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found, content_type="image/webp")

    async def file(request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(source.file, int(request.match_info["index"]), request.match_info["name"])
        if found is None or not await asyncio.to_thread(found.is_file):
            raise web.HTTPNotFound
        return web.FileResponse(found)

    number = r"\d{1,9}"
    return [
        web.get("/", page),
        web.get(r"/{name:[a-z]+\.(html|css|js)}", page),
        web.get("/live.json", now),
        web.get("/data/clips.{kind:js|json}", clips),
        web.get(f"/data/truth-{{number:{number}}}.js", truths),
        web.get(rf"/strips/{{folder:{number}}}/{{index:{number}}}.webp", strip),
        web.get(rf"/run/clip_{{index:{number}}}/{{name:ground_truth\.json|clip\.json|rgb/frame_\d{{5,9}}\.png}}", file),
    ]


def _dump(table: Mapping[str, Any]) -> str:
    return json.dumps(table, separators=(",", ":"), allow_nan=False)


def _guard(host: str) -> Any:
    """Return a middleware that adds headers, and refuses other names than this machine's if only it is served.

    Otherwise a page in the user's browser could read this one, under a name of its own that leads to 127.0.0.1.
    """
    only_here = is_loopback(host)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
        if only_here and name not in LOCAL_NAMES:
            return web.Response(status=403, text="this page is served to this machine alone; ask for it as localhost\n")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        response.headers.update(HEADERS)
        return response

    return guard


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
