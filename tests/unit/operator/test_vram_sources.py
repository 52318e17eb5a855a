"""Where the operator's readings come from, with real servers on 127.0.0.1: whatever they do, nothing wrong is read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from click.testing import CliRunner

from clipfarm.cli.operator import operator
from clipfarm.cli.vram_sources import Sources
from clipfarm.cluster.vram.exporters import Exporters, Finding, exporter_pod, find
from clipfarm.cluster.vram.gpus import FORGET_SECONDS, Gpus
from clipfarm.cluster.vram.scrape import MOST_BYTES, TIMEOUT_SECONDS, ScrapeError, fetch, open_session
from clipfarm.cluster.vram.source import Source
from clipfarm.vram.dcgm import Answer
from clipfarm.world import GpuId, Holder, Reading
from clipfarm_contract.result import GpuReading

NOW, WALL = 1000.0, 1_800_000_000.0


def page(used=1000, free=3000, *, gpu=0, host="node-1", extra=""):
    labels = f'{{gpu="{gpu}",UUID="GPU-{gpu}",Hostname="{host}"{extra}}}'
    return f"DCGM_FI_DEV_FB_USED{labels} {used}\nDCGM_FI_DEV_FB_FREE{labels} {free}\n"


@asynccontextmanager
async def exporter(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]):
    """Serve, and yield the address."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(reply: bytes):
    """Answer any request with some bytes, and close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"


async def look(gpus: Gpus, now: float = NOW, nodes=None) -> bool:
    async with open_session() as session:
        asked = await gpus.look(session, now, WALL, nodes)
        await asyncio.gather(*gpus._asking.values())
    return asked


def answers(text: str = "", status: int = 200, **how):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, **how)

    return answer


async def hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError


async def drips(request: web.Request) -> web.StreamResponse:
    """Say a little now and then, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"# nothing\n")
        await asyncio.sleep(0.05)


async def floods(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(160):
        await response.write(b"\xf0garbage" * 8192)
    return response


async def big_but_in_form(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(page().encode())
    for _ in range(160):
        await response.write(b"# a comment\n" * 6000)
    return response


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (answers(page(), status=500), "500 Internal Server Error"),
        (answers(page(), status=404), "404 Not Found"),
        (answers(page(), status=302, headers={"Location": "http://127.0.0.1:1/"}), "302 Found"),
        (answers("<html>welcome</html>"), "no line of DCGM_FI_DEV_FB_USED"),
        (answers(""), "no line of DCGM_FI_DEV_FB_USED"),
        (answers(page()[:-30]), "ends in the middle of a line"),
        (hangs, "no answer within 3 s"),
        (drips, "no answer within 3 s"),
        (floods, f"more than {MOST_BYTES // 2**20} MiB"),
        (big_but_in_form, f"more than {MOST_BYTES // 2**20} MiB"),
    ],
)
def test_a_source_that_does_not_answer_as_it_should_gives_no_number_and_says_why(answer, problem):
    async def scene():
        async with exporter(answer) as url:
            gpus = Gpus((url,))
            began = time.monotonic()
            await look(gpus)
            assert time.monotonic() - began < TIMEOUT_SECONDS + 2
            assert gpus.readings == {}
            assert problem in gpus.problem("node-1")
            assert gpus.problem("node-1").startswith(url)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + page().encode(), "5000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nDCGM_\r\n", ""),
        (b"HTTP/1.0 200 OK\r\n\r\n" + page().encode()[:-4], "ends in the middle of a line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc", "the answer is not text"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
        (b"", ""),
    ],
)
def test_half_an_answer_or_another_protocol_is_no_number(reply, problem):
    async def scene():
        async with raw_server(reply) as url:
            gpus = Gpus((url,))
            await look(gpus)
            assert gpus.readings == {}
            told = gpus.problem("node-1").removeprefix(f"{url}: ")
            assert told
            assert problem in told
            assert "\n" not in told

    asyncio.run(scene())


def test_half_an_answer_that_ends_between_two_lines_is_no_reading_of_that_gpu():
    async def scene():
        half = page().splitlines(keepends=True)[0]
        async with raw_server(b"HTTP/1.0 200 OK\r\n\r\n" + half.encode()) as url:
            gpus = Gpus((url,))
            await look(gpus)
            assert gpus.readings == {}
            assert "GPU 0: no number" in gpus.problem("node-1")

    asyncio.run(scene())


def test_nobody_at_the_address_is_a_problem_of_one_line():
    async def scene():
        async with exporter(answers()) as url:
            pass
        gpus = Gpus((url,))
        await look(gpus)
        assert "onnect" in gpus.problem("node-1")

    asyncio.run(scene())


def test_a_source_that_fails_is_left_alone_for_longer_each_time_and_asked_as_ever_once_it_answers():
    async def scene():
        status = [500]
        asked = []

        async def answer(_: web.Request) -> web.Response:
            asked.append(clock)
            return web.Response(text=page(), status=status[0])

        async with exporter(answer) as url:
            gpus = Gpus((url,))
            for clock in range(100):
                await look(gpus, float(clock))
            assert asked == [0, 1, 3, 7, 15, 30, 45, 60, 75, 90]
            status[0], asked[:] = 200, []
            for clock in range(100, 120):
                await look(gpus, float(clock))
            assert asked == list(range(105, 120))
            assert gpus.problem("node-1") == ""

    asyncio.run(scene())


def test_one_source_that_hangs_keeps_no_other_waiting():
    async def scene():
        async with exporter(hangs) as slow, exporter(answers(page())) as quick, open_session() as session:
            gpus = Gpus((slow, quick))
            began = time.monotonic()
            await gpus.look(session, NOW, WALL)
            assert time.monotonic() - began < TIMEOUT_SECONDS
            assert [gpu.index for gpu in gpus.readings] == [0]
            await asyncio.gather(*gpus._asking.values())

    asyncio.run(scene())


GPU = GpuId("node-1", 0, "GPU-0")
HOLDER = Holder("team/pod", 10.0)


def take(gpus: Gpus, source: Source, *readings: Reading, at: float = NOW) -> None:
    source.answered(at, "")
    gpus._add(source, Answer(readings))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_sources_of_a_gpu_the_newest_reading_wins_whoever_comes_first(order):
    gpus, told = (
        Gpus(),
        [(Source("a", "a"), Reading(GPU, 10, 100, 990)), (Source("b", "b"), Reading(GPU, 90, 100, 995))],
    )
    for number in order:
        take(gpus, *told[number])
    assert gpus.readings[GPU].used_mib == 90


@pytest.mark.parametrize(
    ("new", "wins"),
    [
        (Reading(GPU, 90, 100, 1000, 30), False),  # an exporter that collects every 30 s tells of 30 s ago, maybe
        (Reading(GPU, 90, 100, 1000, 12), True),
        (Reading(GPU, 90, 100, 991), True),
        # Its source is silent, or has told it once and for all.
        (Reading(GPU, 90, 100, 1010, 30), False),
        (Reading(GPU, 90, 100, 1011, 30), True),
    ],
)
def test_a_reading_is_as_new_as_it_surely_is(new, wins):
    gpus = Gpus()
    take(gpus, Source("a", "a"), Reading(GPU, 10, 100, 990, 2))
    take(gpus, Source("b", "b"), new)
    assert (gpus.readings[GPU] == new) is wins


MEASURED = GpuReading("GPU-0", "", 50.0, 100.0, WALL)


@pytest.mark.parametrize(
    ("node", "measured", "as_of", "taken"),
    [
        ("node-1", MEASURED, NOW - 3, True),
        ("node-1", replace(MEASURED, total_mib=95.0), NOW - 3, True),  # without what the driver keeps for itself
        ("node-1", replace(MEASURED, total_mib=50.0), NOW - 3, False),
        ("node-1", MEASURED, NOW - 11, False),  # older than what is known
        # Of these no source tells.
        ("node-1", replace(MEASURED, uuid="GPU-1"), NOW - 3, False),
        ("node-1", replace(MEASURED, instance="7"), NOW - 3, False),
        ("node-2", MEASURED, NOW - 3, False),
    ],
)
def test_a_pod_that_is_done_tells_of_its_gpu(node, measured, as_of, taken):
    gpus = Gpus()
    before = Reading(GPU, 90.0, 100.0, NOW - 10, holders=(HOLDER,))
    take(gpus, Source("a", "a"), before)
    gpus.add_measured("ns", node, measured, as_of, NOW)
    told = Reading(GPU, 50.0, measured.total_mib, NOW, NOW - as_of, (HOLDER,))
    assert gpus.for_namespace("ns") == {GPU: told if taken else before}
    assert gpus.for_namespace("another") == gpus.readings == {GPU: before}, "nobody vouches for it there"


@pytest.mark.parametrize(
    ("reading", "wins"),
    [
        (Reading(GPU, 2.0, 100.0, NOW + 1), True),
        (Reading(GPU, 2.0, 100.0, NOW + 1, 10.0), False),  # it may be older than what the pod has measured
        (Reading(GPU, 2.0, 100.0, NOW + 21, 30.0), True),  # the pod's is too old by now, whatever the exporter's lag
    ],
)
def test_what_a_pod_has_measured_counts_until_a_source_knows_better(reading, wins):
    gpus, source = Gpus(), Source("a", "a")
    take(gpus, source, Reading(GPU, 2.0, 100.0, NOW - 10, 20.0))
    gpus.add_measured("ns", "node-1", replace(MEASURED, used_mib=100.0), NOW - 3, NOW)
    assert gpus.for_namespace("ns")[GPU].used_mib == 100
    take(gpus, source, reading)
    assert gpus.for_namespace("ns")[GPU].used_mib == (2 if wins else 100)
    assert gpus.for_namespace("another")[GPU] == reading


def test_a_gpu_that_is_gone_is_gone_for_those_too_whose_pods_have_told_of_it():
    gpus = Gpus()
    take(gpus, Source("a", "a"), Reading(GPU, 90.0, 100.0, NOW - 10))
    gpus.add_measured("ns", "node-1", MEASURED, NOW - 3, NOW)
    gpus._forget(NOW, {"another"})
    assert gpus.for_namespace("ns") == {}


def test_who_holds_a_gpu_is_kept_from_the_source_that_says_so():
    gpus, agent, dcgm = Gpus(), Source("a", "a"), Source("d", "d")
    held = (Holder("team/pod", 10.0),)
    take(gpus, agent, Reading(GPU, 10, 100, 995, holders=held))
    for at in (996, 1000, 1020):
        take(gpus, dcgm, Reading(GPU, 10, 100, at))
        assert gpus.readings[GPU].holders == held
    take(gpus, dcgm, Reading(GPU, 10, 100, 1060))
    assert gpus.readings[GPU].holders == (), "who held it a minute ago"
    take(gpus, agent, Reading(GPU, 10, 100, 1061, holders=held))
    take(gpus, agent, Reading(GPU, 10, 100, 1062))
    assert gpus.readings[GPU].holders == (), "it says that nobody does"


def test_a_gpu_that_is_counted_anew_or_split_takes_the_place_of_its_former_self():
    gpus, source = Gpus(), Source("a", "a")
    take(gpus, source, Reading(GPU, 1, 10, NOW))
    moved = GpuId("node-1", 3, "GPU-0")
    take(gpus, source, Reading(moved, 1, 10, NOW + 1))
    assert gpus.on("node-1") == (moved,)
    parts = tuple(GpuId("node-1", 3, "GPU-0", str(number)) for number in (7, 8))
    take(gpus, source, *(Reading(part, 1, 10, NOW + 2) for part in parts))
    assert gpus.on("node-1") == parts
    take(gpus, source, Reading(moved, 1, 10, NOW + 3))
    assert gpus.on("node-1") == (moved,)


def test_a_gpu_that_its_source_no_longer_tells_of_is_unknown_and_after_some_time_gone():
    async def scene():
        texts = [page() + page(gpu=1)]

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=texts[0])

        async with exporter(answer) as url:
            gpus = Gpus((url,))
            await look(gpus, NOW, {"node-1"})
            texts[0] = page()
            await look(gpus, NOW + 100, {"node-1"})
            assert [gpu.index for gpu in gpus.on("node-1")] == [0, 1]
            assert {gpu.index: reading.at for gpu, reading in gpus.readings.items()} == {0: NOW + 100, 1: NOW}
            for later in (1, 2):
                await look(gpus, NOW + FORGET_SECONDS + later, {"node-1"})
            assert [gpu.index for gpu in gpus.on("node-1")] == [0]
            await look(gpus, NOW + FORGET_SECONDS + 3, set())
            texts[0] = page(host="node-2")
            await look(gpus, NOW + FORGET_SECONDS + 4, {"node-2"})
            assert (gpus.on("node-1"), len(gpus.on("node-2"))) == ((), 1), "a node that has left takes its GPUs along"

    asyncio.run(scene())


def test_a_gpu_whose_source_is_silent_stays_known_as_unknown_however_long():
    async def scene():
        async with exporter(answers(page())) as url:
            gpus = Gpus((url,))
            await look(gpus, NOW, {"node-1"})
        await look(gpus, NOW + 10 * FORGET_SECONDS, {"node-1"})
        assert gpus.readings[GPU].at == NOW

    asyncio.run(scene())


def pod(name="exporter-1", node="node-1", address="10.0.0.1", phase="Running", ports=(), **metadata):
    return {
        "metadata": {"name": name, "namespace": "gpu", "uid": name} | metadata,
        "spec": {"nodeName": node, "containers": [{"name": "a"}, {"name": "b", "ports": list(ports)}]},
        "status": {"phase": phase, "podIP": address},
    }


DCGM = Finding("DCGM exporter", "app=x")
METRICS = [{"name": "web", "containerPort": 80}, {"name": "metrics", "containerPort": 9500}]


@pytest.mark.parametrize(
    ("made", "finding", "url"),
    [
        (pod(), DCGM, "http://10.0.0.1:9400/metrics"),
        (pod(ports=METRICS), DCGM, "http://10.0.0.1:9500/metrics"),
        (pod(ports=METRICS), Finding("DCGM exporter", "app=x", port=7), "http://10.0.0.1:7/metrics"),
        (pod(), Finding("vram-agent", "app=x", default_port=9401), "http://10.0.0.1:9401/metrics"),
        (pod(address="fd00::1"), DCGM, "http://[fd00::1]:9400/metrics"),
        (pod(address=""), DCGM, None),
        (pod(node=""), DCGM, None),
        (pod(phase="Pending"), DCGM, None),
        (pod(phase="Failed"), DCGM, None),
        (pod(deletionTimestamp="2026-11-24T10:00:00Z"), DCGM, None),
    ],
)
def test_an_exporters_pod_is_asked_at_its_address_while_it_runs(made, finding, url):
    found = exporter_pod(made, finding)
    assert (found.url if found else None) == url


def found_pods(*pods) -> Exporters:
    """As if the API server had told of them."""
    exporters = Exporters((DCGM,))
    for each in pods:
        exporters._watchers[0][1]._take(each)
    return exporters


def metrics_at(url: str):
    return [{"name": "metrics", "containerPort": int(url.rpartition(":")[2].split("/")[0])}]


def test_a_pod_tells_of_the_node_that_it_runs_on_whatever_it_calls_itself():
    async def scene():
        async with exporter(answers(page(host="exporter-1"))) as url:
            gpus = Gpus(exporters=found_pods(pod(node="gpu-7", address="127.0.0.1", ports=metrics_at(url))))
            await look(gpus, nodes={"gpu-7"})
            assert [gpu.node for gpu in gpus.readings] == ["gpu-7"]
            assert gpus.problem("gpu-7") == ""
            assert gpus.problem("gpu-8") == "no DCGM exporter pod (app=x in any namespace) runs on it"

    asyncio.run(scene())


def test_a_node_hears_of_its_own_exporters_trouble_alone():
    async def scene():
        async with exporter(answers(status=500)) as bad, exporter(answers(page())) as good:
            pods = [
                pod("bad", "node-1", "127.0.0.1", ports=metrics_at(bad)),
                pod("good", "node-2", "127.0.0.1", ports=metrics_at(good)),
            ]
            gpus = Gpus(exporters=found_pods(*pods))
            await look(gpus, nodes={"node-1", "node-2"})
            assert gpus.problem("node-1") == "pod gpu/bad: 500 Internal Server Error"
            assert gpus.problem("node-2") == ""

    asyncio.run(scene())


def test_a_nodes_exporter_that_has_not_answered_yet_is_named():
    async def scene():
        async with exporter(hangs) as slow, open_session() as session:
            gpus = Gpus(exporters=found_pods(pod(address="127.0.0.1", ports=metrics_at(slow))))
            await gpus.look(session, NOW, WALL, {"node-1"})
            assert gpus.problem("node-1") == "pod gpu/exporter-1: no answer yet"

    asyncio.run(scene())


def test_a_pod_that_is_gone_is_asked_no_more_and_its_gpus_become_unknown():
    async def scene():
        async with exporter(answers(page())) as url:
            exporters = found_pods(pod(address="127.0.0.1", ports=metrics_at(url)))
            gpus = Gpus(exporters=exporters)
            assert await look(gpus, nodes={"node-1"})
            exporters._watchers[0][1]._drop("exporter-1")
            assert not await look(gpus, NOW + 5, nodes={"node-1"})
            assert gpus.readings[GPU].at == NOW
            assert gpus.problem("node-1") == "no DCGM exporter pod (app=x in any namespace) runs on it"

    asyncio.run(scene())


def test_an_exporter_whose_hostname_is_no_node_is_named():
    async def scene():
        async with exporter(answers(page(host="dcgm-exporter-x2v") + page(gpu=1))) as url:
            gpus = Gpus((url,))
            await look(gpus, nodes={"node-1", "node-2"})
            problem = f"{url}: its label Hostname names dcgm-exporter-x2v, which is no node of the cluster"
            assert {gpus.problem(node) for node in ("node-1", "node-2")} == {problem}
            assert [gpu.index for gpu in gpus.readings] == [1], "the other one counts"

    asyncio.run(scene())


class PodsElsewhere:
    """An API server with exporters' pods in some namespaces."""

    def __init__(self, *namespaces: str) -> None:
        self._namespaces = namespaces

    async def pages(self, path: str, **_: str):
        found = [pod(namespace=name) for name in self._namespaces] if path == "/api/v1/pods" else []
        yield found, "1"

    async def watch(self, *_: str, **__: str):
        await asyncio.sleep(3600)
        yield


SETTING = "CLIPFARM_DCGM_NAMESPACE (in the chart: vram.dcgm.namespace)"


def sought(namespace: str) -> Exporters:
    [dcgm, _] = find({"selector": "app=x", "namespace": namespace, "port": None}, {"selector": "", "namespace": "a"})
    return Exporters((dcgm,), everywhere=True)


@pytest.mark.parametrize(
    ("elsewhere", "hint"),
    [
        ((), f"if they run in another namespace, set {SETTING} to NAMESPACE"),
        (
            ("monitoring", "zoo"),
            f"pods with these labels run in monitoring: if they are the cluster's own, set {SETTING} to monitoring",
        ),
    ],
)
def test_where_no_exporter_is_found_it_is_said_where_there_are_others_and_what_to_set(elsewhere, hint):
    async def scene():
        exporters = sought("gpu-operator")
        following = asyncio.create_task(exporters.run(PodsElsewhere(*elsewhere)))
        await asyncio.sleep(0.01)
        following.cancel()
        problem = Gpus(exporters=exporters).problem("n")
        assert problem == f"no DCGM exporter pod (app=x in gpu-operator) runs on it; {hint}"
        exporters._watchers[0][1]._take(pod(node="another", namespace="gpu-operator"))
        assert Gpus(exporters=exporters).problem("n") == "no DCGM exporter pod (app=x in gpu-operator) runs on it"

    asyncio.run(scene())


def test_looking_in_all_namespaces_is_warned_of(caplog):
    async def scene():
        following = asyncio.create_task(sought("").run(PodsElsewhere()))
        await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(scene())
    [warning] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warning.startswith(
        "DCGM exporter pods (app=x) are looked for in all namespaces: anyone who may create a pod"
    )
    assert warning.endswith(f"name their namespace: {SETTING}")


@pytest.mark.parametrize(
    ("arguments", "environment", "namespaces"),
    [
        ([], {}, ["gpu-operator", "own"]),
        ([], {"CLIPFARM_DCGM_NAMESPACE": "", "CLIPFARM_AGENT_NAMESPACE": ""}, ["", ""]),
        (["--dcgm-namespace", "a", "--agent-namespace", "b"], {}, ["a", "b"]),
        ([], {"CLIPFARM_DCGM_NAMESPACE": "a", "CLIPFARM_AGENT_NAMESPACE": "b"}, ["a", "b"]),
    ],
)
def test_exporters_are_looked_for_in_a_namespace_that_is_named(arguments, environment, namespaces, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen = operator.make_context("operator", arguments).params
    sources = Sources(**{name: chosen[name] for name in Sources.__dataclass_fields__})
    found = sources.gpus("own", everywhere=True).exporters.findings
    assert [finding.namespace for finding in found] == namespaces


def test_pods_that_may_not_be_listed_are_said():
    exporters = found_pods()
    exporters._watchers[0][1].failure = "403: pods is forbidden"
    assert Gpus(exporters=exporters).problem("n") == "DCGM exporter pods cannot be listed: 403: pods is forbidden"


def test_without_any_source_the_operator_says_so():
    found = find({"selector": "", "namespace": "", "port": None}, {"selector": "", "namespace": "", "port": None})
    assert Gpus(exporters=Exporters(found)).problem("n").startswith("the operator has no source of readings")


def test_a_prometheus_is_asked_with_its_token_and_by_its_own_clock(tmp_path):
    async def scene():
        asked = []

        async def answer(request: web.Request) -> web.Response:
            asked.append((request.path, request.headers["Authorization"]))
            series = [
                {
                    "metric": {"__name__": f"DCGM_FI_DEV_FB_{name}", "gpu": "0", "UUID": "GPU-0", "Hostname": "node-1"},
                    "values": [[1_700_000_000, "50"]],
                }
                for name in ("USED", "FREE")
            ]
            data = {"status": "success", "data": {"resultType": "matrix", "result": series}}
            return web.json_response(data, headers={"Date": "Tue, 14 Nov 2023 22:13:40 GMT"})  # 20 s later

        (tmp_path / "token").write_text("secret\n")
        async with exporter(answer) as url:
            gpus = Gpus(prometheus=url.removesuffix("/metrics"), token_file=tmp_path / "token")
            await look(gpus, nodes={"node-1"})
            assert asked == [("/api/v1/query", "Bearer secret")]
            assert gpus.readings[GPU].at == NOW - 20
            assert gpus.problem("node-1") == ""

    asyncio.run(scene())


def test_a_token_that_is_not_there_is_said(tmp_path):
    gpus = Gpus(prometheus="http://127.0.0.1:1", token_file=tmp_path / "none")
    asyncio.run(look(gpus, nodes={"n"}))
    assert gpus.problem("n") == f"http://127.0.0.1:1: {tmp_path / 'none'}: No such file or directory"


def test_a_token_that_is_no_text_is_said(tmp_path):
    token = tmp_path / "token"
    token.write_bytes(b"\xff\xfe")
    gpus = Gpus(prometheus="http://127.0.0.1:1", token_file=token)
    asyncio.run(look(gpus, nodes={"n"}))
    assert gpus.problem("n").startswith(f"http://127.0.0.1:1: {token}: ")


def test_a_gpu_that_the_successor_of_its_exporter_does_not_tell_of_is_forgotten():
    stays, goes = GpuId("n", 0, "GPU-a"), GpuId("n", 1, "GPU-b")
    gpus = Gpus(exporters=found_pods(pod(node="n")))

    def told(now: float, *found: GpuId) -> None:
        gpus._update_sources()
        [source] = gpus._sources.values()
        source.answered(now, "")
        gpus._add(source, Answer(tuple(Reading(gpu, 1.0, 10.0, now) for gpu in found)))
        gpus._forget(now, {"n"})

    told(0.0, stays, goes)
    gpus.exporters = found_pods(pod(name="exporter-2", node="n", address="10.0.0.2"))
    told(500.0, stays)
    assert set(gpus.readings) == {stays, goes}
    told(700.0, stays)
    assert set(gpus.readings) == {stays}


@pytest.mark.parametrize("date", ["yesterday", "Mon, 01 Jan 99999999999 00:00:00 +0000"])
def test_a_date_that_is_none_is_no_clock(date):
    async def scene():
        async with exporter(answers("x", headers={"Date": date})) as url, open_session() as session:
            assert (await fetch(session, url)).date is None
            with pytest.raises(ScrapeError):
                await fetch(session, "http://")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--vram-endpoint", "node:9400"], {}, "found 'node:9400', expected http://HOST:PORT/PATH"),
        (["--prometheus-url", "ftp://x"], {}, "found 'ftp://x', expected http://HOST:PORT/PATH"),
        ([], {"CLIPFARM_PROMETHEUS_URL": "http://x:port"}, "found 'http://x:port', expected http://HOST:PORT/PATH"),
        ([], {"CLIPFARM_DCGM_PORT": "http"}, "'http' is not a valid integer range"),
        (["--agent-port", "0"], {}, "0 is not in the range"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_in_one_line(arguments, environment, message):
    done = CliRunner().invoke(operator, arguments, env=environment)
    assert done.exit_code == 2
    assert message in done.output
