"""A way to the API server that writes down who asked for what, and can lose an answer on its way back."""

import asyncio
import contextlib
import ssl
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector, web

HOP = {"connection", "transfer-encoding", "content-length", "host", "content-encoding", "keep-alive"}
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True)
class Request:
    """What RBAC decides on."""

    verb: str
    group: str
    resource: str
    """The plural; a subresource behind a slash."""
    namespace: str

    @property
    def right(self) -> tuple[str, str, str]:
        """Verb, group and resource, as rules of a role name them."""
        return (self.verb, self.group, self.resource)


def request_of(method: str, path: str, query: Any) -> Request | None:
    """Read a request as the API server does; None for what is no resource, as /version and discovery."""
    kind, *parts = path.strip("/").split("/")
    if kind == "api" and len(parts) > 1:
        group, parts = "", parts[1:]
    elif kind == "apis" and len(parts) > 2:
        group, parts = parts[0], parts[2:]
    else:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, *rest = [*parts, ""] if len(parts) == 1 else parts
    verb = VERBS.get(method)
    if method == "DELETE":
        verb = "delete" if name else "deletecollection"
    elif method in ("GET", "HEAD"):
        verb = "get" if name else "watch" if query.get("watch") in ("true", "1") else "list"
    assert verb is not None, f"{method} {path}"
    return Request(verb, group, plural + (f"/{rest[0]}" if rest else ""), namespace)


class Recorder:
    """Listens on 127.0.0.1, and hands everything on to the API server of a kubeconfig with the asker's own token."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        self._upstream = config["clusters"][0]["cluster"]["server"]
        self._trust = ssl.create_default_context(cafile=str(Path(kubeconfig).with_name("pki") / "server.crt"))
        self._lose: Counter[tuple[str, str, str]] = Counter()
        self._silent: set[tuple[str, str]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self.server = ""
        self.allowed: set[Request] = set()
        self.refused: set[Request] = set()

    def __enter__(self) -> "Recorder":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def lose_answer(self, *right: str) -> None:
        """The next request of this kind is carried out, and whoever made it does not learn of it.

        Watches of the resource say nothing until somebody has asked for an object of it.
        """
        verb, group, resource = right
        self._lose[verb, group, resource] += 1

    def kubeconfig(self, token: str) -> str:
        """A kubeconfig that leads here."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "recorded",
            "clusters": [{"name": "recorded", "cluster": {"server": self.server}}],
            "users": [{"name": "recorded", "user": {"token": token}}],
            "contexts": [{"name": "recorded", "context": {"cluster": "recorded", "user": "recorded"}}],
        }
        return yaml.safe_dump(config)

    async def _serve(self) -> None:
        connector = TCPConnector(ssl=self._trust, limit=0)
        async with ClientSession(
            connector=connector, timeout=ClientTimeout(total=None), auto_decompress=False
        ) as session:
            self._session = session
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", self._hand_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.server = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _hand_on(self, asked: web.Request) -> web.StreamResponse:
        seen = request_of(asked.method, asked.path, asked.query)
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in HOP}
        url = self._upstream + asked.raw_path
        # Without a body aiohttp would name a type for it, which the API server refuses.
        body = await asked.read() or None
        loses = seen is not None and self._lose[seen.right] > 0
        if loses:
            # Before it is handed on: a watch may tell what the request did sooner than its answer is here.
            self._lose[seen.right] -= 1
            self._silent.add((seen.group, seen.resource))
        async with self._session.request(asked.method, url, headers=headers, data=body) as answer:
            if answer.status >= 400:
                said = await answer.read()
                if loses:
                    self._lose[seen.right] += 1
                    self._silent.discard((seen.group, seen.resource))
                # A webhook, or a namespace on its way out, refuses too, but not for want of rights.
                self._note(seen, refused=answer.status == 401 or b'is forbidden: User \\"' in said)
                return web.Response(status=answer.status, body=said, content_type=answer.content_type)
            self._note(seen, refused=False)
            if loses:
                asked.transport.abort()
            return await self._stream(asked, answer, seen)

    def _note(self, seen: Request | None, *, refused: bool) -> None:
        if seen is None:
            return
        (self.refused if refused else self.allowed).add(seen)
        if seen.verb == "get":
            self._silent.discard((seen.group, seen.resource))

    async def _stream(self, asked: web.Request, answer: ClientResponse, seen: Request | None) -> web.StreamResponse:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP - {"content-encoding"}}
        back = web.StreamResponse(status=answer.status, headers=kept)
        # Whoever asked may have gone.
        with contextlib.suppress(ConnectionError):
            await back.prepare(asked)
            async for part in answer.content.iter_any():
                while seen is not None and seen.verb == "watch" and (seen.group, seen.resource) in self._silent:
                    await asyncio.sleep(0.01)
                await back.write(part)
            await back.write_eof()
        return back
