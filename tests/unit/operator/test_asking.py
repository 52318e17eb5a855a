"""Asking encoders, with real servers on 127.0.0.1: whatever a pod answers, the operator stays small, and quick."""

import asyncio
import gzip
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import EncoderPod
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process import encoders
from clipfarm.cluster.process.encoders import MOST_BYTES, Asker, Progress, follow, look, progress
from clipfarm.cluster.vram import scrape
from clipfarm.cluster.vram.scrape import open_session
from clipfarm.cluster.vram.source import AGAIN_SECONDS
from clipfarm.manifests.common import Owner
from clipfarm_contract.fields import ContractError
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.video_listing import Listing
from helpers.runs import make_run

CLIPS = Indexes.between(10, 19)
COUNTS = {"found": 10, "waiting": 3, "encoding": 1, "encoded": 4, "skipped": 1, "failed": 1}
ANSWER = {
    "clips": COUNTS,
    "absent": "12,18-19",
    "failures": [{"clip": "clip_00011", "reason": "rgb: frame_00003.png is torn"}],
    "another version": "tells more",
}
READ = Progress(5, {11: "rgb: frame_00003.png is torn"}, 4, Indexes.parse("12,18-19"))
Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes = b"", *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    told = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*told, "", ""]).encode() + body


class Encoder:
    """A server that talks as a test says, and counts who asks."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.port = 0


@asynccontextmanager
async def served(talk: bytes | Talk) -> AsyncIterator[Encoder]:
    """Answer each request with some bytes, or as a function says, and close."""
    encoder = Encoder()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        encoder.asked.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            if isinstance(talk, bytes):
                writer.write(talk)
            else:
                await talk(writer)
            await writer.drain()
        except ConnectionError:
            pass  # whoever asked has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        encoder.port = server.sockets[0].getsockname()[1]
        yield encoder


def pod(name: str = "e", *, ready: bool = True, address: str = "127.0.0.1") -> EncoderPod:
    return EncoderPod(name, name, ("ns", "run"), "set", address, 0, None, Reported("Working"), "node", ready)


async def ask(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Progress], str]:
    monkeypatch.setattr(encoders, "PORT", encoder.port)
    async with open_session() as session:
        return await Asker(None, "direct", session).ask([pod()], CLIPS, 0.0)  # type: ignore[arg-type]


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(http(length=False))
    while True:
        writer.write(b" " * 2**16)
        await writer.drain()


async def endless_error(writer: asyncio.StreamWriter) -> None:
    writer.write(http(status="500 No", length=False))
    while True:
        writer.write(b" " * 2**16)
        await writer.drain()


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(http(length=False))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drips_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10**6):
        writer.write(b"X-%d: y\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.05)


async def continues(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def hangs(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


BOMB = gzip.compress(b" " * 64 * 2**20)
SECONDS = 0.4
"""The longest time of an answer in these tests."""
LATE = f"no answer within {SECONDS:g} s"
MUCH = f"answers with more than {MOST_BYTES // 2**20} MiB"
GOOD = json.dumps(ANSWER).encode()


@pytest.mark.parametrize(
    ("talk", "problem"),
    [
        (endless, MUCH),
        (endless_error, "answers with more than 16 KiB"),
        (drips, LATE),
        (drips_headers, ""),  # too late, or too many
        (continues, LATE),
        (hangs, LATE),
        (http(BOMB, "Content-Encoding: gzip"), "answers in the encoding gzip, expected identity"),
        (http(BOMB, "Content-Encoding: identity", "Content-Encoding: br"), "answers in the encoding identity, br"),
        (http(BOMB, "Transfer-Encoding: gzip, chunked", length=False), ""),
        (http(GOOD, "Location: http://127.0.0.1:1/", status="302 Found"), "302 Found"),
        (http(GOOD, "Location: /progress", status="307 Temporary Redirect"), "307 Temporary Redirect"),
        (http(b'{"message": "pods \\"e\\" is forbidden\\u001b[2J"}', status="403 Forbidden"), "403 pods "),
        (http(b"[" * 10**6), "the answer: not JSON with any content"),
        (http(b"[" + b"[]," * 10**6 + b"[]]"), "the answer: not JSON with any content"),
        (http(b"[ " * 900), "the answer: not JSON"),
        (http(b'{"aaaaaaaaaaaaaaaaaaaaaaa":' * 10**5 + b"1" + b"}" * 10**5), "not JSON (maximum recursion depth"),
        (http(b'{"clips": NaN}'), "NaN is no JSON value"),
        (http(b'{"clips": 1e999}'), "larger than any number"),
        (http(b'{"clips": 1' + b"0" * 5000 + b"}"), "the answer: not JSON"),
        (http(b"\xff\xfe\xfd"), "the answer is not text"),
        (http(GOOD[:-9]), "the answer: not JSON"),
        (http(GOOD)[:-9], ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10**6 + b"\r\n\r\n", ""),
        (b"", ""),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_line_that_says_why_within_bounds(talk, problem, monkeypatch):
    monkeypatch.setattr(scrape, "TIMEOUT_SECONDS", SECONDS)

    async def scene() -> None:
        async with served(talk) as encoder:
            tracemalloc.start()
            began = time.monotonic()
            answers, silence = await ask(encoder, monkeypatch)
            took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert answers == []
            assert problem in silence
            assert silence
            assert silence.isprintable()
            assert len(silence) <= 200
            assert len(encoder.asked) <= 2, "it is asked again if it hangs up, and else not, nor sent elsewhere"
            assert not encoder.asked[1:] or talk == b""
            assert b"Accept-Encoding: identity" in encoder.asked[0]
            assert took < SECONDS + 2
            assert peak < 4 * MOST_BYTES

    asyncio.run(scene())


def test_an_encoder_is_read(monkeypatch):
    async def scene() -> None:
        async with served(http(GOOD, "Set-Cookie: a=b", "Content-Encoding: identity")) as encoder:
            for _ in range(2):
                assert await ask(encoder, monkeypatch) == ([READ], "")
            assert not any(b"Cookie" in asked for asked in encoder.asked)

    asyncio.run(scene())


def changed(**changes: Any) -> dict[str, Any]:
    return ANSWER | changes


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "expected an object"),
        ([], "expected an object"),
        ({}, "progress.clips: missing"),
        (changed(clips=3), "progress.clips: found 3"),
        (changed(clips=COUNTS | {"encoded": 11}), "encoded: found 11, expected 0 to 10, the run's clips"),
        (changed(clips=COUNTS | {"waiting": -1}), "progress.clips.waiting: found -1"),
        (changed(clips=COUNTS | {"encoding": 10**3000}), "progress.clips.encoding: found 1000"),
        (changed(clips=COUNTS | {"skipped": True}), "progress.clips.skipped: found true"),
        (changed(clips=COUNTS | {"skipped": 1.0}), "progress.clips.skipped: found 1.0"),
        (changed(clips=COUNTS | {"skipped": "1"}), "progress.clips.skipped: found"),
        (changed(absent=7), "progress.absent: found 7"),
        (changed(absent="x"), "progress.absent: found"),
        (changed(absent="1" * 5000), "progress.absent: "),
        (changed(absent="1," * 100_000 + "1"), "progress.absent: found 100001 ranges"),
        (changed(failures={"clip": "x"}), "progress.failures: found"),
        (changed(failures=[7]), "progress.failures[0]: found 7"),
        (changed(failures=[{"clip": "clip_00011"}]), "progress.failures[0].reason: missing"),
        (changed(failures=[{"clip": "clip_00011", "reason": [[]]}]), "progress.failures[0].reason: found"),
    ],
)  # fmt: skip
def test_an_answer_with_numbers_that_cannot_be_is_none(document, problem):
    with pytest.raises(ContractError) as refused:
        progress(document, CLIPS)
    assert problem in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (ANSWER, READ),
        (changed(absent=""), Progress(5, READ.failed, 4)),
        ({name: value for name, value in ANSWER.items() if name != "absent"}, Progress(5, READ.failed, 4)),
        # Of clips that are not the run's it can say nothing.
        (changed(absent="0-999999999999"), Progress(5, READ.failed, 4, CLIPS)),
        (changed(failures=[{"clip": f"clip_{'9' * 900}", "reason": "x"}]), Progress(5, {}, 4, READ.absent)),
        (changed(failures=[{"clip": "clip_00009", "reason": "x"}]), Progress(5, {}, 4, READ.absent)),
        (changed(failures=[{"clip": "nonsense", "reason": "x"}]), Progress(5, {}, 4, READ.absent)),
        (changed(failures=[{"clip": "clip_00010", "reason": "x" * 5000}], absent=""), Progress(5, {10: "x" * 1000}, 4)),
        (changed(clips=COUNTS | {"encoded": 8, "skipped": 8}), Progress(10, READ.failed, 4, READ.absent)),
    ],
)  # fmt: skip
def test_what_an_encoder_says_of_the_runs_clips_counts(document, found):
    assert progress(document, CLIPS) == found


def test_an_encoder_that_fails_is_left_alone_for_some_time_unless_it_becomes_ready(monkeypatch):
    async def scene() -> None:
        async with served(http(b"{}")) as encoder, open_session() as session:
            monkeypatch.setattr(encoders, "PORT", encoder.port)
            asker = Asker(None, "direct", session)  # type: ignore[arg-type]

            async def asked(now: float, *, ready: bool = False) -> int:
                before = len(encoder.asked)
                assert (await asker.ask([pod(ready=ready)], CLIPS, now))[
                    1
                ] == "progress.clips: missing, expected an object"
                return len(encoder.asked) - before

            assert [await asked(0.0), await asked(0.5), await asked(AGAIN_SECONDS), await asked(2.5)] == [1, 0, 1, 0]
            assert await asked(2.5, ready=True) == 1
            asker.forget([])
            assert await asked(2.5) == 1

    asyncio.run(scene())


def test_the_last_answer_of_one_that_is_silent_counts_while_another_answers(monkeypatch):
    """It may have clips in work that the other has given up."""
    ok = http(json.dumps(ANSWER).encode())

    async def scene() -> None:
        async with served(ok) as good, served(ok) as other, open_session() as session:
            monkeypatch.setattr(encoders, "PORT", good.port)
            asker = Asker(None, "direct", session)  # type: ignore[arg-type]
            urls = {"a": good.port, "b": other.port}
            monkeypatch.setattr(encoders, "_url", lambda pod: f"http://127.0.0.1:{urls[pod.uid]}/progress")
            assert len((await asker.ask([pod("a"), pod("b")], CLIPS, 0.0))[0]) == 2
            urls["b"] = 1
            asker._sources.clear()
            found, silence = await asker.ask([pod("a"), pod("b")], CLIPS, 5.0)
            assert (len(found), bool(silence)) == (2, True)
            assert len((await asker.ask([pod("b")], CLIPS, 5.0))[0]) == 0
            assert len((await asker.ask([pod("a"), pod("b")], CLIPS, 61.0))[0]) == 1

    asyncio.run(scene())


def test_clips_have_failed_for_all_only_where_all_that_work_have_answered():
    tracked = Tracked(Asked(make_run(3), Owner("ns", "run-1", {}, ""), 1), {})
    given_up, busy = Progress(1, {1: "no room", 2: "no room"}), Progress(1, {}, left=2)
    both = [pod("a"), pod("b")]
    follow(tracked, both, [given_up, busy], "", 1.0)
    assert tracked.encoding.failed == {}
    follow(tracked, both, [given_up], "no answer", 2.0)
    assert tracked.encoding.failed == {}
    follow(tracked, both[:1], [given_up], "", 3.0)
    assert tracked.encoding.failed == {1: "no room", 2: "no room"}


def test_after_a_retry_encoders_of_the_attempt_before_are_neither_asked_nor_waited_for(
    monkeypatch: pytest.MonkeyPatch,
):
    told = Listing.of(3, 4, {"noise.webm": "no video"})
    body = json.dumps(ANSWER | {"videos": told.to_json()}).encode()
    old, new, unmarked = replace(pod("old"), attempt="1"), replace(pod("new"), attempt="2"), pod("earlier version")

    async def scene() -> None:
        tracked = Tracked(Asked(make_run(20), Owner("ns", "run-1", {}, encode_attempt="2"), 1), {})
        async with served(http(body)) as server, open_session() as session:
            monkeypatch.setattr(encoders, "PORT", server.port)
            asker = Asker(None, "direct", session)  # type: ignore[arg-type]
            await look(asker, tracked, [old])
            assert (tracked.encoding.answering, tracked.encoding.listing, tracked.encoding.failed) == (0, None, {})
            await look(asker, tracked, [old, new])
            assert (tracked.encoding.answering, tracked.encoding.listing) == (1, told)
            assert tracked.encoding.failed == READ.failed, "the old one is not waited for"
            await look(asker, tracked, [unmarked])
            assert tracked.encoding.answering == 1

    asyncio.run(scene())


def test_a_pod_without_an_address_is_not_asked():
    async def scene() -> None:
        async with open_session() as session:
            assert await Asker(None, "direct", session).ask([pod(address="")], CLIPS, 0.0) == ([], "")  # type: ignore[arg-type]

    asyncio.run(scene())


class ApiServer:
    """What is asked of the API server's client for a way through it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    async def authorization(self) -> dict[str, str]:
        return {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("talk", "answers", "problem"),
    [
        (http(GOOD), [READ], ""),
        (http(GOOD, "Location: /api/v1/secrets", status="302 Found"), [], "302 Found"),
        (http(b'{"kind": "Status", "message": "pods \\"e\\" is forbidden"}', status="403 No"), [], '403 pods "e" is f'),
        (endless, [], MUCH),
        (http(BOMB, "Content-Encoding: gzip"), [], "encoding gzip"),
    ],
)
def test_the_way_through_the_api_server_has_the_same_bounds(talk, answers, problem):
    async def scene() -> None:
        async with served(talk) as server, open_session() as session:
            found = await Asker(ApiServer(server.port), "proxy", session).ask([pod()], CLIPS, 0.0)  # type: ignore[arg-type]
            assert found[0] == answers
            assert problem in found[1]
            assert server.asked[0].startswith(b"GET /api/v1/namespaces/ns/pods/e:8080/proxy/progress ")
            assert b"Authorization: Bearer secret" in server.asked[0]
            assert len(server.asked) == 1

    asyncio.run(scene())
