"""Asking pods, and other programs that are not ours, over HTTP: all of it goes through here, with the same bounds.

The program that answers may be hostile, or broken. So an answer has a largest size and a longest time. It is not
unpacked, leads to no other address, sets no cookie, and is read as text or JSON whose numbers the reader checks.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from clipfarm.cluster.api.errors import FAULTS
from clipfarm.vram.dcgm import one_line
from clipfarm_contract.fields import ContractError, load

TIMEOUT_SECONDS = 3.0
"""From the first packet to the last."""
MOST_BYTES = 4 * 2**20
"""Of an answer: an exporter of 16 GPUs with 7 instances each says half a megabyte."""
MOST_ERROR_BYTES = 2**14
"""Of an answer that only says what went wrong."""
CHUNK = 2**16
FEW_BRACKETS, BRACKET_CHARACTERS = 1000, 20
"""In JSON: one for so many characters, beside a few. An empty list takes twenty times its text in memory."""


class ScrapeError(Exception):
    """A source reported nothing; the text says why, in a line."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    text: str
    date: float | None
    """When it was given, by the source's own clock, seconds since 1970; whole seconds."""

    def json(self) -> object:
        """Return what the text means as JSON.

        Raises:
            ScrapeError: it is none, is nested too deeply, has numbers that are none, or little but brackets.
        """
        if sum(map(self.text.count, "[{")) > FEW_BRACKETS + len(self.text) // BRACKET_CHARACTERS:
            raise ScrapeError("the answer: not JSON with any content (almost only brackets)")
        try:
            return load(self.text, "the answer")
        except ContractError as error:
            raise ScrapeError(one_line(str(error))) from error


def open_session(tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """Return what questions are asked with; to be closed, or used inside ``async with``.

    Args:
        tls: what https is spoken with; None: by the authorities that this machine trusts.
    """
    # An address may be another pod's with the next question: no connection is kept, and no cookie.
    connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True, limit=0, force_close=True)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "clipfarm"},
    )


async def fetch(
    session: aiohttp.ClientSession, url: str, *, most_bytes: int = MOST_BYTES, headers: Mapping[str, str] | None = None
) -> Page:
    """Return what a source answers.

    Args:
        session: of :func:`open_session`.
        url: where to ask.
        most_bytes: of an answer.
        headers: more of them, as Authorization.

    Raises:
        ScrapeError: it does not answer in time, or with something else than 200, too much, half of it, or packed.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        # A redirect would have the operator ask whatever a pod names.
        async with session.get(url, timeout=timeout, allow_redirects=False, headers=headers) as answer:
            packed = ", ".join(answer.headers.getall("Content-Encoding", ())) or "identity"
            if packed.lower() != "identity":
                raise ScrapeError(one_line(f"answers in the encoding {packed}, expected identity"))
            if answer.status != 200:
                said = _message(await _read(answer, MOST_ERROR_BYTES))
                raise ScrapeError(one_line(f"{answer.status} {said or answer.reason}"))
            body = await _read(answer, most_bytes)
            return Page(body.decode(), _date(answer.headers.get("Date")))
    except UnicodeDecodeError as error:
        raise ScrapeError("the answer is not text") from error
    except TimeoutError as error:
        raise ScrapeError(f"no answer within {TIMEOUT_SECONDS:g} s") from error
    except (*FAULTS, ValueError) as error:
        raise ScrapeError(one_line(str(error)) or type(error).__name__) from error


async def _read(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > most_bytes:
            raise ScrapeError(f"answers with more than {_size(most_bytes)}")
    return bytes(body)


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB"


def _message(body: bytes) -> str:
    """Return the message of an API server's refusal; empty for any other body."""
    try:
        found = load(body, "the answer")
    except ContractError:
        return ""
    message = found.get("message") if isinstance(found, dict) else None
    return message if isinstance(message, str) else ""


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
