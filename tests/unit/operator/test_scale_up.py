"""Clips that no node has room for: some are released all the same, so that an autoscaler sees it."""

import pytest

from clipfarm.decide.plan import decide
from clipfarm.decide.workers import workers as settled
from clipfarm.world import Ended, GpuId, Node, NodeKind, Running, Standing
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import GPU0, NODE, make_run, make_world, reading

CLAIMED = {"nvidia.com/gpu": "1"}
ON_SHARED = {"device": "cuda"}
ON_WHOLE = {"device": "cuda", "pod": {"resources": CLAIMED}}
ON_SLICES = {"device": "cuda", "pod": {"resources": {"nvidia.com/gpu.shared": "1"}}}
OTHER = GpuId("other", 0, "GPU-0")
NOWHERE = "0/0 nodes are available"


def admit(run, **world):
    return decide(run, make_world(run, **({"grows": True} | world)))


def pending(*clips, elsewhere=False):
    """Pods that were released, and for which the scheduler finds no node."""
    standing = Standing("Released", 900.0, "Unschedulable", NOWHERE)
    return tuple(Running(clip, "", None, None, standing=standing, elsewhere=elsewhere) for clip in clips)


def running(*clips, node=NODE, gpu=None):
    return tuple(Running(clip, node, gpu, 0.0) for clip in clips)


def sent(plan):
    return [(start.index, start.to) for start in plan.start]


def held(plan):
    return {entry.hold.reason: len(entry.indexes) for entry in plan.status.held}


FULL = {
    "nodes": (Node(NODE, 8, (GPU0,), room=2),),
    "readings": (reading(GPU0, 0.1),),
    "running": running(0, 1, gpu=GPU0),
    "waiting": (2, 3, 4, 5),
}


def on(sharing, **more):
    node = Node(NODE, 8, (GPU0,), sharing=sharing, room=2, label=("clipfarm.dev/node-id", "a"))
    return FULL | {"nodes": (node,), "running": running(0, 1)} | more


# What it is about, the render options, the world, which clips are released without a node
TABLE = [
    ("no node at all", {}, {"nodes": ()}, [0, 1]),
    ("one waits for a node already", {}, {"nodes": (), "running": pending(9)}, [0]),
    ("two wait already", {}, {"nodes": (), "running": pending(8, 9)}, []),
    ("as many as the run says", {"scaleUp": {"pending": 3}}, {"nodes": ()}, [0, 1, 2]),
    ("none, if the run says so", {"scaleUp": {"pending": 0}}, {"nodes": ()}, []),
    ("one alone, if all nodes have to be like it", {"requireIdenticalNodes": True}, {"nodes": ()}, [0]),
    ("more of a kind that is known", {"requireIdenticalNodes": True},
     {"nodes": (), "node_kind": NodeKind((("kind", "a"),))}, [0, 1]),
    ("one machine stays alone", {}, {"nodes": (), "grows": False}, []),
    ("nodes that are too small for one pod", {"threads": 4}, {"nodes": (Node(NODE, 2, capacity=0),)}, [0, 1]),
    ("nodes without the device", ON_WHOLE, {"nodes": (Node(NODE, 8, capacity=0),)}, [0, 1]),
    ("the first on a GPU that clips share is alone there", ON_SHARED, {"nodes": ()}, [0]),
    ("and on slices of one", ON_SLICES, {"nodes": ()}, [0]),
    ("whole GPUs come one each", ON_WHOLE, {"nodes": ()}, [0, 1]),
    ("a full node", ON_SHARED, FULL, [2]),
    ("a full node of whole GPUs", ON_WHOLE, on("Whole"), [2, 3]),
    ("a full node of slices", ON_WHOLE, on("Sliced"), [2]),
    ("a full GPU is memory's business", ON_SHARED, FULL | {"readings": (reading(GPU0, 0.99),), "running": ()}, []),
    ("a GPU that is not known yet is, too", ON_SHARED, FULL | {"readings": (), "running": ()}, []),
    ("one full node, and one whose memory is", ON_SHARED, FULL | {
        "nodes": (*FULL["nodes"], Node("other", 8, (OTHER,), room=2)),
        "readings": (*FULL["readings"], reading(OTHER, 0.99))}, []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "render", "world", "clips"), TABLE, ids=[row[0] for row in TABLE])
def test_clips_are_released_without_a_node_where_one_more_would_help(what, render, world, clips):
    plan = admit(make_run(workers=6, render=render), **world)
    assert [start.index for start in plan.start] == clips
    assert {start.node for start in plan.start} <= {""}


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ({"suspend": True}, "Suspended"),
        ({"workers": 2}, None),  # both are busy
    ],
)
def test_what_waits_for_something_else_is_not_released(when, reason):
    plan = admit(make_run(**({"workers": 6, "render": ON_SHARED} | when)), **FULL)
    assert plan.start == ()
    assert list(held(plan)) == ([reason] if reason else [])


def test_a_clip_that_is_not_due_yet_waits_for_its_time():
    end = Ended(0, ExitCode.OUT_OF_VRAM, "out of GPU memory", 990.0, 1)
    plan = admit(make_run(workers=6), nodes=(), waiting=(), ended=(end,))
    assert (plan.start, held(plan)) == ((), {"RetryDelay": 1})


def test_where_clips_share_gpus_they_keep_away_from_nodes_that_are_there():
    [(_, to)] = sent(admit(make_run(workers=6, render=ON_WHOLE), **on("Sliced")))
    assert to.nodes == (("clipfarm.dev/node-id", "a"),)
    [(_, to)] = sent(admit(make_run(workers=6, render=ON_SHARED), **FULL))
    assert to.nodes == (("kubernetes.io/hostname", NODE),)
    # The scheduler may give whole GPUs out: nobody else has them.
    assert sent(admit(make_run(workers=6, render=ON_WHOLE), **on("Whole"))) == [(2, ""), (3, "")]


def test_what_is_held_says_how_many_wait_for_a_node():
    plan = admit(make_run(workers=6), nodes=())
    [entry] = plan.status.held
    assert (len(entry.indexes), plan.status.running, plan.could_run) == (4, 2, 2)
    assert entry.hold.message == (
        "no node fits the run's node selector and tolerations; 2 pods wait for a node to be added"
    )
    assert plan.status.missing == entry.hold
    # Also of the last ones, when no other clip is held.
    assert admit(make_run(workers=6), nodes=(), waiting=(), running=pending(8, 9)).status.missing == entry.hold
    assert admit(make_run(workers=6), waiting=(), running=pending(8, 9)).status.missing is None
    [entry] = admit(make_run(workers=6, render={"scaleUp": {"pending": 0}}), nodes=()).status.held
    assert entry.hold.message == "no node fits the run's node selector and tolerations"


@pytest.mark.parametrize(
    ("render", "nodes", "message"),
    [
        ({"threads": 4}, 1, "1 node fits the run's node selector and tolerations, and none has 4 CPUs for a pod"),
        (ON_WHOLE, 2, "2 nodes fit the run's node selector and tolerations, and none has 1 CPU and nvidia.com/gpu: 1"),
    ],
)
def test_nodes_that_can_never_take_a_pod_are_said_to_be_too_small(render, nodes, message):
    there = tuple(Node(f"n-{number}", 2, capacity=0) for number in range(nodes))
    [entry] = admit(make_run(workers=6, render=render), nodes=there).status.held
    assert entry.hold.message.startswith(message)


def limit(run, world):
    return settled(run, world).limit


class TestWorkers:
    def test_a_run_that_says_how_many_is_believed_at_any_time(self):
        run = make_run(workers=5)
        assert limit(run, make_world(run, workers=3)) == 5

    def test_they_are_settled_by_the_first_nodes_and_stay_so(self):
        run = make_run()
        three = tuple(Node(f"n-{number}", 8, capacity=8) for number in range(3))
        assert limit(run, make_world(run, nodes=three)) == 18
        assert limit(run, make_world(run, nodes=three, workers=6)) == 6
        assert admit(run, nodes=three, workers=6).status.fixed_workers == 6

    def test_no_more_of_them_than_the_cluster_allows(self):
        run = make_run()
        assert limit(run, make_world(run, cpus=200, max_default_workers=100)) == 100
        said = make_run(workers=150)
        assert limit(said, make_world(said, max_default_workers=100)) == 150

    def test_no_more_on_a_node_than_it_has_devices_for(self):
        run = make_run(render=ON_WHOLE)
        assert limit(run, make_world(run, nodes=(Node(NODE, 64, capacity=4), Node("cpus", 64, capacity=0)))) == 4

    @pytest.mark.parametrize(
        ("device", "gpus", "cpus", "room", "workers"),
        [
            ("cuda", 1, 16, None, 2),
            ("gpu", 4, 64, None, 8),
            # Two CPUs are kept free, and Kubernetes gives each clip a GPU of its own.
            ("optix", 4, 8, None, 6),
            ("cuda", 1, 2, None, 1),
            ("cuda", 4, 64, 4, 4),
            # On the CPU GPUs do not matter.
            ("cpu", 1, 16, None, 14),
        ],
    )
    def test_a_gpu_is_worth_two_of_them(self, device, gpus, cpus, room, workers):
        run = make_run(render={"device": device})
        there = tuple(GpuId(NODE, number) for number in range(gpus))
        assert limit(run, make_world(run, nodes=(Node(NODE, cpus, there, capacity=room),))) == workers

    @pytest.mark.parametrize(
        ("spec", "node", "first", "later"),
        [
            ({}, {}, (None, False), (None, False)),
            # The GPUs that Kubernetes counts do not help where no clip starts.
            ({}, {"devices": 4}, (None, False), (None, False)),
            # Clips start without: two, until the node has had time to report its GPUs, and then by its CPUs.
            ({"vram": {"whenUnknown": "Admit"}}, {}, (2, False), (14, True)),
            ({"vram": {"enabled": False}}, {}, (2, False), (14, True)),
            ({"vram": {"whenUnknown": "Admit"}}, {"devices": 4}, (8, True), (8, True)),
            ({"vram": {"enabled": False}}, {"devices": 4}, (8, True), (8, True)),
            # It has no device for the run: nothing is to be known.
            ({"vram": {"enabled": False}}, {"capacity": 0}, (None, False), (None, False)),
            ({"workers": 5}, {}, (5, True), (5, True)),
        ],
    )
    def test_of_a_node_whose_gpus_are_unknown(self, spec, node, first, later):
        run = make_run(render={"device": "cuda"}, **spec)
        unknown = Node("b", 16, gpu_problem="no exporter has answered yet", **node)
        at_first = settled(run, make_world(run, nodes=(unknown,)))
        assert (at_first.limit, at_first.limit is not None and at_first.fixed) == first
        world = make_world(run, nodes=(unknown,), now=1060.0, workers_since=at_first.since)
        assert (settled(run, world).limit, settled(run, world).fixed) == later

    def test_a_node_that_does_not_answer_at_first_is_waited_for(self):
        run = make_run(render={"device": "cuda"}, vram={"staleAfter": "2m"})
        a, b = ((GpuId(name, 0), GpuId(name, 1)) for name in "ab")
        known, unknown = Node("a", 16, a), Node("b", 16, gpu_problem="pod b: no answer within 5 s")

        def at(now, *nodes, since=1000.0):
            found = settled(run, make_world(run, nodes=nodes, now=now, workers_since=since))
            return found.limit, found.fixed, found.since

        assert at(1000.0, unknown, since=None) == (None, False, None), "nothing to count with yet"
        assert at(1000.0, known, unknown, since=None) == (4, False, 1000.0)
        assert at(1119.0, known, unknown) == (4, False, 1000.0)
        assert at(1119.0, known, Node("b", 16, b)) == (8, True, None)
        assert at(1120.0, known, unknown) == (4, True, None), "it may never answer"
        assert at(1001.0, known, Node("b", 16, capacity=0, gpu_problem="no exporter"))[:2] == (4, True)

    def test_a_number_that_may_change_is_used_and_not_kept(self):
        run = make_run(render={"device": "cuda"})
        nodes = (Node(NODE, 16, (GPU0,)), Node("b", 16, gpu_problem="no answer"))
        plan = admit(run, nodes=nodes, readings=(reading(GPU0, 0.1),))
        assert (len(plan.start), plan.status.workers, plan.status.fixed_workers) == (1, 2, None)
        assert (plan.status.workers_since, plan.status.workers_unknown) == (1000.0, "GPUs of b are unknown (no answer)")

    @pytest.mark.parametrize(("allowed", "clips"), [(2, 2), (5, 5), (0, 0)])
    def test_before_a_node_fits_there_are_as_many_as_may_ask_for_one(self, allowed, clips):
        plan = admit(make_run(render={"scaleUp": {"pending": allowed}}), nodes=())
        assert (plan.status.fixed_workers, len(plan.start)) == (None, clips)
        assert held(plan) == ({} if allowed else {"NoNode": 1})
        with_them = admit(make_run(render={"scaleUp": {"pending": allowed}}), nodes=(), running=pending(8, 9))
        assert len(with_them.start) == max(0, allowed - 2)


class TestRecalls:
    """Clips that wait for a node, and are taken back behind their gates."""

    @pytest.mark.parametrize(
        ("spec", "world", "clips", "why"),
        [
            ({}, {}, [], ""),
            ({"suspend": True}, {}, [9, 8], "spec.suspend is true"),
            ({"workers": 1}, {}, [9], "2 clips were released, and workers is 1"),
            ({}, {"ended": (Ended(0, ExitCode.USAGE, "no such scene", 900.0, 1),)}, [9, 8],
             "the renderer refuses the run: no such scene"),
        ],
    )  # fmt: skip
    def test_they_are_recalled_when_nothing_is_to_come_of_them(self, spec, world, clips, why):
        run = make_run(**({"workers": 6} | spec))
        plan = admit(run, nodes=(), waiting=(), running=pending(8, 9), **world)
        assert [recall.index for recall in plan.recalls] == clips
        assert {recall.why for recall in plan.recalls} <= {why}

    def test_such_that_the_scheduler_has_not_looked_at_are_left_alone(self):
        on_its_way = Running(9, "", None, None, standing=Standing("Released", 999.0))
        assert admit(make_run(workers=6, suspend=True), nodes=(), running=(on_its_way,)).recalls == ()

    def test_such_that_wait_on_their_way_to_a_node_are_recalled_too(self):
        stuck = Running(9, NODE, GPU0, None, standing=Standing("Released", 900.0, "Unschedulable", NOWHERE))
        plan = admit(make_run(workers=6, suspend=True), running=(stuck, *running(1, 2)))
        assert [recall.index for recall in plan.recalls] == [9]

    def test_one_for_a_new_node_is_recalled_when_one_that_is_there_has_room_and_nothing_else_takes_it(self):
        run = make_run(workers=6, render=ON_SHARED)
        world = FULL | {"running": (*running(0, gpu=GPU0), *pending(8, 9, elsewhere=True))}
        assert admit(run, **world).recalls == (), "clip 2 takes it"
        last = admit(run, **world | {"waiting": ()})
        assert [(recall.index, recall.why) for recall in last.recalls] == [(9, "a node that is there has room for it")]
        assert admit(run, **world | {"waiting": (), "unmade": (3,)}).recalls == (), (
            "a clip whose pod is to come takes it"
        )
        full = FULL | {"waiting": (), "running": (*FULL["running"], *pending(9, elsewhere=True))}
        assert admit(run, **full).recalls == ()

    def test_one_that_may_go_anywhere_is_the_schedulers(self):
        assert admit(make_run(workers=6), waiting=(), running=pending(8)).recalls == ()


REST = tuple(range(2, 100))


class TestUnmade:
    """Clips whose pods are not made yet: they start nothing, and are counted."""

    def test_they_count_as_held_as_if_they_were_there(self):
        plan = admit(make_run(clips=100, workers=6, suspend=True), waiting=(0, 1), unmade=REST)
        assert (held(plan), plan.could_run) == ({"Suspended": 6}, 0)

    def test_those_that_would_start_are_asked_for(self):
        plan = admit(make_run(clips=100, workers=6), waiting=(0, 1), unmade=REST)
        assert (sent(plan), plan.could_run, held(plan)) == ([(0, ""), (1, "")], 6, {})

    def test_no_more_of_them_than_gpu_memory_lets_in(self):
        run = make_run(clips=100, workers=20, render=ON_SHARED, vram={"perClip": "2000Mi"})
        plan = admit(run, gpus=(GPU0,), readings=(reading(GPU0, 0.1),), waiting=(), unmade=tuple(range(100)))
        assert (plan.start, plan.could_run, held(plan)) == ((), 3, {"VRAMClaims": 17})
