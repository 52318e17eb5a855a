"""As much of a client as starting a cluster needs."""

import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from control_plane.folder import Folder


class ApiError(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Api:
    """Requests to one API server, as its administrator."""

    def __init__(self, folder: Folder) -> None:
        self._server = folder.server
        self._token = folder.token
        context = ssl.create_default_context(cafile=str(folder.certificate))
        # No proxy of this machine's environment: it is 127.0.0.1 that is asked.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def request(self, method: str, path: str, body: object = None, content: str = "application/json") -> Any:
        """The answer, parsed; ``ApiError`` where it is an error, OSError where nobody answers.

        A text is sent as it is; anything else as JSON.
        """
        request = urllib.request.Request(  # noqa: S310 the scheme is ours
            self._server + path,
            data=None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": content},
        )
        try:
            with self._opener.open(request, timeout=30) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode(errors="replace")) from error
        except HTTPException as error:
            raise ConnectionError(str(error)) from error
        return json.loads(text) if text.startswith("{") else text

    def create(self, path: str, body: object, content: str = "application/json") -> None:
        """Make an object, unless there is one of this name."""
        try:
            self.request("POST", path, body, content)
        except ApiError as error:
            if error.status != 409:
                raise

    @property
    def ready(self) -> bool:
        """Whether the server has everything that it needs."""
        try:
            return bool(self.request("GET", "/readyz") == "ok")
        except (ApiError, OSError):
            return False
