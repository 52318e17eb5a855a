"""The API server, in raw JSON.

The official client knows how to find and authenticate to a cluster, and that is what it does here. Its typed objects
are left out: decoding them took twelve seconds of a thousand pods where plain JSON takes one.
"""

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from kubernetes.aio import client, config
from prometheus_client import Counter

from clipfarm.cluster.api.backoff import retry_after
from clipfarm.manifests.common import Manifest as Manifest  # for all who ask the API server, too

FAULTS = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request may end with beside an answer. Whether it was carried out is unknown then."""

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Ask for an answer without spec and status, where the answer is not read anyway."""
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""The same of a list."""
AT_ONCE = 64
"""Requests under way at a time, beside watches."""
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PAGE = 500
"""Objects that a list brings at a time."""
NOT_FOUND, CONFLICT, NOT_AS_EXPECTED = 404, 409, 422
PASSING = (408, 409, 429)
"""Refusals of the moment: too slow, another writer, too many requests."""
WATCH_SECONDS = 240
"""A watch is ended by the server after this, and begun again: one that has silently stalled lasts no longer."""

CALLS = Counter("clipfarm_api_requests_total", "Requests to the API server", ["verb", "resource", "code"])


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, code: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again; None: it did not say."""

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a moment later, or has been carried out anyway."""
        return self.code in PASSING or self.code >= 500


class NoClusterError(Exception):
    """There is no cluster to connect to."""


class WatchExpiredError(Exception):
    """The server no longer knows the version from which a watch was to go on: list again."""


class Api:
    """Requests to one API server."""

    write_seconds: Callable[[], float] | None = None
    """How long a request that changes something may take from now on, seconds; 0: none may be made. None: no limit but
    that of every request."""

    def __init__(self, configuration: client.Configuration, *, inside: bool, namespace: str = "default") -> None:
        self.inside = inside
        """Whether this runs in a pod of the cluster."""
        self.namespace = namespace
        """The default namespace of requests."""
        self._client = client.ApiClient(configuration)
        self._session: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    @classmethod
    async def connect(cls) -> Self:
        """Return the API server of the pod that this runs in, or of the current kubeconfig.

        Raises:
            NoClusterError: neither is there.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
            return cls(configuration, inside=True, namespace=OWN_NAMESPACE.read_text().strip())
        except config.ConfigException:
            pass
        try:
            await config.load_kube_config(client_configuration=configuration)
            _, context = config.list_kube_config_contexts()
        except (config.ConfigException, OSError) as error:
            raise NoClusterError(f"no cluster: {error}") from error
        except (yaml.YAMLError, ValueError) as error:
            problem = " ".join(str(error).split())
            raise NoClusterError(f"no cluster: the kubeconfig cannot be read: {problem}") from error
        except (TypeError, KeyError, AttributeError) as error:  # it is another file
            raise NoClusterError("no cluster: the kubeconfig names no clusters, users and contexts") from error
        return cls(configuration, inside=False, namespace=context["context"].get("namespace", "default"))

    async def __aenter__(self) -> Self:
        rest = self._client.rest_client
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE, ssl=rest.ssl_context), timeout=REQUEST_TIMEOUT
        )
        # Each watch has a connection of its own for as long as it lasts, and each namespace has eight.
        self._watches = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=rest.ssl_context))
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._session, self._watches):
            if session:
                await session.close()
        await self._client.close()

    @property
    def tls(self) -> ssl.SSLContext:
        """What https is spoken with."""
        context: ssl.SSLContext = self._client.rest_client.ssl_context
        return context

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"{self._client.configuration.host}{path}"

    async def authorization(self) -> dict[str, str]:
        """Return the header that identifies the client.

        Asked for each time: tokens are short-lived, and the configuration renews them.
        """
        token = await self._client.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"Authorization": token} if token else {}

    async def get(self, path: str) -> Manifest | None:
        """Return an object; None if there is none."""
        try:
            return await self._json("GET", path)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise
            return None

    async def pages(self, path: str, **parameters: str) -> AsyncIterator[tuple[list[Manifest], str]]:
        """Yield a list page by page; each with the version from which a watch goes on."""
        query = parameters | {"limit": str(PAGE)}
        while True:
            page = await self._json("GET", path, parameters=query)
            yield page["items"] or [], page["metadata"]["resourceVersion"]
            following = page["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following

    async def some(self, path: str, most: int, *, metadata_only: bool = False, **parameters: str) -> list[Manifest]:
        """Return the first objects of a list, and no more than so many."""
        headers = {"Accept": METADATA_LIST} if metadata_only else None
        query = parameters | {"limit": str(most)}
        found = (await self._json("GET", path, parameters=query, headers=headers))["items"]
        return found or []  # a list of metadata that is empty has null there

    async def create(self, path: str, body: Manifest) -> Manifest:
        """Create an object.

        Raises:
            ApiError: 409 where it is there already.
        """
        return await self._json("POST", path, body=body, headers={"Content-Type": "application/json"})

    async def patch(self, path: str, body: Any, kind: str) -> None:
        """Change an object; the answer is not read.

        Raises:
            ApiError: 404 where it is gone, 409 or 422 where it is not what the patch expects.
        """
        await self._json("PATCH", path, body=body, headers={"Content-Type": kind, "Accept": METADATA_ONLY})

    async def delete(self, path: str, uid: str, *, grace: int | None = None) -> None:
        """Delete an object and what it owns; that it is gone, or another one of that name there, is no error.

        Args:
            path: of the object.
            uid: of the object.
            grace: seconds that a pod has to end; 0 deletes it without waiting for its kubelet. None: its own.
        """
        options: Manifest = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self._json("DELETE", path, body=options, headers={"Content-Type": "application/json"})
        except ApiError as error:
            if error.code not in (NOT_FOUND, CONFLICT):
                raise

    async def delete_all(self, path: str, **selectors: str) -> None:
        """Delete the objects of a list that ``labelSelector`` and ``fieldSelector`` choose; that there are none is no
        error.

        Raises:
            ApiError: the server refuses.
        """
        assert selectors, "without a selector that would be all"
        body: Manifest = {"propagationPolicy": "Background"}
        headers = {"Content-Type": "application/json", "Accept": METADATA_LIST}
        await self._json("DELETE", path, parameters=selectors, body=body, headers=headers)

    async def watch(self, path: str, version: str, **parameters: str) -> AsyncGenerator[tuple[str, Manifest], None]:
        """Yield (kind of event, object) from a version on, until the server ends the watch.

        Raises:
            WatchExpiredError: the version is too old.
            ApiError: the server refuses.
        """
        query = parameters | {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
            "allowWatchBookmarks": "true",
        }
        # A server that says nothing at all for longer than a watch may last is gone.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30)
        async with self._request("GET", path, parameters=query, timeout=timeout, verb="WATCH") as response:
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    code = event["object"].get("code", 0)
                    if code == 410:
                        raise WatchExpiredError
                    raise ApiError(code, event["object"].get("message", "the watch failed"))
                yield event["type"], event["object"]

    async def _json(
        self,
        method: str,
        path: str,
        *,
        parameters: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Manifest:
        timeout = REQUEST_TIMEOUT if method == "GET" else self._write_timeout()
        async with self._request(
            method, path, parameters=parameters, body=body, headers=headers, timeout=timeout
        ) as response:
            answer: Manifest = json.loads(await response.read())
            return answer

    def _write_timeout(self) -> aiohttp.ClientTimeout:
        if self.write_seconds is None:
            return REQUEST_TIMEOUT
        seconds = self.write_seconds()
        if seconds <= 0:
            raise ApiError(503, "this operator does not hold the Lease, so it writes nothing")
        return aiohttp.ClientTimeout(total=min(30.0, seconds), connect=10)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = REQUEST_TIMEOUT,
        verb: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        session = self._watches if verb == "WATCH" else self._session
        assert session is not None, "used inside `async with`"
        known = {"Accept": "application/json", "User-Agent": "clipfarm"} | await self.authorization()
        async with session.request(
            method,
            self.url(path),
            params=parameters,
            data=None if body is None else json.dumps(body),
            headers=known | (headers or {}),
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            CALLS.labels(verb or method, _resource(path), response.status).inc()
            if response.status >= 300:
                after = retry_after(response.headers.get("Retry-After"))
                raise ApiError(response.status, _message(await response.text()), after)
            yield response


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines of any length; aiohttp's own reader of lines ends at 64 KiB."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def pointer(name: str) -> str:
    """Return a name as one part of a JSON pointer, for the paths of JSON patches (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _resource(path: str) -> str:
    """Return the plural in a path, for metrics: ``pods`` of ``/api/v1/namespaces/a/pods/b/status``."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    return parts[2] if parts[0] == "namespaces" and len(parts) > 2 else parts[0]


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:200]
