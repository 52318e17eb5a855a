"""Times as the API server writes them."""

from datetime import UTC, datetime


def unix_time(text: str) -> float:
    """Return the seconds since 1970 of a time as the API server writes it.

    Raises:
        ValueError: it is no time, or has no time zone.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"a time without a time zone: {text[:40]}")
    return found.timestamp()


def read_time(text: object) -> float | None:
    """Return the seconds since 1970 of a field that others write; None if it is missing, or no time.

    The API server takes years that Python does not know, and annotations hold any text.
    """
    try:
        return unix_time(text) if isinstance(text, str) else None
    except ValueError:
        return None


def api_time(seconds: float) -> str:
    """Return a time as the API server writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
