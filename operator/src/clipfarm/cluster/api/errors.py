"""What a request to the API server may end with beside an answer."""

import aiohttp

FAULTS = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request may end with beside an answer. Whether it was carried out is unknown then."""

NOT_FOUND, CONFLICT, NOT_AS_EXPECTED = 404, 409, 422
PASSING = (408, 409, 429)
"""Refusals of the moment: too slow, another writer, too many requests."""


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
