"""The connection to the API server: how it is found, who asks, and how a request is made.

The official client knows how to find and authenticate to a cluster, and that is what it does here.
"""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from kubernetes.aio import client, config
from prometheus_client import Counter

from clipfarm.cluster.api.backoff import retry_after
from clipfarm.cluster.api.errors import ApiError, NoClusterError

AT_ONCE = 48
"""Requests under way at a time, beside watches. Each is a connection that stays, and one with TLS takes a third of a
MiB, of which asyncio's buffer is 256 KiB. With 24, requests of 30 runs waited for one whenever the API server was slow,
those that take gates off among them."""
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

CALLS = Counter("clipfarm_api_requests_total", "Requests to the API server", ["verb", "resource", "code"])


class Connection:
    """Sessions with one API server, and the requests that are made in them."""

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

    def write_timeout(self) -> aiohttp.ClientTimeout:
        """Return how long a request that changes something may take from now on.

        Raises:
            ApiError: none may be made.
        """
        if self.write_seconds is None:
            return REQUEST_TIMEOUT
        seconds = self.write_seconds()
        if seconds <= 0:
            raise ApiError(503, "this operator does not hold the Lease, so it writes nothing")
        return aiohttp.ClientTimeout(total=min(30.0, seconds), connect=10)

    @asynccontextmanager
    async def request(
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
        """Make a request, and yield the answer, which is not read yet.

        Args:
            method: of HTTP.
            path: on the server.
            parameters: of the query.
            body: sent as JSON.
            headers: beside those of every request.
            timeout: of the whole request.
            verb: for metrics, if it is not the method; ``WATCH`` has a session of its own.

        Raises:
            ApiError: the server refuses.
        """
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
