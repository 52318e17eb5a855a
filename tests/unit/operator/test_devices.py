"""How pods come to GPUs, by what they ask for and what a node says of itself."""

import json

import pytest

from clipfarm.cluster.api.endings import clips_vram, failed_pod, gpu_reading, slow_there
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.observing import devices
from clipfarm.cluster.process.poller import MOST_SLOW_NODES, take_in_slow
from clipfarm.decide.vram.learned import LearnedMemory
from clipfarm.manifests import job
from clipfarm.manifests.common import Images, Owner
from clipfarm.pod_options import PodOptions
from clipfarm.render import Render
from clipfarm.world import ClipMemory, GpuId, Reading
from helpers.runs import make_run

WHOLE, INSTANCE, SHARED = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"
BEGAN, ENDED = "2026-11-24T10:00:00Z", "2026-11-24T10:00:30Z"
REPLICAS = {"nvidia.com/gpu.replicas": "4"}


def node(offers=None, labels=None, cpus=16):
    return NodeView("n", cpus, 0, labels or {}, (), True, offers or {})


def asks(**resources):
    return PodOptions(resources={name: str(count) for name, count in resources.items()})


@pytest.mark.parametrize(
    ("asked", "offers", "labels", "measured", "sharing"),
    [
        ({}, {}, {}, 2, "Chosen"),
        ({}, {WHOLE: 2}, {}, 2, "Chosen"),  # all of them in reach through a runtime class, without asking for one
        ({"example.com/fpga": 1}, {}, {}, 2, "Chosen"),
        ({WHOLE: 1}, {WHOLE: 2}, {}, 2, "Whole"),
        ({WHOLE: 1}, {WHOLE: 2}, {}, 0, "Whole"),
        ({WHOLE: 1}, {WHOLE: 8}, {}, 2, "Sliced"),
        ({WHOLE: 1}, {WHOLE: 8}, REPLICAS, 8, "Sliced"),
        ({SHARED: 1}, {SHARED: 2}, {}, 2, "Sliced"),
        ({INSTANCE: 1}, {INSTANCE: 14}, {}, 2, "Whole"),
    ],
)
def test_how_pods_share_gpus_follows_from_what_they_ask_for(asked, offers, labels, measured, sharing):
    assert devices.sharing(node(offers, labels), asks(**asked), measured) == sharing


@pytest.mark.parametrize(
    ("asked", "offers", "threads", "room"),
    [
        ({}, {}, 1, 16), ({}, {}, 4, 4), ({WHOLE: 1}, {WHOLE: 2}, 1, 2), ({WHOLE: 2}, {WHOLE: 8}, 1, 4),
        ({WHOLE: 1}, {}, 1, 0), ({WHOLE: 1}, {WHOLE: 8}, 4, 4),
    ],
)  # fmt: skip
def test_a_node_has_room_for_as_many_pods_as_it_has_cpus_and_devices(asked, offers, threads, room):
    assert devices.capacity(node(offers), Render(threads=threads, pod=asks(**asked))) == room


def test_of_instances_only_those_of_the_profile_that_is_asked_for_count():
    small, large, whole = GpuId("n", 0, "a", "1"), GpuId("n", 0, "a", "2"), GpuId("n", 1, "b")
    sizes = {small: 9728.0, large: 20096.0, whole: 9728.0}
    readings = {gpu: Reading(gpu, 0.0, size, 0.0) for gpu, size in sizes.items()}
    assert devices.of_kind((small, large, whole), readings, asks(**{INSTANCE: 1})) == (small,)
    assert devices.of_kind((small, large, whole), readings, asks(**{WHOLE: 1})) == (small, large, whole)


@pytest.mark.parametrize(
    ("render", "told"),
    [({"device": "cuda"}, True), ({}, False), ({"device": "cuda", "pod": {"resources": {WHOLE: "1"}}}, False)],
)
def test_a_pod_that_shares_gpus_is_told_which_to_use_by_an_annotation(render, told):
    made = job.job(make_run(render=render), Owner("ns", "uid", {}), Images(), 1)
    variables = {each["name"]: each for each in made["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert ("CLIPFARM_GPU" in variables) is told
    if told:
        path = variables["CLIPFARM_GPU"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert path == "metadata.annotations['clipfarm.dev/gpu-uuid']"


def test_what_clips_took_is_learned_from_termination_messages_once_each():
    message = (
        '{"clips": [{"index": 0, "exitCode": 0,'
        ' "vram": {"peakMiB": 900, "averageMiB": 700, "deviationMiB": 30, "allocatedAfter": 5}},'
        ' {"index": 1, "exitCode": 0,'
        ' "vram": {"peakMiB": 1100, "averageMiB": 900, "deviationMiB": 50, "allocatedAfter": 7}},'
        ' {"index": 2, "exitCode": 2,'
        ' "vram": {"peakMiB": 50, "averageMiB": 50, "deviationMiB": 0, "allocatedAfter": 1}},'
        ' {"index": 3, "exitCode": 0, "skipped": true,'
        ' "vram": {"peakMiB": 9, "averageMiB": 9, "deviationMiB": 0, "allocatedAfter": 1}},'
        ' {"index": 4, "exitCode": 0}]}'
    )
    ended = {"name": "render", "state": {"terminated": {"exitCode": 0, "message": message}}}
    told, memory = clips_vram({"status": {"containerStatuses": [ended]}}), LearnedMemory()
    assert memory.summary() is None
    memory.add("pod-1", told)
    memory.add("pod-1", told)
    assert memory.summary() == ClipMemory(1100.0, 1000.0, 800.0, pytest.approx(108.17, abs=0.01), 6.0, 2)


@pytest.mark.parametrize("message", ["", "killed", "{}", '{"done": 3, "failed": 0}', '{"clips": [{"exitCode": 0}]}'])
def test_a_message_that_tells_nothing_of_memory_teaches_nothing(message):
    ended = {"name": "render", "state": {"terminated": {"exitCode": 0, "message": message}}}
    assert clips_vram({"status": {"containerStatuses": [ended]}}) == []


GPU_TOLD = {"uuid": "GPU-a", "usedMiB": 2400.5, "totalMiB": 24000, "at": unix_time(ENDED) - 1}


@pytest.mark.parametrize(
    ("change", "understood"),
    [
        ({}, True),
        ({"instance": "7"}, True),
        ({"usedMiB": 0}, True),
        ({"usedMiB": -1}, False),
        ({"usedMiB": 24001}, False),
        ({"usedMiB": "2400"}, False),
        ({"totalMiB": 0, "usedMiB": 0}, False),
        ({"usedMiB": float("nan")}, False),
        ({"totalMiB": float("inf")}, False),
        ({"uuid": ""}, False),
        ({"uuid": None}, False),
        ({"at": 0}, False),
        ({"at": float("inf")}, False),
        ({"more": 1}, True),
    ],
)
def test_what_a_pod_has_measured_of_its_gpu_is_a_number_or_nothing(change, understood):
    message = json.dumps({"done": 3, "failed": 0, "gpu": GPU_TOLD | change})
    found = gpu_reading(pod_that_ended(message))
    assert (found is not None) is understood
    if found is not None:
        assert found[0].to_json() == GPU_TOLD | {name: value for name, value in change.items() if name != "more"}


@pytest.mark.parametrize(
    ("at", "before"),
    [
        (-30.2, None),  # before its container began
        (-30.0, 31.0),
        (-1.5, 2.5),
        (-0.1, 1.1),
        (0.7, 0.3),
        (1.05, 0.0),  # to a tenth of a second, where the kubelet has whole ones
        (1.2, None),  # when it had ended
        (5.0, None),
        (1e9, None),
    ],
)
def test_a_pod_has_measured_while_its_container_ran_by_its_nodes_clock(at, before):
    found = gpu_reading(pod_that_ended(json.dumps({"gpu": GPU_TOLD | {"at": unix_time(ENDED) + at}})))
    assert (found and found[1]) == (before if before is None else pytest.approx(before))


@pytest.mark.parametrize("missing", ["startedAt", "finishedAt"])
def test_a_pod_whose_kubelet_does_not_say_when_it_ran_has_measured_nothing(missing):
    pod = pod_that_ended(json.dumps({"gpu": GPU_TOLD}))
    assert gpu_reading(pod) is not None
    pod["status"]["containerStatuses"][0]["state"]["terminated"][missing] = None  # as Kubernetes writes no time
    assert gpu_reading(pod) is None


@pytest.mark.parametrize("message", ["", "killed", "{}", '{"gpu": null}', '{"gpu": 3}', "[]"])
def test_a_pod_that_has_not_measured_its_gpu_tells_nothing_of_it(message):
    assert gpu_reading(pod_that_ended(message)) is None


LIES = ["1e200", "1e999", "-1", "1" + "0" * 400, "NaN", '"900"', "null", "[" * 5000]


@pytest.mark.parametrize("lie", LIES)
def test_whatever_a_message_says_nothing_breaks(lie):
    use = '{"peakMiB": 900, "averageMiB": 700, "deviationMiB": %s, "allocatedAfter": 5}'
    for message in ('{"clips": [{"exitCode": 0, "vram": ' + use % lie + "}]}",
                    '{"clips": ' + lie, '{"gpu": {"uuid": "a", "usedMiB": 1, "totalMiB": ' + lie + ', "at": 1.7e9}}',
                    '{"clips": [{"index": ' + lie + ', "exitCode": 1}]}', '{"done": ' + lie + "}"):  # fmt: skip
        pod = pod_that_ended(message, exit_code=1)
        assert clips_vram(pod) == []
        assert gpu_reading(pod) is None
        assert failed_pod(pod).exit_code == 1


def pod_that_ended(message, exit_code=0):
    ended = {"exitCode": exit_code, "message": message, "startedAt": BEGAN, "finishedAt": ENDED}
    annotations = {"batch.kubernetes.io/job-completion-index": "0"}
    labels = {"clipfarm.dev/run": "run"}
    metadata = {"name": "p", "namespace": "ns", "uid": "u", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "status": {"containerStatuses": [{"name": "render", "state": {"terminated": ended}}]}}


def test_a_pod_says_what_is_slow_on_its_node_and_what_it_says_can_be_shown():
    assert slow_there(pod_that_ended(json.dumps({"done": 3, "slow": ["no kernels", "a\x1bb"]}))) == (
        "no kernels",
        "a\\x1bb",
    )
    assert slow_there(pod_that_ended("no JSON")) == ()


def test_what_is_slow_is_known_of_a_node_by_its_last_pod_and_of_so_many_nodes():
    known: dict[str, tuple[str, ...]] = {}
    for number in range(MOST_SLOW_NODES + 1):
        take_in_slow(known, f"node-{number}", ("no kernels",))
    assert len(known) == MOST_SLOW_NODES
    take_in_slow(known, "node-0", ())
    take_in_slow(known, "node-1", ("no MPS",))
    assert "node-0" not in known
    assert known["node-1"] == ("no MPS",)
