"""What pods request of their nodes: Kubernetes' rule for one pod, and sums that follow all of them."""

import random

import pytest

from clipfarm.cluster.api.pod_views import EncoderPod, PodView, requested_by_encoder, requested_by_renderer
from clipfarm.cluster.api.requests import Requested, Sums, requested, requests

MIB = 2**20


def container(cpu=None, memory=None, *, name="main", **fields):
    asked = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    return {"name": name, "resources": {"requests": asked}, **fields}


def sidecar(cpu, name="sidecar"):
    return container(cpu, name=name, restartPolicy="Always")


def pod(*containers, first=(), status=None, node="a", **spec):
    found = {"nodeName": node, "containers": list(containers), "initContainers": list(first), **spec}
    return {"metadata": {"name": "p", "uid": "u"}, "spec": found, "status": status or {}}


def resized(name, kind="containerStatuses", **fields):
    return {kind: [{"name": name, **fields}]}


EFFECTIVE = [
    ("nothing", pod(container()), {}),
    ("no resources at all", pod({"name": "main"}), {}),
    ("one container", pod(container("250m", "64Mi")), {"cpu": 250, "memory": 64 * MIB}),
    ("two containers", pod(container("1"), container("0.5")), {"cpu": 1500}),
    ("an init container that asks for less", pod(container("1"), first=[container("500m")]), {"cpu": 1000}),
    ("one that asks for more", pod(container("1"), first=[container("2"), container("3")]), {"cpu": 3000}),
    ("more of one resource alone", pod(container("1", "1Gi"), first=[container("2", "1Mi")]),
     {"cpu": 2000, "memory": 1024 * MIB}),
    ("a sidecar, which runs beside", pod(container("1"), first=[sidecar("500m")]), {"cpu": 1500}),
    ("an init container after a sidecar", pod(container("1"), first=[sidecar("1"), container("2")]), {"cpu": 3000}),
    ("an init container before it", pod(container("1"), first=[container("2"), sidecar("1")]), {"cpu": 2000}),
    ("two sidecars", pod(container("1"), first=[sidecar("1"), sidecar("1"), container("500m")]), {"cpu": 3000}),
    ("overhead of its runtime", pod(container("1"), overhead={"cpu": "250m", "memory": "120Mi"}),
     {"cpu": 1250, "memory": 120 * MIB}),
    ("requests of the pod as a whole", pod(container("1"), resources={"requests": {"cpu": "4"}}), {"cpu": 4000}),
    ("the same, with overhead", pod(container("1"), resources={"requests": {"cpu": "4"}}, overhead={"cpu": "1"}),
     {"cpu": 5000}),
    ("a device", pod({"name": "main", "resources": {"requests": {"nvidia.com/gpu": "2"}}}), {"nvidia.com/gpu": 2}),
    ("a part of a thousandth", pod(container("1u")), {"cpu": 1}),
    ("a resize that is under way", pod(container("1"), status=resized("main", resources={"requests": {"cpu": "3"}})),
     {"cpu": 3000}),
    ("one that is granted", pod(container("1"), status=resized("main", allocatedResources={"cpu": "2"})),
     {"cpu": 2000}),
    ("a resize to more", pod(container("4"), status=resized("main", allocatedResources={"cpu": "2"})), {"cpu": 4000}),
    ("a sidecar's resize",
     pod(container("1"), first=[sidecar("1")],
         status=resized("sidecar", "initContainerStatuses", allocatedResources={"cpu": "2"})), {"cpu": 3000}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "found", "expected"), EFFECTIVE, ids=[row[0] for row in EFFECTIVE])
def test_a_pod_requests_what_kubernetes_counts(what, found, expected):
    assert dict(requests(found)) == expected | {"pods": 1}


def test_a_pod_without_a_node_requests_nothing_of_one():
    assert requested(pod(container("1"), node="")) is None


def test_of_a_pod_that_is_not_ours_only_requests_and_priority_are_kept():
    found = requested(pod(container("1"), priority=-10))
    assert found == Requested("a", (("cpu", 1000), ("pods", 1)), -10)
    assert found.requests is requested(pod(container("1"))).requests, "thousands of pods that are alike share one value"


RENDERER = PodView("p", "u", ("ns", "r"), "job", 0, None, "a", None, requests=(("cpu", 1000), ("pods", 1)))
ON_NODES = [
    ("one that has a node", {}, "a"),
    ("one that ends", {"deleting": True}, "a"),
    ("one that was sent there", {"node": "", "sent_to": "b"}, "b"),
    ("one that will never run", {"node": "", "sent_to": "b", "deleting": True}, None),
    ("one at its gate", {"node": "", "gate": 0}, None),
    ("one that was sent nowhere", {"node": ""}, None),
]


@pytest.mark.parametrize(("what", "fields", "node"), ON_NODES, ids=[row[0] for row in ON_NODES])
def test_a_renderer_counts_where_it_is_or_was_sent(what, fields, node):
    values = {name: getattr(RENDERER, name) for name in PodView.__slots__} | fields
    found = requested_by_renderer(PodView(**values))
    assert found == (Requested(node, RENDERER.requests, 0, ("ns", "r")) if node else None)


def test_an_encoder_counts_on_its_node_until_it_has_ended():
    def encoder(**fields):
        return EncoderPod("e", "u", ("ns", "r"), "set", "", 0, None, requests=RENDERER.requests, **fields)

    assert requested_by_encoder(encoder(node="a")) == Requested("a", RENDERER.requests)
    assert requested_by_encoder(encoder(node="a", ended=True)) is None
    assert requested_by_encoder(encoder()) is None


class TestSums:
    RUN, OTHER = ("ns", "r"), ("ns", "other")

    def test_leave_out_the_renderers_of_the_run_itself(self):
        sums = Sums()
        for uid, run in (("1", None), ("2", self.RUN), ("3", self.OTHER)):
            sums.put(uid, Requested("a", (("cpu", 1000), ("pods", 1)), 0, run))
        assert sums.others("a", self.RUN, 0) == {"cpu": 2000, "pods": 2}
        assert sums.others("b", self.RUN, 0) == {}

    def test_leave_out_pods_that_the_scheduler_ends_for_a_clip(self):
        sums = Sums()
        for uid, priority in (("low", -10), ("same", 0), ("high", 1000)):
            sums.put(uid, Requested("a", (("cpu", 1000), ("pods", 1)), priority))
        assert sums.others("a", self.RUN, 0)["cpu"] == 2000
        assert sums.others("a", self.RUN, 1000)["cpu"] == 1000
        assert sums.others("a", self.RUN, None)["cpu"] == 3000, "a clip that ends no other pod"

    def test_follow_pods_that_come_change_move_and_go(self):
        generator, sums, there = random.Random(0), Sums(), {}
        for _ in range(2000):
            uid = str(generator.randrange(60))
            found = None
            if generator.random() < 0.7:
                asked = (("cpu", generator.randrange(4000)), ("pods", 1))
                run = generator.choice([None, self.RUN, self.OTHER])
                found = Requested(generator.choice("ab"), asked, generator.choice([0, 5]), run)
            sums.put(uid, found)
            there[uid] = found
        for node in "ab":
            those = [each for each in there.values() if each and each.node == node and each.run != self.RUN]
            expected = {name: sum(dict(each.requests)[name] for each in those) for name in ("cpu", "pods")}
            assert {name: amount for name, amount in sums.others(node, self.RUN, 0).items() if amount} == expected
        for uid in there:
            sums.put(uid, None)
        assert sums.others("a", self.RUN, 0) == {}
