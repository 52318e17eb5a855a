"""GPU memory by way of a Prometheus: each value as old as its sample."""

import json

import pytest

from clipfarm.vram.dcgm import FormatError, hostname
from clipfarm.vram.prometheus import QUERY, node_finder, parse, query_url
from clipfarm.world import GpuId, Holder

WALL = 1_800_000_000.0
LABELS = {"gpu": "0", "UUID": "GPU-a", "Hostname": "node-1"}


def series(name, *samples, **labels):
    """Samples are pairs of age and value, oldest first, as a range has them."""
    return {"metric": {"__name__": name} | LABELS | labels, "values": [[WALL - age, str(v)] for age, v in samples]}


def used_and_free(*samples, **labels):
    """Of a GPU of 100 MiB."""
    free = [(age, 100 - used) for age, used in samples]
    return [series("DCGM_FI_DEV_FB_USED", *samples, **labels), series("DCGM_FI_DEV_FB_FREE", *free, **labels)]


def answer(found):
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}})


def readings(found, node_of=hostname, **how):
    return parse(answer(found), 1000.0, node_of, wall=WALL, **how).readings


def test_a_reading_is_the_newest_sample_and_as_old_as_that_is():
    [reading] = readings(used_and_free((50, 10), (20, 30)))
    assert (reading.gpu, reading.used_mib, reading.total_mib) == (GpuId("node-1", 0, "GPU-a"), 30, 100)
    assert reading.at == 980.0


def test_a_source_that_has_died_grows_old_and_does_not_look_fresh():
    [reading] = readings(used_and_free((250, 10)))
    assert reading.at == 750.0


def test_a_clock_that_is_ahead_makes_nothing_come_from_the_future():
    assert readings(used_and_free((-5, 10)))[0].at == 1000.0


def test_the_agents_own_age_is_added():
    [reading] = readings([*used_and_free((20, 10)), series("clipfarm_agent_reading_age_seconds", (20, 7))])
    assert reading.at == 973.0


def test_of_two_exporters_of_a_gpu_the_newest_sample_counts():
    old, new = used_and_free((200, 10), instance="10.0.0.1:9400"), used_and_free((5, 60), instance="10.0.0.2:9400")
    for found in (old + new, new + old):
        [reading] = readings(found)
        assert (reading.used_mib, reading.at) == (60, 995.0)


@pytest.mark.parametrize(
    ("whole", "part", "told"),
    [(5, 5, ["0/7"]), (5, 35, ["0/7"]), (5, 200, ["0"]), (200, 5, ["0/7"])],
)
def test_a_gpu_that_is_no_more_split_is_whole_though_its_instances_are_remembered(whole, part, told):
    found = used_and_free((whole, 10)) + used_and_free((part, 20), GPU_I_ID="7")
    assert [reading.gpu.number for reading in readings(found)] == told


def test_who_held_the_gpu_is_told_for_as_long_as_it_is_recent():
    def holder(name, age):
        return series("clipfarm_agent_holder_bytes", (age, 2**20), holder=name)

    [reading] = readings([*used_and_free((5, 10)), holder("team/now", 5), holder("team/then", 200)])
    assert reading.holders == (Holder("team/now", 1.0),)


def test_pods_are_holders_unless_they_are_exporters():
    found = used_and_free((5, 10), pod="x2v", namespace="gpu")
    assert [holder.name for holder in readings(found)[0].holders] == ["gpu/x2v"]
    assert readings(found, exporters={"gpu/x2v"})[0].holders == ()


@pytest.mark.parametrize(
    ("labels", "node"),
    [
        ({"Hostname": "node-1"}, "node-1"),
        ({"Hostname": "unknown", "node": "node-2"}, "node-2"),
        ({"Hostname": "exporter-x2v"}, "node-1"),
        ({"instance": "node-2:9400"}, "node-2"),
        ({"instance": "node-2"}, "node-2"),
        ({"instance": "10.0.0.1:9400"}, "node-1"),
        ({"instance": "[fd00::1]:9400"}, "node-2"),
        ({"Hostname": "elsewhere", "instance": "10.9.9.9:9400"}, ""),
        ({}, ""),
    ],
)
def test_the_node_is_the_first_label_that_names_one_of_the_cluster(labels, node):
    places = {"10.0.0.1": "node-1", "exporter-x2v": "node-1", "fd00::1": "node-2"}
    assert node_finder({"node-1", "node-2"}, places)(labels) == node


def test_a_value_of_no_known_node_is_no_reading_and_is_said():
    told = parse(answer(used_and_free((5, 10))), 1000.0, node_finder({"other"}, {}), wall=WALL)
    assert told.readings == ()
    assert told.problem == (
        "its label Hostname names node-1, which is no node of the cluster, and no other label names one"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "[]",
        "{}",
        "null",
        '{"status": "error", "error": "query timed out"}',
        '{"status": "success", "data": {"resultType": "vector", "result": []}}',
        answer([]),
        answer([{}]),
        answer([{"metric": LABELS, "values": [[WALL, "1"]]}]),
        answer([{"metric": LABELS, "values": [[10**400, "1"]]}]),
        answer([{"metric": {"__name__": "DCGM_FI_DEV_FB_USED"}, "values": []}]),
        answer([{"metric": {"__name__": "DCGM_FI_DEV_FB_USED"}, "values": [["NaN", "1"]]}]),
        answer([{"metric": {"__name__": "DCGM_FI_DEV_FB_USED"}, "values": [[WALL, "one"]]}]),
        answer(used_and_free((5, 10)))[:-20],
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_of_a_prometheus_is_refused(text):
    with pytest.raises(FormatError):
        parse(text, 1000.0, hostname, wall=WALL)


@pytest.mark.parametrize("used", ["9223372036854775794", "-1", "NaN", "+Inf"])
def test_nonsense_is_no_reading_here_either(used):
    found = used_and_free((5, 10))
    found[0]["values"][0][1] = used
    assert readings(found) == ()


def test_the_question_asks_for_samples_with_their_times_behind_any_path():
    assert QUERY.endswith("[300s]")
    assert query_url("https://thanos/prefix/").startswith("https://thanos/prefix/api/v1/query?query=%7B__name__")
