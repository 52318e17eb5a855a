"""The API server, in raw JSON.

The official client's typed objects are left out: decoding them took twelve seconds of a thousand pods where plain JSON
takes one. It is read by pydantic's parser, which takes three fifths of the time of Python's own.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
from pydantic_core import from_json

from clipfarm.cluster.api.connection import REQUEST_TIMEOUT, Connection
from clipfarm.cluster.api.errors import CONFLICT, NOT_FOUND, ApiError, WatchExpiredError
from clipfarm.manifests.common import Manifest as Manifest  # for all who ask the API server, too

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Ask for an answer without spec and status, where the answer is not read anyway."""
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""The same of a list."""
PAGE = 500
"""Objects that a list brings at a time."""
WATCH_SECONDS = 240
"""A watch is ended by the server after this, and begun again: one that has silently stalled lasts no longer."""


class Api(Connection):
    """Requests to one API server."""

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

    async def delete(self, path: str, uid: str, *, grace: int | None = None, propagation: str = "Background") -> None:
        """Delete an object and what it owns; that it is gone, or another one of that name there, is no error.

        Args:
            path: of the object.
            uid: of the object.
            grace: seconds that a pod has to end; 0 deletes it without waiting for its kubelet. None: its own.
            propagation: ``Foreground``: it stays until what it owns is gone.
        """
        options: Manifest = {"preconditions": {"uid": uid}, "propagationPolicy": propagation}
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
        async with self.request("GET", path, parameters=query, timeout=timeout, verb="WATCH") as response:
            async for line in _lines(response.content):
                event = from_json(line, cache_strings="keys")
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
        timeout = REQUEST_TIMEOUT if method == "GET" else self.write_timeout()
        async with self.request(
            method, path, parameters=parameters, body=body, headers=headers, timeout=timeout
        ) as response:
            answer: Manifest = from_json(await response.read(), cache_strings="keys")
            return answer


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
