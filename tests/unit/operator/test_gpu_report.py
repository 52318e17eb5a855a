"""GPUs as people and Prometheus see them."""

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from clipfarm.cluster.process.vram_metrics import GpuMetrics
from clipfarm.cluster.reporting.gpus import MOST_GPUS, gpu_counts, gpu_memory, needs_every
from clipfarm.cluster.reporting.vram import gpu_rows, not_listed, unknown
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.ledger import Claim, Ledger
from clipfarm.vram.users import holders_text
from clipfarm.world import GpuId, Holder, Node, Reading, WatermarkState
from helpers.runs import make_run

AT = "2026-11-24T10:00:0{}Z"
NOW = 1795514410.0  # 2026-11-24T10:00:10Z


def run(*gpus, phase="Running"):
    return {"status": {"phase": phase, "gpus": list(gpus)}}


def entry(second=0, gate="Open", **fields):
    made = {"node": "n", "gpu": "0", "uuid": "GPU-a", "used": f"{second}0%", "reading": "1s old", "gate": gate}
    return made | {"measuredAt": AT.format(second)} | fields


def test_why_no_gpu_is_known_is_said_once_for_each_reason():
    def waits(name, message, reason="VRAMUnknown", phase="Waiting"):
        held = {"type": "VRAMHeld", "reason": reason, "message": message}
        metadata = {"namespace": "ns", "name": name}
        return {"metadata": metadata, "status": {"phase": phase, "conditions": [held]}}

    runs = [waits("a", "no exporter"), waits("b", "no exporter"), waits("c", "403"), waits("d", "full", "VRAMHigh")]
    assert unknown([*runs, waits("e", "of yesterday", phase="Failed")]) == ["ns/a: no exporter", "ns/c: 403"]


@pytest.mark.parametrize("at", ["yesterday", "0000-01-01T00:00:00Z", "2026-11-24T10:00:00"])
def test_a_time_that_is_none_has_no_age(at):
    [row] = gpu_rows([run(entry(measuredAt=at))], NOW)
    assert (row.age, row.problem) == (None, "1s old")


def test_of_several_runs_the_newest_reading_is_shown_and_a_gate_that_is_closed_for_any():
    for runs in ([run(entry(3)), run(entry(1, "Closed"))], [run(entry(1, "Closed")), run(entry(3))]):
        [row] = gpu_rows(runs, NOW)
        assert (row.used, row.age, row.closed) == ("30%", 7.0, True)


def test_a_finished_run_and_one_without_a_status_tell_nothing():
    assert gpu_rows([run(entry(), phase="Succeeded"), {}, run()], NOW) == []


def test_an_unknown_use_comes_with_its_reason_and_gives_way_to_a_known_one():
    unknown = {"node": "n", "gpu": "0", "uuid": "GPU-a", "used": "unknown", "reading": "no answer", "gate": "Open"}
    [row] = gpu_rows([run(unknown)], NOW)
    assert (row.used, row.age, row.problem) == ("unknown", None, "no answer")
    [row] = gpu_rows([run(unknown), run(entry(3))], NOW)
    assert (row.used, row.problem) == ("30%", "")


def test_instances_have_rows_of_their_own():
    rows = gpu_rows([run(entry(1, uuid="GPU-a/7", heldBy="team/a"), entry(2, uuid="GPU-a/8", total="9.0 GiB"))], NOW)
    assert [(row.gpu, row.who, row.total) for row in rows] == [("0/7", "team/a", ""), ("0/8", "", "9.0 GiB")]


def test_claims_name_run_clips_memory_and_age():
    claims = [
        {"run": "team/a", "clips": 2, "memory": "9.4 GiB", "since": AT.format(4)},
        {"run": "b/c", "clips": 1, "memory": "unknown"},
    ]
    [row] = gpu_rows([run(entry(3, claims=claims))], NOW)
    assert row.claims == "team/a 2 clips 9.4 GiB 6s, b/c 1 clip unknown"


@pytest.mark.parametrize(
    ("holders", "text"),
    [
        ((), ""),
        ((Holder("team/a"),), "team/a"),
        ((Holder("team/a", 21504.0), Holder("b", 512.0)), "team/a 21 GiB, b 0.5 GiB"),
        (tuple(map(Holder, "abcde")), "a, b, c and 2 more"),
    ],
)
def test_holders_are_named_with_what_they_have(holders, text):
    assert holders_text(holders) == text


def test_prometheus_is_told_each_gpus_use_age_and_gate():
    whole, part = GpuId("n", 0, "GPU-a"), GpuId("n", 1, "GPU-b", "7")
    gpus = Gpus(readings={whole: Reading(whole, 1.0, 4.0, 90.0), part: Reading(part, 3.0, 4.0, 40.0)})
    runs = {
        "a": SimpleNamespace(
            memory=SimpleNamespace(
                watermarks={whole: WatermarkState(whole, False, None), part: WatermarkState(part, True, None)}
            )
        ),
        "b": SimpleNamespace(memory=SimpleNamespace(watermarks={part: WatermarkState(part, False, None)})),
    }
    registry = CollectorRegistry()
    ledger = Ledger()
    young, sized = Counts(pods=3, unseen=2, since=88.0), Expected(3.0, 2.0)
    node = Node("n", 8, (whole, part))
    ledger.put("team/a", [node], {whole: young}, sized, {})
    ledger.put("team/b", [node], {whole: Counts(pods=1, unseen=1, since=99.0)}, None, {})
    registry.register(GpuMetrics(gpus, runs, lambda: ledger, lambda: 100.0))
    told = {line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")}
    assert told == {
        'clipfarm_vram_used_bytes{gpu="0",node="n"} 1.048576e+06',
        'clipfarm_vram_used_bytes{gpu="1/7",node="n"} 3.145728e+06',
        'clipfarm_vram_total_bytes{gpu="0",node="n"} 4.194304e+06',
        'clipfarm_vram_total_bytes{gpu="1/7",node="n"} 4.194304e+06',
        'clipfarm_vram_reading_age_seconds{gpu="0",node="n"} 10.0',
        'clipfarm_vram_reading_age_seconds{gpu="1/7",node="n"} 60.0',
        'clipfarm_vram_claimed_bytes{gpu="0",node="n",run="team/a"} 4.194304e+06',
        'clipfarm_vram_claims{gpu="0",node="n",run="team/a"} 2.0',
        'clipfarm_vram_claims{gpu="0",node="n",run="team/b"} 1.0',  # of unknown size, which is not zero
        'clipfarm_vram_gate_closed{gpu="0",node="n"} 0.0',
        'clipfarm_vram_gate_closed{gpu="1/7",node="n"} 1.0',
    }


class TestMany:
    """A fleet has more GPUs than a status can describe."""

    def states(self, closed=(), unknown=(), count=100):
        made = {}
        for number in range(count):
            gpu = GpuId(f"node-{number // 8:03}", number % 8, f"GPU-{number}")
            known = Reading(gpu, 50.0, 100.0, NOW - 3, holders=(Holder("ns/pod", 50.0),))
            seen = None if number in unknown else known
            made[gpu] = WatermarkState(gpu, number in closed, seen, "no answer" if number in unknown else "")
        return made

    def test_few_are_all_listed_as_they_are(self):
        states = self.states(count=MOST_GPUS)
        assert [each.uuid for each in gpu_memory(states, {}, NOW, NOW)] == [gpu.uuid for gpu in states]

    def test_closed_ones_come_first_then_unknown_ones_then_those_with_claims(self):
        states = self.states(closed=(99,), unknown=(98,))
        claims = {gpu: (Claim("ns/run", 1 + gpu.index, 1.0, NOW),) for gpu in list(states)[60:97]}
        listed = gpu_memory(states, claims, NOW, NOW)
        assert len(listed) == MOST_GPUS
        assert [each.uuid for each in listed[-2:]] == ["GPU-98", "GPU-99"]
        assert all(each.claims for each in listed[:-2])

    def test_every_closed_one_is_listed_because_it_has_to_be_closed_after_a_restart(self):
        states = self.states(closed=range(80))
        claims = {gpu: (Claim("ns/run", 1, 1.0, NOW),) for gpu in states}
        listed = gpu_memory(states, claims, NOW, NOW)
        assert [each.gate for each in listed] == ["Closed"] * 80
        assert sum(bool(each.claims) for each in listed) == sum(bool(each.held_by) for each in listed) == MOST_GPUS
        assert all(each.used == "50%" and each.measured_at for each in listed)

    @pytest.mark.parametrize(
        ("vram", "fixed_workers", "expected"),
        [
            ({}, 20, False),
            ({"enabled": False}, 20, True),
            ({"whenUnknown": "Admit"}, 20, True),
            ({}, None, True),
        ],
        ids=["clips wait for readings", "nothing is held", "unknown ones are used", "their number may decide"],
    )
    def test_what_an_operator_that_starts_needs_before_it_has_measured_is_listed(self, vram, fixed_workers, expected):
        assert needs_every(make_run(1, vram=vram).spec.vram, fixed_workers) is expected
        states = self.states()
        listed = gpu_memory(states, {}, NOW, NOW, every=expected)
        assert len(listed) == (len(states) if expected else MOST_GPUS)

    def test_all_are_counted(self):
        counts = gpu_counts(self.states(closed=range(3), unknown=range(2, 6)))
        assert (counts.total, counts.closed, counts.unknown) == (100, 3, 4)

    @pytest.mark.parametrize(("phase", "lines"), [("Running", 1), ("Failed", 0)])
    def test_a_reader_is_told_how_many_are_not_listed(self, phase, lines):
        status = {"phase": phase, "gpus": [entry()] * 32, "gpuCounts": {"total": 33, "closed": 0, "unknown": 0}}
        found = not_listed([{"metadata": {"namespace": "ns", "name": "a"}, "status": status}])
        said = "ns/a: 1 GPU more, none of them closed; the operator's /metrics has every GPU"
        assert found == [said] * lines
