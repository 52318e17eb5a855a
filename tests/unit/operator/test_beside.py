"""Clips that fit on a node beside what other pods request there."""

import pytest

from clipfarm.cluster.api.nodes import node
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.requests import Requested
from clipfarm.cluster.api.store import Store, watchers
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.beside import Asking, beside
from clipfarm.cluster.observing.devices import offers
from clipfarm.cluster.observing.places import nodes
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.manifests.common import Owner
from helpers.runs import make_run

GIB = 2**30
KEY = ("ns", "test")
OFFERED = {"cpu": "8", "memory": "32Gi", "pods": "20"}
ONE = Asking((("cpu", 1000), ("memory", 2 * GIB), ("pods", 1)))


class Scene:
    def __init__(self, offered=OFFERED, run=None):
        self.store = Store()
        self.asked = Asked(run or make_run(workers=4), Owner("ns", "run-1", {}), 1)
        metadata = {"name": "a", "labels": {"kubernetes.io/hostname": "a"}}
        self.store.nodes.put("a", node({"metadata": metadata, "status": {"allocatable": offered}}))

    def other(self, uid="other", **amounts):
        self.store.other_pods.put(uid, Requested("a", tuple(sorted({"pods": 1, **amounts}.items()))))

    def seen(self, on_their_way=None):
        return Seen(self.store, Gpus(), 0.0, 0.0, on_their_way or {})

    def beside(self, asking=ONE, **seen):
        [view] = self.store.nodes.all()
        others = self.seen(**seen).requested(view.name, self.asked.key, asking.priority)
        return beside(asking, others, view)

    def nodes(self):
        seen = self.seen()
        return nodes(self.asked, {}, seen, offers(self.asked.run.spec.render, (), seen, {}), ONE)


FITS = [
    ("by CPUs", {}, OFFERED, 8, "other pods request 0 of 8 CPUs"),
    ("by CPUs that are left", {"cpu": 6500}, OFFERED, 1, "other pods request 6.5 of 8 CPUs"),
    ("by memory that is left", {"memory": 29 * GIB}, OFFERED, 1, "other pods request 29.0 GiB of 32.0 GiB memory"),
    ("by the number of pods", {"pods": 17}, OFFERED, 3, "17 of 20 pods are there"),
    ("on a node with more requests than it offers", {"cpu": 9000}, OFFERED, 0, "other pods request 9 of 8 CPUs"),
    ("on a node that does not say how many pods it takes", {"pods": 99}, {"cpu": "8"}, 8,
     "other pods request 0 of 8 CPUs"),
    ("on a node with less memory than one pod requests", {}, OFFERED | {"memory": "1Gi"}, 0,
     "a pod requests 2.0 GiB memory, and the node has 1.0 GiB"),
    ("on a node that takes no pods", {}, OFFERED | {"pods": "0"}, 0, "0 of 0 pods are there"),
    ("on one that says nothing", {"cpu": 9000}, {}, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("what", "taken", "offered", "room", "why"), FITS, ids=[row[0] for row in FITS])
def test_clips_fit(what, taken, offered, room, why):
    scene = Scene(offered)
    if taken:
        scene.other(**taken)
    assert scene.beside() == (room, why)


def test_devices_that_other_pods_have_are_not_free():
    scene, asking = Scene(OFFERED | {"nvidia.com/gpu": "4"}), Asking((("nvidia.com/gpu", 1), ("pods", 1)))
    scene.other(**{"nvidia.com/gpu": 3})
    assert scene.beside(asking) == (1, "other pods request 3 of 4 nvidia.com/gpu")


def test_pods_of_other_runs_count_from_their_release():
    scene = Scene()
    way = {"a": [Requested("a", ONE.requests, 0, ("ns", "second")), Requested("a", ONE.requests, 0, KEY)]}
    assert scene.beside(on_their_way=way)[0] == 7, "the run's own are counted by the rules"


def test_a_run_asks_for_what_its_pods_do_or_else_for_what_it_says():
    scene = Scene(run=make_run(render={"threads": 2, "memory": "3Gi"}))
    assert dict(Asking.of(scene.asked.run.spec.render, {}).requests) == {"cpu": 2000, "memory": 3 * GIB, "pods": 1}
    pod = PodView("p", "u", KEY, "job", 0, 0, "", None, requests=(("cpu", 2100),), priority=7)
    assert Asking.of(scene.asked.run.spec.render, {"u": pod}) == Asking((("cpu", 2100),), 7)
    never = PodView("p", "u", KEY, "job", 0, 0, "", None, requests=(), priority=7, preempts=False)
    assert Asking.of(scene.asked.run.spec.render, {"u": never}).priority is None


def test_a_node_has_room_for_fewer_clips_than_its_capacity_and_says_why():
    scene = Scene()
    scene.other(cpu=5000)
    [found] = scene.nodes()
    assert (found.capacity, found.room, found.room_limit) == (8, 3, "other pods request 5 of 8 CPUs")


@pytest.mark.parametrize(("namespaces", "sees"), [((), True), (("ns",), False)])
def test_an_operator_of_single_namespaces_says_which_pods_it_does_not_see(namespaces, sees):
    scene = Scene()
    made = watchers(scene.store, namespaces, lambda _: None)
    foreign = [each for each in made if each.cache is scene.store.other_pods]
    assert bool(foreign) is sees
    if sees:
        assert foreign[0].parameters == {
            "labelSelector": "clipfarm.dev/role notin (render,encode)",
            "fieldSelector": "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed",
        }
    [found] = scene.nodes()
    assert found.unseen == ("" if sees else "pods of other namespaces may request more there: "
                            "the operator may not read them")  # fmt: skip
