"""What a look at a cluster tells the rules of GPU memory, and what people are told of them."""

import pytest

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.decided import decided
from clipfarm.cluster.process.poller import measured_at
from clipfarm.cluster.reporting.events import notices
from clipfarm.cluster.reporting.vram_condition import vram_held
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import decide
from clipfarm.manifests.common import Owner
from clipfarm.world import Departed, GpuId, Holder, Reading
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.result import GpuReading
from helpers.runs import make_run

KEY, NOW, WALL = ("ns", "test"), 1000.0, 1.7e9
GPU = GpuId("gpu-2", 0, "GPU-a")
WAITS = "0/1 nodes are available: 1 Insufficient cpu"


class Scene:
    """A run with a Job, and a node with one GPU."""

    def __init__(self, **spec):
        run = make_run(workers=4, **({"render": {"device": "cuda"}, "storage": {"claimName": "clips"}} | spec))
        self.store, self.gpus = Store(sees_all_pods=True), Gpus()
        self.tracked = Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {})
        self.store.nodes.put("n", NodeView("gpu-2", 8, 1, {}, (), True, {"nvidia.com/gpu": 1}))
        job = JobView(KEY, "job-1", "run-1", 6, suspended=False, deleting=False, attempt="",
                      completed=Indexes(), failed=Indexes())  # fmt: skip
        self.store.jobs.put("job-1", job)

    def pod(self, index=0, gate=None, node="gpu-2", gpu=GPU, **fields):
        view = PodView(f"p-{index}", f"u-{index}", KEY, "job-1", index, gate, node, gpu, **fields)
        self.store.pods.put(view.uid, view)

    def read(self, used, at=NOW, holders=()):
        self.gpus.readings = {GPU: Reading(GPU, used * 24_000, 24_000.0, at, holders=holders)}

    def look(self, now=NOW):
        return look(self.tracked, Seen(self.store, self.gpus, now, WALL + now - NOW))

    def tick(self, now=NOW):
        plan = decide(self.tracked.run, self.look(now))
        self.tracked.memory = decided(self.tracked, plan, now)
        return plan


def held(scene, status):
    """Return the finding for VRAMHeld."""
    return vram_held(scene.tracked.memory.blocks, status, scene.tracked.run.spec.vram.held_warning_after)


def test_a_pod_counts_as_begun_when_its_renderer_runs_and_not_when_its_gate_is_off():
    scene = Scene()
    scene.pod()
    assert [pod.started_at for pod in scene.look().running] == [None]
    scene.pod(began=WALL + 40)
    assert [pod.started_at for pod in scene.look(NOW + 60).running] == [NOW + 60]
    assert [pod.started_at for pod in scene.look(NOW + 90).running] == [NOW + 60]


def test_after_a_restart_a_pod_began_when_the_node_says():
    scene = Scene()
    scene.pod(began=WALL - 300)
    assert [pod.started_at for pod in scene.look().running] == [NOW - 300]


def test_a_pod_that_is_let_go_counts_where_it_is_sent_before_any_watch_shows_it():
    scene = Scene()
    scene.pod(gate=0, node="", gpu=None)
    scene.look()
    scene.tracked.releases.released["u-0"] = GPU
    [pod] = scene.look().running
    assert (pod.node, pod.gpu, pod.started_at) == ("gpu-2", GPU, None)
    scene.tracked.releases.released["u-0"] = "gpu-2"
    [pod] = scene.look().running
    assert (pod.node, pod.gpu) == ("gpu-2", None)


@pytest.mark.parametrize("out_of_vram", [False, True])
def test_a_pod_that_has_ended_is_remembered_for_two_minutes_with_how_it_ended(out_of_vram):
    scene = Scene()
    scene.pod(began=WALL)
    scene.look()
    if out_of_vram:
        end = FailedPod("u-0", KEY, "job-1", 0, ExitCode.OUT_OF_VRAM, "why", WALL + 9, 1, disrupted=False)
        scene.store.failed.put("u-0", end)
    scene.store.pods.drop("u-0")
    assert scene.look(NOW + 10).departed == (Departed("gpu-2", GPU, NOW, NOW + 10, out_of_vram),)
    asked = {gpu: pod.name for gpu, pod in scene.tracked.memory.rendering.finished.items()}
    assert asked == ({} if out_of_vram else {GPU: "p-0"})
    assert scene.look(NOW + 131).departed == ()


@pytest.mark.parametrize("told", ["before", "with", "after"])
@pytest.mark.parametrize("code", [ExitCode.OUT_OF_VRAM, ExitCode.FAILED])
def test_how_a_pod_ended_is_known_whichever_watch_tells_first(told, code):
    scene = Scene(vram={"perClip": "1Gi"})
    scene.pod(began=WALL)
    scene.pod(1, gate=0, node="", gpu=None)
    scene.read(0.1)
    scene.look()
    failed = FailedPod("u-0", KEY, "job-1", 0, code, "why", WALL + 9, 1, disrupted=False)
    tell = lambda: scene.store.failed.put("u-0", failed)  # noqa: E731
    if told == "before":
        tell()
        assert [pod.index for pod in scene.look(NOW + 9).running] == [0], "it counts until it is gone"
    if told == "with":
        tell()
    scene.store.pods.drop("u-0")
    if told == "after":
        assert [left.out_of_vram for left in scene.look(NOW + 10).departed] == [False]
        tell()
    ran_out = code is ExitCode.OUT_OF_VRAM
    for now in (NOW + 10, NOW + 11):
        plan = scene.tick(now)
        assert [left.out_of_vram for left in scene.look(now).departed] == [ran_out]
        assert bool(plan.start) is not ran_out, "nothing starts there before a newer reading"
    assert [left.ended_at for left in scene.look(NOW + 11).departed] == [NOW + 10]
    assert not scene.tracked.memory.rendering.finished, "it is not asked what a complete clip took"


def test_no_pod_is_sent_to_a_node_where_one_waits_for_room():
    scene = Scene(vram={"perClip": "1Gi"})
    scene.read(0.1)
    scene.pod(0, node="", reported=Reported("Released", None, "Unschedulable", WAITS))
    scene.pod(1, gate=0, gpu=None)
    plan = scene.tick()
    assert [(start.node, start.away_from) for start in plan.start] == [("", (("kubernetes.io/hostname", "gpu-2"),))], (
        "a new node may take it"
    )
    [hold] = [entry.hold for entry in plan.status.held]
    assert hold.message == (
        f"a clip that was sent to gpu-2 does not start: {WAITS}; 1 pod waits for a node to be added"
    )


@pytest.mark.parametrize(
    ("label", "own"),
    [({}, ("kubernetes.io/hostname", "host-2")), ({"clipfarm.dev/node-id": "7"}, ("clipfarm.dev/node-id", "7"))],
)
def test_a_clip_that_waits_for_a_new_node_keeps_away_from_one_that_is_not_ready(label, own):
    scene = Scene(vram={"perClip": "1Gi"})
    scene.read(0.95)  # full of something else
    taint = ("node.kubernetes.io/not-ready", "", "NoSchedule")
    labels = {"kubernetes.io/hostname": "host-2"} | label
    scene.store.nodes.put("n", NodeView("gpu-2", 8, 1, labels, (taint,), True, {"nvidia.com/gpu": 1}))
    scene.pod(1, gate=0, gpu=None)
    assert [start.away_from for start in scene.tick().start] == [(own,)], "it comes back as it was"


def test_gates_are_remembered_until_something_is_measured_after_a_restart():
    scene = Scene()
    gate = {"node": "gpu-2", "gpu": "0", "uuid": "GPU-a", "gate": "Closed"}
    scene.tracked = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), {"gpus": [gate]})
    for _ in range(2):  # looks before the first reading
        assert [(each.closed, each.reading) for each in scene.tick().watermarks.values()] == [(True, None)]
    scene.read(0.8)
    assert scene.tick().watermarks[GPU].closed


def test_a_whole_gpu_is_the_nodes_to_give():
    pod = {"resources": {"nvidia.com/gpu": "1"}}
    scene = Scene(render={"device": "cuda", "pod": pod}, vram={"perClip": "1Gi"})
    scene.read(0.1)
    for index in range(4):
        scene.pod(index, gate=0, node="", gpu=None)
    # Two more show an autoscaler that a node is missing.
    assert [(start.index, start.to) for start in scene.tick().start] == [(0, "gpu-2"), (1, ""), (2, "")]


def test_who_holds_a_full_gpu_is_said_at_once_and_warned_of_when_it_lasts():
    scene = Scene(vram={"heldWarningAfter": "5m", "staleAfter": "1h"})
    for index in range(4):
        scene.pod(index, gate=0, gpu=None)
    scene.read(0.91, holders=(Holder("lab/friction-encode", 21 * 1024.0),))
    text = (
        "4 clips held: GPU 0 on gpu-2 at 91% (lab/friction-encode 21 GiB); starts again below 70%;"
        " no clip of this run is on it, so something else has to free the memory"
    )
    early = held(scene, scene.tick().status)
    assert early == ("True", "VRAMHigh", text)
    assert held(scene, scene.tick(NOW + 300).status)[1] == "VRAMHigh"
    late = held(scene, scene.tick(NOW + 301).status)
    more = ". Other programs have kept full for longer than 5m 00s: GPU 0 on gpu-2 (lab/friction-encode 21 GiB)"
    assert late == ("True", "VRAMTaken", text + more)
    statuses = [{"phase": "Running", "conditions": [{"type": "VRAMHeld", "status": found[0], "reason": found[1],
                 "message": found[2]}]} for found in (early, late, late)]  # fmt: skip
    [event] = notices(statuses[0], statuses[1])
    assert (event.kind, event.reason, event.message) == ("Warning", "VRAMTaken", text + more)
    assert notices(statuses[1], statuses[2]) == [], "once"


def test_a_gpu_that_a_clip_of_this_run_is_on_is_nobody_elses():
    scene = Scene(vram={"heldWarningAfter": "5m", "staleAfter": "1h"})
    scene.pod(0, began=WALL)
    scene.pod(1, gate=0, gpu=None)
    scene.read(0.91)
    for now in (NOW, NOW + 301):
        assert held(scene, scene.tick(now).status)[1] == "VRAMHigh"


def test_others_that_leave_no_room_for_one_clip_count_below_the_mark_too():
    scene = Scene(vram={"heldWarningAfter": "5m", "staleAfter": "1h", "perClip": "8Gi"})
    scene.pod(0, gate=0, gpu=None)
    scene.read(0.8)
    assert scene.tick().status.kept_full == ()
    late = held(scene, scene.tick(NOW + 301).status)
    assert late[1] == "VRAMTaken"
    assert late[2].endswith(
        "Other programs have kept full for longer than 5m 00s: GPU 0 on gpu-2 (by an unknown program)"
    )


def test_several_places_are_counted_beside_the_first():
    scene = Scene()
    other = GPU._replace(index=1, uuid="GPU-b")
    scene.pod(0, gate=0, gpu=None)
    scene.gpus.readings = {gpu: Reading(gpu, 23_000.0, 24_000.0, NOW) for gpu in (GPU, other)}
    assert scene.tick().status.held[0].hold.message.endswith("; 1 other place is held, too")


@pytest.mark.parametrize("devices", [{}, {"nvidia.com/gpu": 1}])
def test_why_gpu_memory_is_unknown_is_said_with_and_without_a_device_plugin(devices):
    scene = Scene()
    gpus = devices.get("nvidia.com/gpu", 0)
    scene.store.nodes.put("n", NodeView("gpu-2", 8, gpus, {}, (), True, devices))
    scene.gpus = Gpus(("http://gpu-2:9400/metrics",))
    scene.pod(0, gate=0, gpu=None)
    message = scene.tick().status.held[0].hold.message
    assert message.startswith("GPU memory of gpu-2 is unknown (no endpoint tells of it)")


def test_where_nothing_is_known_the_reason_is_that_of_a_node_with_gpus():
    scene = Scene()
    scene.store.nodes.put("m", NodeView("a-node-of-cpus", 8, 0, {}, (), True))
    scene.pod(0, gate=0, gpu=None)
    assert "GPU memory of gpu-2 is unknown" in scene.tick().status.held[0].hold.message
    scene.read(0.95)
    assert "GPU 0 on gpu-2 at 95%" in scene.tick().status.held[0].hold.message


def test_of_each_gpu_the_latest_pod_that_is_done_is_asked():
    scene = Scene()
    for index in (0, 1):
        scene.pod(index, began=WALL)
        scene.look()
        scene.store.pods.drop(f"u-{index}")
        scene.look(NOW + 10)
    scene.pod(2, gpu=None, began=WALL)  # the device plugin has given it a GPU, and nobody has told which
    scene.look(NOW + 11)
    scene.store.pods.drop("u-2")
    scene.look(NOW + 12)
    asked = {where: pod.name for where, pod in scene.tracked.memory.rendering.finished.items()}
    assert asked == {GPU: "p-1", "u-2": "p-2"}


def test_a_pod_that_has_measured_its_gpu_is_not_in_that_reading_however_late_its_end_is_seen():
    scene = Scene(vram={"perClip": "6Gi"})
    scene.pod(began=WALL)
    scene.read(0.8)
    scene.look()
    scene.store.pods.drop("u-0")
    scene.look(NOW + 60)
    scene.store.pods.put("u-1", PodView("p-1", "u-1", KEY, "job-1", 1, 0, "", None))
    measured = GpuReading("GPU-a", "", 2400.0, 24_000.0, WALL + 57)
    as_of = measured_at(scene.tracked, "u-0", 1.5)
    assert as_of == NOW + 60 - 1.5
    scene.gpus.add_measured("ns", "gpu-2", measured, as_of, NOW + 61)
    [left] = scene.look(NOW + 61).departed
    assert as_of - 0.01 < left.ended_at < as_of, "the reading is newer than that, however its age is rounded"
    plan = scene.tick(NOW + 61)
    assert plan.watermarks[GPU].reading == Reading(GPU, 2400.0, 24_000.0, NOW + 61, 2.5)
    assert [start.index for start in plan.start] == [1]
    assert measured_at(scene.tracked, "u-1", 1.5) is None, "nobody saw it end"
