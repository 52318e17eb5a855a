import contextlib
import hashlib
import http.server
import itertools
import json
import os
import threading
import time
import types

import pytest

from clipfarm_encode.models import fetch, partial
from clipfarm_encode.models.fetch import FetchError, cache_folder, from_address, from_huggingface
from helpers.local import wait_until

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE = f"/facebook/vjepa2/resolve/{COMMIT}"


class Site:
    """A web server of this machine: pages by path, each (status, headers, body, announced length)."""

    def __init__(self):
        self.pages, self.asked, self.authorised = {}, [], []
        self.trickling, self.closed = set(), threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                site.authorised.append(self.headers.get("Authorization"))
                status, headers, body, length = site.pages.get(self.path, (404, {}, b"", None))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                if self.path not in site.trickling:
                    self.wfile.write(body)
                    return
                with contextlib.suppress(OSError):  # until it is no longer listened to
                    while not site.closed.is_set():
                        self.wfile.write(b"x")
                        site.closed.wait(0.01)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def page(self, path, body, status=200, length=None, **headers):
        self.pages[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body, length)

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    site = Site()
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    yield site
    site.close()


def files():
    return sorted(str(path.relative_to(cache_folder())) for path in cache_folder().rglob("*") if path.is_file())


def test_an_address_is_fetched_once_and_then_works_without_a_network(site):
    site.page("/models/vitl.pt?x=1", CONTENT)
    path = from_address(f"{site.address}/models/vitl.pt?x=1", SHA256)
    assert (path.name, path.read_bytes()) == ("vitl.pt", CONTENT)
    site.close()
    assert from_address(f"{site.address}/models/vitl.pt?x=1", SHA256) == path
    assert len(site.asked) == 1


@pytest.mark.parametrize("sha256", [None, "", "abc", SHA256.upper()])
def test_an_address_without_its_hash_is_refused_before_anything_is_fetched(site, sha256):
    with pytest.raises(FetchError, match="needs its SHA-256, 64 hexadecimal digits"):
        from_address(f"{site.address}/vitl.pt", sha256)
    assert site.asked == []


def test_content_of_another_hash_is_refused_and_not_kept(site):
    site.page("/vitl.pt", b"something else")
    with pytest.raises(FetchError, match=f"SHA-256 is [0-9a-f]*, expected {SHA256}"):
        from_address(f"{site.address}/vitl.pt", SHA256)
    assert files() == []


def test_a_download_that_breaks_off_is_not_kept(site):
    site.page("/vitl.pt", CONTENT[:100], length=len(CONTENT))
    with pytest.raises(FetchError, match=r"broken off|bytes came"):
        from_address(f"{site.address}/vitl.pt", SHA256)
    assert files() == []


@pytest.fixture
def trickle(site):
    """An address whose content comes byte by byte, and never all of it."""
    site.page("/vitl.pt", b"", length=2**30)
    site.trickling.add("/vitl.pt")
    return f"{site.address}/vitl.pt"


def test_a_download_that_takes_too_long_is_given_up_with_what_came(trickle, monkeypatch):
    monkeypatch.setattr(fetch, "LIMIT_SECONDS", 0.1)
    with pytest.raises(FetchError, match=r"vitl.pt: 0 of 1024 MiB came before the .* h were over .*; fetch them"):
        from_address(trickle, SHA256)
    assert files() == []


def test_the_files_of_a_model_share_one_limit(site, monkeypatch):
    offer_model(site)
    hours = itertools.count(step=0.9)
    monkeypatch.setattr(fetch, "time", types.SimpleNamespace(monotonic=lambda: 3600 * next(hours)))
    with pytest.raises(FetchError, match=r"model.safetensors: .* MiB came before the 2 h were over that all files"):
        from_huggingface("facebook/vjepa2", COMMIT)
    assert files() == []


def test_a_download_says_how_far_it_is(trickle, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "LIMIT_SECONDS", 0.3)
    monkeypatch.setattr(fetch, "SAY_SECONDS", 0.05)
    with pytest.raises(FetchError):
        from_address(trickle, SHA256)
    assert capsys.readouterr().err.startswith(f"clipfarm-encode: {trickle}: 0 of 1024 MiB, 0.0 MiB/s\n")


@pytest.mark.parametrize("kind", ["address", "Hugging Face"])
def test_what_is_under_way_goes_when_the_process_is_asked_to_end(site, trickle, kind):
    site.page(f"{BASE}/config.json", b"{}")
    site.page(f"{BASE}/model.safetensors", b"", length=2**30)
    site.trickling.add(f"{BASE}/model.safetensors")
    fetching = (
        (lambda: from_address(trickle, SHA256))
        if kind == "address"
        else (lambda: from_huggingface("facebook/vjepa2", COMMIT))
    )

    def run():
        with contextlib.suppress(FetchError):
            fetching()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: any(path.name.startswith((".vitl", "model")) for path in cache_folder().rglob("*")), "a part")
    partial.abandon()
    assert files() == []
    site.close()
    thread.join(30)
    assert files() == []


def test_half_a_download_of_a_killed_process_is_not_used_and_goes_after_a_day(site):
    folder = cache_folder() / SHA256
    folder.mkdir(parents=True)
    half, old = folder / ".vitl.pt.part-00000000", folder / ".vitl.pt.part-11111111"
    for path in (half, old):
        path.write_bytes(CONTENT[:100])
    os.utime(old, (time.time() - 100_000,) * 2)
    site.page("/vitl.pt", CONTENT)
    assert from_address(f"{site.address}/vitl.pt", SHA256).read_bytes() == CONTENT
    assert half.exists()  # another process may be at it
    assert not old.exists()


@pytest.mark.parametrize("address", ["http://example.org/vitl.pt", "http://127.0.0.1.example.org/vitl.pt"])
def test_plain_http_is_refused_but_to_this_machine(address):
    with pytest.raises(FetchError, match="expected https"):
        from_address(address, SHA256)


def test_a_redirect_to_plain_http_is_refused(site):
    site.page("/vitl.pt", b"", status=302, Location="http://example.org/vitl.pt")
    with pytest.raises(FetchError, match="expected https"):
        from_address(f"{site.address}/vitl.pt", SHA256)


def test_what_the_server_says_is_told(site):
    with pytest.raises(FetchError, match=r"vitl\.pt: 404 Not Found"):
        from_address(f"{site.address}/vitl.pt", SHA256)


def test_a_server_that_is_not_there_is_named(site):
    site.close()
    with pytest.raises(FetchError, match="Connection refused"):
        from_address(f"{site.address}/vitl.pt", SHA256)


def offer_model(site, **weights):
    site.page(f"{BASE}/config.json", b"{}")
    # As Hugging Face does it: the hash comes with the redirect to another store.
    site.page(
        f"{BASE}/model.safetensors", b"", status=302, Location="/store", **({"X_Linked_Etag": f'"{SHA256}"'} | weights)
    )
    site.page("/store", CONTENT)


def test_a_commit_of_hugging_face_is_fetched_once_and_then_works_without_a_network(site, monkeypatch):
    offer_model(site)
    folder = from_huggingface("facebook/vjepa2", COMMIT)
    assert folder.name == "vjepa2"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == CONTENT
    site.close()
    assert from_huggingface("facebook/vjepa2", COMMIT) == folder


def test_a_model_in_several_files_is_fetched_by_its_index(site):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1], "c": names[0]}}
    site.page(f"{BASE}/config.json", b"{}")
    site.page(f"{BASE}/model.safetensors.index.json", json.dumps(index).encode())
    for name in names:
        site.page(f"{BASE}/{name}", CONTENT, X_Linked_Etag=f'"{SHA256}"')
    found = {path.name for path in from_huggingface("facebook/vjepa2", COMMIT).iterdir()}
    assert found == {"config.json", "model.safetensors.index.json", *names}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/model.safetensors", "weights.bin"])
def test_an_index_that_names_a_file_elsewhere_is_refused(site, name):
    site.page(f"{BASE}/config.json", b"{}")
    site.page(f"{BASE}/model.safetensors.index.json", json.dumps({"weight_map": {"a": name}}).encode())
    with pytest.raises(FetchError, match="expected files beside it"):
        from_huggingface("facebook/vjepa2", COMMIT)


def test_a_file_of_another_hash_than_announced_is_refused_and_nothing_is_kept(site):
    offer_model(site, X_Linked_Etag='"' + "0" * 64 + '"')
    with pytest.raises(FetchError, match="SHA-256 is"):
        from_huggingface("facebook/vjepa2", COMMIT)
    assert files() == []


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("facebook/vjepa2", "main", "expected a commit, 40 hexadecimal digits"),
        ("vjepa2", COMMIT, "expected organisation/model"),
        ("a/b/c", COMMIT, "expected organisation/model"),
    ],
)
def test_a_branch_or_a_name_without_organisation_is_refused(site, name, revision, message):
    with pytest.raises(FetchError, match=message):
        from_huggingface(name, revision)


def test_a_token_goes_to_hugging_face_and_not_with_the_redirect(site, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    offer_model(site)
    from_huggingface("facebook/vjepa2", COMMIT)
    asked = dict(zip(site.asked, site.authorised, strict=True))
    assert asked[f"{BASE}/model.safetensors"] == "Bearer secret"
    assert asked["/store"] is None


def test_two_who_fetch_the_same_both_get_it(site, monkeypatch):
    offer_model(site)
    start = threading.Barrier(2)
    prepare, found = fetch._prepare, []

    def together(folder):
        prepare(folder)
        start.wait()

    monkeypatch.setattr(fetch, "_prepare", together)
    threads = [
        threading.Thread(target=lambda: found.append(from_huggingface("facebook/vjepa2", COMMIT))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert files() == [f"huggingface/{COMMIT}/vjepa2/config.json", f"huggingface/{COMMIT}/vjepa2/model.safetensors"]
