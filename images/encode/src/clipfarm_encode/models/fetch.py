"""Weights from elsewhere: an https address with its SHA-256, or a Hugging Face id with a commit.

What was fetched stays in a cache (``$XDG_CACHE_HOME/clipfarm/weights``, or ``~/.cache/clipfarm/weights``), and once
it is there nothing is asked of the network. A download gets its name in the cache by rename, after its hash or length
was found right, so half of one is never taken for weights.

Files of Hugging Face come from ``HF_ENDPOINT``, or https://huggingface.co, by their plain addresses, so that one cache
and one set of rules serve both kinds.
"""

import hashlib
import http.client
import ipaddress
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, Any

import click

from clipfarm_contract import regular
from clipfarm_encode.models import partial

SHA256 = re.compile(r"[0-9a-f]{64}")
REVISION = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CHUNK = 2**20
_TIMEOUT_SECONDS = 60.0
LIMIT_SECONDS = 2 * 3600.0
"""For all files of a model together. The largest model, ViT-g, has 4 GiB: 0.6 MiB/s."""
SAY_SECONDS = 10.0


class FetchError(ValueError):
    """Weights could not be fetched; the message is one line."""


class _NoFileError(FetchError):
    """The server has no such file."""


def cache_folder() -> Path:
    """Return where fetched weights are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm" / "weights"


def is_address(source: str) -> bool:
    """Tell whether weights come from a web server."""
    return source.startswith(("https://", "http://"))


def from_address(address: str, sha256: str | None) -> Path:
    """Return a file with the content of an address, which has to hash to ``sha256``.

    Raises:
        FetchError: the hash is missing or another, or the file cannot be had.
    """
    if sha256 is None or not SHA256.fullmatch(sha256):
        raise FetchError(f"{address}: needs its SHA-256, 64 hexadecimal digits, beside it")
    _check_scheme(address)
    name = Path(urllib.parse.urlsplit(address).path).name or "weights"
    path = cache_folder() / sha256 / name
    if not path.is_file():
        _prepare(path.parent)
        with partial.named(path) as temporary:
            found, _ = _download(address, temporary, _deadline())
            if found != sha256:
                raise FetchError(f"{address}: SHA-256 is {found}, expected {sha256}")
            temporary.replace(path)
    return path


def from_huggingface(name: str, revision: str) -> Path:
    """Return a folder with ``config.json`` and safetensors of one commit of a model on Hugging Face.

    Raises:
        FetchError: the id or the commit is not one, or a file cannot be had.
    """
    if not _ID.fullmatch(name):
        raise FetchError(f"{name}: not a Hugging Face id, expected organisation/model")
    if not REVISION.fullmatch(revision):
        raise FetchError(f"revision: found {revision}, expected a commit, 40 hexadecimal digits: a branch may change")
    folder = cache_folder() / "huggingface" / revision / Path(name).name
    if folder.is_dir():
        return folder
    base = f"{_endpoint()}/{name}/resolve/{revision}"
    _check_scheme(base)
    _prepare(folder.parent)
    deadline = _deadline()
    with partial.named(folder) as temporary:
        temporary.mkdir()
        _download(f"{base}/config.json", temporary / "config.json", deadline)
        for file in _files(base, temporary, deadline):
            found, expected = _download(f"{base}/{file}", temporary / file, deadline)
            if expected and found != expected:
                raise FetchError(f"{base}/{file}: SHA-256 is {found}, expected {expected}")
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another encoder was faster
                raise
    return folder


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _deadline() -> float:
    """Return when weights that are fetched from now on have to be there, by the monotonic clock."""
    return time.monotonic() + LIMIT_SECONDS


def _files(base: str, folder: Path, deadline: float) -> list[str]:
    """Return the safetensors files of a model: one, or those that its index names."""
    index = "model.safetensors.index.json"
    try:
        _download(f"{base}/{index}", folder / index, deadline)
    except _NoFileError:
        return ["model.safetensors"]
    try:
        files = sorted(set(json.loads(regular.read(folder / index, index))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise FetchError(f"{base}/{index}: unreadable ({error})") from None
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise FetchError(f"{base}/{index}: names {file!r}, expected files beside it")
    return files


def _download(address: str, path: Path, deadline: float) -> tuple[str, str]:
    """Write what an address holds, and return its SHA-256 with the one that the server announced, or nothing.

    Reports how far it is, and gives up at the deadline.

    Hugging Face names the hash of a large file in ``X-Linked-Etag``, in the answer that redirects to its storage.
    """
    redirects = _Redirects()
    request = urllib.request.Request(address, headers={"User-Agent": "clipfarm"})  # noqa: S310  checked by the callers
    token = os.environ.get("HF_TOKEN")
    if token and address.startswith(f"{_endpoint()}/"):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    digest = hashlib.sha256()
    try:
        with (
            urllib.request.build_opener(redirects).open(request, timeout=_TIMEOUT_SECONDS) as response,
            path.open("xb") as file,
        ):
            length = response.headers.get("Content-Length")
            announced = redirects.etag or response.headers.get("X-Linked-Etag", "")
            progress = _Progress(address, length, deadline)
            while chunk := response.read1(_CHUNK):  # what has come: a server that trickles is seen, too
                digest.update(chunk)
                file.write(chunk)
                progress.take(file.tell())
            if length is not None and file.tell() != int(length):
                raise FetchError(f"{address}: {file.tell()} bytes came, {length} were announced")
    except urllib.error.HTTPError as error:
        kind = _NoFileError if error.code == http.HTTPStatus.NOT_FOUND else FetchError
        raise kind(f"{address}: {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise FetchError(f"{address}: {error.reason}") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise FetchError(f"{address}: broken off ({error or type(error).__name__})") from None
    except OSError as error:
        raise FetchError(f"{error.filename or path}: {error.strerror}") from None
    announced = announced.strip('"')
    return digest.hexdigest(), announced if SHA256.fullmatch(announced) else ""


class _Progress:
    """How far a download is, reported now and then; and whether it takes too long."""

    def __init__(self, address: str, length: str | None, deadline: float) -> None:
        self._address, self._deadline = address, deadline
        self._all = f" of {int(length) / 2**20:.0f}" if length and length.isdigit() else ""
        self._began = time.monotonic()
        self._said = self._began

    def take(self, size: int) -> None:
        now = time.monotonic()
        done = f"{size / 2**20:.0f}{self._all} MiB"
        if now > self._deadline:
            raise FetchError(
                f"{self._address}: {done} came before the {LIMIT_SECONDS / 3600:g} h were over that all files of the"
                " weights may take; fetch them by other means, and give the file or folder"
            )
        if now - self._said >= SAY_SECONDS:
            self._said = now
            speed = size / 2**20 / (now - self._began)
            click.echo(f"clipfarm-encode: {self._address}: {done}, {speed:.1f} MiB/s", err=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, to no place that is less safe, and keeps the hash that one announced."""

    etag = ""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Any:
        self.etag = headers.get("X-Linked-Etag", self.etag)
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _check_scheme(address: str) -> None:
    """Refuse http except to this machine itself, where no one can listen: a forwarder's, or a test's."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise FetchError(f"{address}: expected https")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _prepare(folder: Path) -> None:
    """Make a folder, and remove from it what a killed download left a day ago."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"{folder}: {error.strerror}") from None
    partial.remove_old(folder)
