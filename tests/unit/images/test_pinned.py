"""The base image's digest, as a registry tells it: one that the test plays, with the protocol of the real ones."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from container_images import pinned  # noqa: E402 - it is no package that is installed
from container_images.errors import ImagesError  # noqa: E402

INDEX = b'{"manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"


class Registry:
    """Answers as Docker Hub does: nothing without a token, which anybody gets."""

    def __init__(self) -> None:
        registry = self
        self.content = INDEX

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/token?service=hub&scope=repository%3Alibrary%2Fpython%3Apull":
                    self._answer(200, b'{"token": "t"}')
                elif self.path != "/v2/library/python/manifests/3.11-slim-bookworm":
                    self._answer(404, b"")
                elif self.headers.get("Authorization") != "Bearer t":
                    self._answer(401, b"")
                else:
                    assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
                    self._answer(200, registry.content)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                realm = f'realm="{registry.url}/token",service="hub",scope="repository:library/python:pull"'
                self.send_header("WWW-Authenticate", f"Bearer {realm}")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_digest_is_the_hash_of_what_the_tag_names(registry: Registry):
    assert pinned.digest("python", "3.11-slim-bookworm", registry.url) == DIGEST


@pytest.mark.parametrize(("tag", "content", "words"), [
    ("none", INDEX, "HTTP Error 404"),
    ("3.11-slim-bookworm", b"0" * (pinned.MOST_BYTES + 1), "expected a manifest"),
])  # fmt: skip
def test_a_registry_that_does_not_tell_is_said_in_one_line(registry: Registry, tag: str, content: bytes, words: str):
    registry.content = content
    with pytest.raises(ImagesError, match=words):
        pinned.digest("python", tag, registry.url)


@pytest.mark.parametrize("before", ["", f"@sha256:{0:064}"])
def test_every_dockerfile_gets_the_digest(registry: Registry, monkeypatch, tmp_path: Path, before: str):
    files = [tmp_path / folder / "Dockerfile" for folder in pinned.FOLDERS.values()]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text(f"# a\nARG BASE_IMAGE=python:3.11-slim-bookworm{before}\nFROM ${{BASE_IMAGE}} AS uv\n")
    monkeypatch.setattr(pinned, "ROOT", tmp_path)
    assert pinned.refresh(registry.url) == f"python:3.11-slim-bookworm@{DIGEST}"
    expected = f"# a\nARG BASE_IMAGE=python:3.11-slim-bookworm@{DIGEST}\nFROM ${{BASE_IMAGE}} AS uv\n"
    assert [file.read_text() for file in files] == [expected] * len(files)
