"""All clips on one kind of nodes (``render.requireIdenticalNodes``): which one, and when it is settled."""

from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.acting.release import release_patch
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_views import PodView, Reported
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.node_kind import labels_of
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.events import notices
from clipfarm.cluster.reporting.status import run_status
from clipfarm.cluster.reporting.summary import notes
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.admission import Elsewhere
from clipfarm.decide.plan import decide
from clipfarm.manifests.common import Owner
from clipfarm.world import GpuId, NodeKind, Reading
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run

KEY, NOW, WALL = ("ns", "test"), 1000.0, 1_800_000_000.0
NFD = "feature.node.kubernetes.io/cpu-model"
XEON = {f"{NFD}.vendor_id": "Intel", f"{NFD}.family": "6", f"{NFD}.id": "143"}
EPYC = {f"{NFD}.vendor_id": "AMD", f"{NFD}.family": "25", f"{NFD}.id": "17"}
LARGE = {"node.kubernetes.io/instance-type": "c7i.large"}
H100 = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
DRIVER = {"nvidia.com/cuda.driver-version.full": "580.95.05"}


def node(name: str, labels: dict[str, str], cpus: int = 8) -> NodeView:
    return NodeView(name, cpus, 0, labels, (), True)


@pytest.mark.parametrize(
    ("labels", "on_gpu", "chosen"),
    [
        (XEON | LARGE, False, XEON),
        (LARGE, False, LARGE),
        ({f"{NFD}.vendor_id": "Intel"} | LARGE, False, LARGE),  # a vendor alone names no model
        ({f"{NFD}.vendor_id": "Intel"}, False, {}),
        ({}, False, {}),
        (XEON | H100 | DRIVER, True, XEON | H100 | DRIVER),
        (XEON | H100, True, XEON | H100),
        (LARGE | H100 | DRIVER, True, LARGE | H100 | DRIVER),
        (XEON | LARGE, True, XEON | LARGE),  # the type of a machine names its GPU
        (LARGE, True, LARGE),
        (XEON, True, {}),
        (H100 | DRIVER, True, {}),
    ],
)
def test_a_kind_is_known_by_labels_that_name_the_processor_and_the_gpu(labels, on_gpu, chosen):
    assert dict(labels_of(node("n", labels | {"kubernetes.io/hostname": "n"}), on_gpu=on_gpu)) == chosen


class Scene:
    """A run that requires identical nodes, on the nodes of a test."""

    def __init__(self, *nodes: NodeView, status: dict[str, Any] | None = None, **render: Any) -> None:
        self.store, self.gpus = Store(), Gpus()
        run = make_run(10, workers=3, storage={"size": "1Gi"}, render={"requireIdenticalNodes": True} | render)
        self.tracked = Tracked(Asked(run, Owner("ns", "run-1", {}), 1), status or {})
        self.tracked.answers.claim = "Bound"
        for each in nodes:
            self.store.nodes.put(each.name, each)
        self.job()

    def job(self, completed: str = "") -> None:
        rest: dict[str, Any] = {"suspended": False, "deleting": False, "attempt": "", "failed": Indexes()}
        self.store.jobs.put("job-1", JobView(KEY, "job-1", "run-1", 3, completed=Indexes.parse(completed), **rest))
        for index in range(3):
            if index not in Indexes.parse(completed):
                self.pod(index, gate=0)

    def pod(self, index: int, *, gate: int | None = None, node: str = "", reported: str = "Gated") -> None:
        view = PodView(f"p-{index}", f"u-{index}", KEY, "job-1", index, gate, node, None, Reported(reported, WALL))
        self.store.pods.put(view.uid, view)

    def look(self) -> tuple[dict[str, str], str, list[str]]:
        """Look, write the status; return the labels, the reason that holds clips, and where pods were sent."""
        seen = Seen(self.store, self.gpus, NOW, WALL)
        world = look(self.tracked, seen)
        plan = decide(self.tracked.run, world)
        self.tracked.status = run_status(self.tracked, world, plan, WALL)
        held = [each.hold.message for each in plan.status.held if each.hold.reason == "NodeKind"]
        return dict(world.node_kind.labels), held[0] if held else "", [start.node for start in plan.start]


def test_the_kind_with_room_for_most_pods_is_chosen_and_no_pod_starts_before_the_status_has_it():
    scene = Scene(node("a", XEON), node("b", EPYC), node("c", EPYC), node("d", {}, cpus=99))
    labels, held, sent = scene.look()
    assert (labels, sent) == (EPYC, [])
    assert held.startswith("the kind of nodes was just chosen: ")
    assert scene.tracked.status["identicalNodes"] == EPYC
    labels, held, sent = scene.look()
    assert (labels, held) == (EPYC, "")
    assert {*sent} <= {"b", "c"}
    assert len(sent) == 3


def test_of_equal_kinds_the_first_node_decides():
    assert Scene(node("b", XEON), node("a", EPYC)).look()[0] == EPYC


def test_a_restart_goes_on_with_the_kind_that_the_status_has():
    scene = Scene(node("a", XEON, cpus=99), node("b", EPYC), status={"identicalNodes": EPYC})
    assert scene.look() == (EPYC, "", ["b", "b", "b"])


def test_if_no_node_of_the_kind_is_there_clips_wait_for_one_and_say_for_which():
    scene = Scene(node("a", XEON), status={"identicalNodes": LARGE})
    world = look(scene.tracked, Seen(scene.store, Gpus(), NOW, WALL))
    [held] = decide(scene.tracked.run, world).status.held
    assert held.hold.message == (
        "no node fits the run's node selector and tolerations, and has the labels of its first node"
        " (node.kubernetes.io/instance-type=c7i.large; render.requireIdenticalNodes); 2 pods wait for a node to be"
        " added"
    )


@pytest.mark.parametrize(
    ("labels", "device", "problem"),
    [
        ({}, "cpu", "node a has no label that names its processor (found none of feature.node."),
        (XEON, "gpu", "node a has no label that names its GPU (found none of nvidia.com/gpu.product); label the nodes"),
    ],
)
def test_nodes_that_do_not_say_what_they_are_make_no_clips(labels, device, problem):
    scene = Scene(node("a", labels), device=device)
    chosen, held, sent = scene.look()
    assert (chosen, sent) == ({}, [])
    assert held.startswith(problem)
    assert "render.pod.nodeSelector" in held
    scene.store.nodes.put("a", node("a", XEON | H100))
    assert scene.look()[0].items() >= XEON.items(), "labelled, it is taken"


def test_without_a_node_one_pod_asks_for_the_first_which_decides():
    scene = Scene()
    assert scene.look() == ({}, "", [""]), "one alone, and no other kind can come in between"
    scene.pod(0, reported="Released")
    scene.store.nodes.put("a", node("a", XEON, cpus=99))
    chosen, held, _ = scene.look()
    assert (chosen, held) == ({}, "the node that the first pod gets decides on which kind of nodes clips are made")
    scene.store.nodes.put("b", node("b", EPYC))
    scene.pod(0, node="b", reported="Working")
    assert scene.look()[0] == EPYC
    assert scene.look()[2] == ["b", "b"]


def test_nodes_too_small_for_a_pod_decide_nothing():
    scene = Scene(node("a", XEON, cpus=1), threads=2)
    assert scene.look() == ({}, "", [""]), "a larger node may be added"
    scene.pod(0, reported="Released")
    assert scene.look()[1] == "the node that the first pod gets decides on which kind of nodes clips are made"
    scene.store.nodes.put("b", node("b", EPYC))
    scene.pod(0, node="b", reported="Working")
    assert scene.look()[0] == EPYC


def test_no_kind_is_chosen_for_a_gpu_while_no_node_is_known_to_have_one():
    small = {"node.kubernetes.io/instance-type": "g6.xlarge"}
    scene = Scene(node("a", LARGE, cpus=99), node("b", small), device="gpu")
    chosen, held, sent = scene.look()
    assert (chosen, sent) == ({}, [])
    assert held.startswith("no node that fits is known to have a GPU (a: ")
    gpu = GpuId("b", 0)
    scene.gpus.readings = {gpu: Reading(gpu, 0.0, 10_000.0, NOW)}
    assert scene.look()[0] == small


def test_where_the_first_clips_were_made_unseen_nothing_is_guessed():
    scene = Scene(node("a", XEON))
    scene.job(completed="0")
    assert scene.look()[:2] == ({}, "clips were made on nodes that are not known any more; make a new run")


def test_a_run_that_requires_nothing_goes_anywhere():
    scene = Scene(node("a", {}), requireIdenticalNodes=False)
    assert scene.look() == ({}, "", ["a", "a", "a"])
    assert "identicalNodes" not in scene.tracked.status


def test_a_released_pod_is_narrowed_to_the_kind_beside_its_node():
    kind, pod = NodeKind(tuple(LARGE.items())), PodView("p", "u", KEY, "job-1", 0, 0, "", None)
    of_kind = [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["c7i.large"]}]
    away = [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["a"]}]
    only = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
    for to, term in (
        ("", {"matchExpressions": of_kind}),
        ("a", only | {"matchExpressions": of_kind}),
        (Elsewhere((("kubernetes.io/hostname", "a"),)), {"matchExpressions": [*of_kind, *away]}),
    ):
        affinity = release_patch(pod, to, 0.0, kind)[-1]["value"]
        required = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert required == {"nodeSelectorTerms": [term]}, to
    there = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [only]}}}
    patch = release_patch(replace(pod, affinity=there), "", 0.0, kind)
    assert patch[-2]["op"] == "test", "what another controller wrote stays"


def test_the_event_and_the_status_name_the_labels():
    before, after = {"phase": "Pending"}, {"phase": "Pending", "identicalNodes": LARGE}
    [told] = notices(before, after)
    assert (told.kind, told.reason) == ("Normal", "NodeKind")
    assert told.message == "all clips are made on nodes with the labels node.kubernetes.io/instance-type=c7i.large"
    assert notices(after, after) == []
    run = {"metadata": {}, "spec": {}, "status": after | {"observedGeneration": 1}}
    assert list(notes(run)) == ["  nodes: node.kubernetes.io/instance-type=c7i.large"]
