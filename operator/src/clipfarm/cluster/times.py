"""Times as the API server writes them."""

from datetime import UTC, datetime


def unix_time(text: str) -> float:
    """Return the seconds since 1970 of a time as the API server writes it."""
    return datetime.fromisoformat(text).timestamp()


def api_time(seconds: float) -> str:
    """Return a time as the API server writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
