"""Asking one source of GPU memory, with bounds on how long it may take and how much it may say."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from clipfarm.cluster.api import FAULTS
from clipfarm.vram.dcgm import one_line

TIMEOUT_SECONDS = 3.0
MOST_BYTES = 4 * 2**20
"""Of an answer: an exporter of 16 GPUs with 7 instances each says half a megabyte."""
CHUNK = 2**16


class ScrapeError(Exception):
    """A source told nothing; the text says why, in a line."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    text: str
    date: float | None
    """When it was given, by the source's own clock, seconds since 1970; whole seconds."""


async def fetch(
    session: aiohttp.ClientSession, url: str, *, most_bytes: int = MOST_BYTES, token: str | None = None
) -> Page:
    """Return what a source answers.

    Raises:
        ScrapeError: it does not answer in time, with something else than 200, with too much, or with half of it.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        # A redirect would have the operator ask whatever a pod names.
        async with session.get(url, timeout=timeout, allow_redirects=False, headers=headers) as answer:
            if answer.status != 200:
                raise ScrapeError(one_line(f"{answer.status} {answer.reason}"))
            body = bytearray()
            async for chunk in answer.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > most_bytes:
                    raise ScrapeError(f"answers with more than {most_bytes // 2**20} MiB")
            return Page(body.decode(), _date(answer.headers.get("Date")))
    except UnicodeDecodeError as error:
        raise ScrapeError("answers with something else than text") from error
    except TimeoutError as error:
        raise ScrapeError(f"no answer within {TIMEOUT_SECONDS:g} s") from error
    except (*FAULTS, ValueError) as error:
        raise ScrapeError(one_line(str(error)) or type(error).__name__) from error


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
