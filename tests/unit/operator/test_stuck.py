"""Pods that were narrowed to a node which does not take them."""

from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.acting.apply import begin
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.acting.changes import changes
from clipfarm.cluster.api import owners, pod_views
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.stuck import AVOID_SECONDS, STUCK_SECONDS
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.decided import decided
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import Plan, decide
from clipfarm.manifests.common import Images, Owner
from clipfarm.world import GpuId, Reading
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run

KEY, NOW, WALL = ("ns", "test"), 1000.0, 1.7e9
WAITS = "0/2 nodes are available: 1 Insufficient cpu"


def unschedulable(message: str) -> Reported:
    return Reported("Released", None, "Unschedulable", message)


class Scene:
    """A run with a Job, and nodes with one GPU each."""

    def __init__(self, *nodes: str, **spec: Any) -> None:
        base: dict[str, Any] = {"workers": 8, "render": {"device": "cuda"}, "storage": {"claimName": "clips"}}
        run = make_run(**(base | {"vram": {"perClip": "1Gi"}} | spec))
        self.store, self.gpus = Store(), Gpus()
        self.tracked = Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {})
        self.tracked.answers.claim = "Bound"
        for name in nodes or ("a", "b"):
            self.node(name)
        job = JobView(KEY, "job-1", "run-1", 30, suspended=False, deleting=False, attempt="",
                      completed=Indexes(), failed=Indexes())  # fmt: skip
        self.store.jobs.put("job-1", job)

    def node(self, name: str, *, gpu: bool = True, **fields: Any) -> None:
        view = NodeView(name, 8, int(gpu), {}, (), True, {"nvidia.com/gpu": 1} if gpu else {})
        self.store.nodes.put(name, replace(view, **fields))

    def pod(self, index: int = 0, sent_to: str = "a", trouble: str = "", **fields: Any) -> None:
        rest: dict[str, Any] = {"gate": None, "node": "", "gpu": GpuId(sent_to, 0) if sent_to else None}
        rest |= {"reported": unschedulable(trouble)} if trouble else {}
        view = PodView(f"p-{index}", f"u-{index}", KEY, "job-1", index, sent_to=sent_to, **(rest | fields))
        self.store.pods.put(view.uid, view)

    def waiting(self, index: int) -> None:
        self.pod(index, "", gate=0)

    def tick(self, now: float = NOW, patience: float = STUCK_SECONDS) -> tuple[Plan, list[Change]]:
        measured = [name for name in ("a", "b", "c") if any(n.name == name and n.gpus for n in self.store.nodes.all())]
        gpus = [GpuId(name, 0, f"GPU-{name}") for name in measured]
        self.gpus.readings = {gpu: Reading(gpu, 1000.0, 24_000.0, now) for gpu in gpus}
        seen = Seen(self.store, self.gpus, now, WALL)
        plan = decide(self.tracked.run, look(self.tracked, seen))
        self.tracked.memory = decided(self.tracked, plan, now)
        found = changes(plan, self.tracked, seen, Images(), patience)
        begin(self.tracked.work, found, now)
        return plan, [change for change in found if change.verb == "evict"]

    def evicted(self, now: float = NOW, patience: float = STUCK_SECONDS) -> list[str]:
        return [change.name for change in self.tick(now, patience)[1]]


def test_a_pod_whose_node_is_gone_is_evicted_at_once():
    scene = Scene()
    scene.pod()
    assert scene.evicted() == []
    scene.store.nodes.drop("a")
    _, [eviction] = scene.tick(NOW + 1)
    assert eviction.path == "/api/v1/namespaces/ns/pods/p-0/eviction"
    assert eviction.body == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "p-0", "namespace": "ns"},
        "deleteOptions": {"preconditions": {"uid": "u-0"}},
    }
    assert eviction.event is not None
    assert eviction.event.message == (
        "1 pod that was sent to a did not start: the node is gone; evicted, and created again for another node"
    )


def test_a_pod_that_finds_no_room_is_evicted_after_a_minute_of_the_operators_own():
    scene = Scene()
    scene.pod(trouble=WAITS)
    assert scene.evicted() == []
    assert scene.evicted(NOW + STUCK_SECONDS - 1) == []
    assert scene.evicted(NOW + STUCK_SECONDS) == ["p-0"]


def test_the_minute_begins_anew_when_the_scheduler_takes_its_word_back():
    scene = Scene()
    for now, trouble in ((NOW, WAITS), (NOW + 50, ""), (NOW + 55, WAITS), (NOW + 100, WAITS)):
        scene.pod(trouble=trouble)
        assert scene.evicted(now) == []
    assert scene.evicted(NOW + 115) == ["p-0"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"sent_to": ""}, "the scheduler may take any node"),
        ({"node": "a"}, "a node has it"),
        ({"gate": 0}, "it was not let go yet"),
        ({"deleting": True}, "that was done"),
        ({"owner": "job-0"}, "another Job's"),
    ],
)
def test_other_pods_are_left_alone(fields, why):
    scene = Scene("b")
    scene.pod()
    [view] = scene.store.pods.of(KEY).values()
    scene.store.pods.put(view.uid, replace(view, reported=unschedulable(WAITS), **fields))
    for now in (NOW, NOW + 1000):
        assert scene.evicted(now) == [], why


@pytest.mark.parametrize(
    ("other", "evicted"),
    [
        ({}, True),
        ({"schedulable": False}, False),
        ({"taints": (("a", "", "NoSchedule"),)}, False),
        ({"gpu": False}, False),
    ],
)
def test_without_another_node_that_could_take_it_a_pod_waits(other, evicted):
    scene = Scene("a")
    scene.node("b", **other)
    scene.pod(trouble=WAITS)
    assert scene.evicted() == []
    assert bool(scene.evicted(NOW + 1000)) is evicted


def test_a_pod_that_is_recalled_is_evicted_once_and_the_first_of_them_says_why():
    scene = Scene(suspend=True)
    for index in range(2):
        scene.pod(index, "", elsewhere=True, trouble=WAITS)
    plan, evictions = scene.tick()
    assert {recall.index for recall in plan.recalls} == {0, 1}
    assert {change.name for change in evictions} == {"p-0", "p-1"}
    assert [change.event.message for change in evictions if change.event] == [
        "2 pods were taken back before they had a node: spec.suspend is true;"
        " the Job controller creates them again, behind their gates"
    ]
    scene.tracked.work.on_job.evicted |= {"u-0", "u-1"}
    assert scene.evicted() == []


def test_a_node_that_did_not_take_a_pod_is_avoided_for_some_minutes():
    scene = Scene()
    scene.pod(trouble=WAITS)
    scene.tick()
    assert scene.evicted(NOW + 60) == ["p-0"]
    scene.store.pods.drop("u-0")
    scene.waiting(0)
    plan, _ = scene.tick(NOW + 61)
    assert [start.node for start in plan.start] == ["b"]
    scene.store.pods.drop("u-0")
    for index in range(30):
        scene.waiting(index)
    plan, _ = scene.tick(NOW + 60 + AVOID_SECONDS - 1)
    assert {start.node for start in plan.start} == {"b"}
    plan, _ = scene.tick(NOW + 60 + AVOID_SECONDS)
    assert {start.node for start in plan.start} == {"a", "b"}


def test_what_is_held_for_it_says_which_node_is_avoided_and_why():
    scene = Scene(render={"device": "cuda", "threads": 8})
    scene.pod(trouble=WAITS)
    scene.pod(1, "b", node="b")
    scene.tick()
    assert scene.evicted(NOW + 60) == ["p-0"]
    scene.pod(deleting=True, trouble=WAITS)
    scene.waiting(2)
    plan, _ = scene.tick(NOW + 61)
    [held] = plan.status.held
    assert held.hold.reason == "NodesFull"
    assert held.hold.message == (
        f"a clip that was sent to a did not start: {WAITS}; 1 other place is held, too;"
        " 1 pod waits for a node to be added"
    )


def test_where_all_nodes_are_avoided_none_is():
    scene = Scene("a", "b", "c")
    scene.pod(0, "a", trouble=WAITS)
    scene.pod(1, "b", trouble=WAITS)
    scene.tick()
    assert scene.evicted(NOW + 60) == ["p-0", "p-1"]
    for index, uid in enumerate(("u-0", "u-1")):
        scene.store.pods.drop(uid)
        scene.waiting(index)
    plan, _ = scene.tick(NOW + 61)
    assert {start.node for start in plan.start} == {"c"}
    scene.store.nodes.drop("c")
    plan, _ = scene.tick(NOW + 62)
    assert {start.node for start in plan.start} == {"a", "b"}, "better than nothing"
    scene.pod(0, "a", trouble=WAITS)
    scene.tracked.work.on_job.evicted.clear()
    assert scene.evicted(NOW + 63) == []
    assert scene.evicted(NOW + 62 + STUCK_SECONDS) == [], "it would come back to where it is"


def test_pods_of_one_node_are_told_of_in_one_event():
    scene = Scene()
    for index in range(3):
        scene.pod(index, "a")
    scene.pod(3, "b", trouble=WAITS)
    scene.tick()
    scene.node("c")
    scene.tick()
    scene.store.nodes.drop("a")
    _, found = scene.tick(NOW + 60)
    assert [change.name for change in found] == ["p-0", "p-1", "p-2", "p-3"]
    told = [change.event for change in found if change.event is not None]
    assert [event.message.partition(";")[0] for event in told] == [
        "3 pods that were sent to a did not start: the node is gone",
        f"1 pod that was sent to b did not start: {WAITS}",
    ]


def test_a_pod_that_is_on_its_way_out_keeps_no_worker_and_is_not_let_go():
    scene = Scene(workers=2)
    scene.pod(0, "a", deleting=True, trouble=WAITS)
    scene.pod(1, "a", node="a", deleting=True)
    scene.waiting(2)
    scene.pod(3, "", gate=0, deleting=True)
    plan, _ = scene.tick()
    assert [start.index for start in plan.start] == [2]
    assert plan.status.running == 2, "one that a node has goes on until it has ended"
    assert plan.status.troubles == ()


def test_one_that_was_evicted_is_not_evicted_again_while_no_watch_shows_it():
    scene = Scene("b")
    scene.pod()
    assert scene.evicted() == ["p-0"]
    assert scene.evicted(NOW + 1) == ["p-0"], "it may have been refused"
    scene.tracked.work.on_job.evicted.add("u-0")
    assert scene.evicted(NOW + 2) == []


@pytest.mark.parametrize("gone", [False, True])
def test_a_deleted_pod_is_seen_to_be(gone):
    metadata = {
        "name": "p", "namespace": "ns", "uid": "u", "labels": {"clipfarm.dev/run": "test"},
        "annotations": {owners.INDEX_ANNOTATION: "0"},
    }  # fmt: skip
    found = pod_views.pod(
        {"metadata": metadata | ({"deletionTimestamp": "2026-11-24T10:00:00Z"} if gone else {}), "spec": {}}
    )
    assert found is not None
    assert (found.deleting, found.never_to_run) == (gone, gone)
    assert not replace(found, node="a").never_to_run
