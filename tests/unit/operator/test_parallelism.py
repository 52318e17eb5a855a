"""How many pods a run's Job has: those that may run, and as many at their gates as are used while others are made."""

from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.acting import parallelism
from clipfarm.cluster.acting.apply import begin
from clipfarm.cluster.acting.change import SEEN_SECONDS
from clipfarm.cluster.acting.changes import changes
from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.carried_over import LOWERING_SECONDS
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import JobWork
from clipfarm.cluster.process.decided import decided
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import Plan, decide
from clipfarm.manifests.common import Images, Owner
from clipfarm.world import GpuId
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import QUEUE_LABEL
from helpers.runs import make_run, reading

KEY, NOW, WALL = ("ns", "test"), 1000.0, 1_800_000_000.0
LONG_AGO = WALL - 3600
BLOCKS = 5000


class Scene:
    """A run with a Job on one node, whose pods are what a test says."""

    def __init__(self, clips: int = 5000, parallelism: int | None = None, queue: str = "", **spec: Any) -> None:
        self.store, self.gpus = Store(), Gpus()
        run = make_run(clips, **({"workers": 4, "storage": {"claimName": "clips"}} | spec))
        self.tracked = Tracked(Asked(run, Owner("ns", "run-1", {QUEUE_LABEL: queue} if queue else {}), 1), {})
        self.tracked.answers.claim = "Bound"
        self.store.nodes.put("n", NodeView("node-1", 8, 0, {}, (), True))
        if parallelism is not None:
            self.job(parallelism)

    def job(self, parallelism: int, **fields: Any) -> None:
        rest = {"suspended": False, "deleting": False, "attempt": "", "completed": Indexes(), "failed": Indexes()}
        self.store.jobs.put("job-1", JobView(KEY, "job-1", "run-1", parallelism, **(rest | fields)))

    def pods(self, *indexes: int, gated: bool = False, **fields: Any) -> "Scene":
        """Pods at work for an hour, or at their gates."""
        if gated:
            rest: dict[str, Any] = {"node": "", "reported": Reported("Gated")}
        else:
            rest = {"node": "node-1", "began": LONG_AGO, "reported": Reported("Working", LONG_AGO)}
        for index in indexes:
            uid = f"u-{index}"
            self.store.pods.put(
                uid, PodView(f"p-{index}", uid, KEY, "job-1", index, 0 if gated else None, gpu=None, **(rest | fields))
            )
        return self

    def plan(self, now: float = NOW) -> Plan:
        return decide(self.tracked.run, look(self.tracked, self.seen(now)))

    def seen(self, now: float) -> Seen:
        return Seen(self.store, self.gpus, now, WALL + now - NOW)

    def asks_for(self, now: float = NOW) -> int | None:
        """Return how many pods the Job is asked to have; None: as it is."""
        plan = self.plan(now)
        self.tracked.memory = decided(self.tracked, plan, now)
        found = changes(plan, self.tracked, self.seen(now), Images())
        begin(self.tracked.work, found, now)
        return next((change.body["spec"]["parallelism"] for change in found if change.kind == "Job"), None)

    def full(self, plan: Plan) -> int:
        """Return how many pods a Job of many blocks is to have."""
        made = parallelism.Parallelism.of(plan, self.tracked, NOW)
        return made.full(self.tracked.memory.rendering, BLOCKS)

    def ended(self, *ages: float, began: float = 3600.0) -> "Scene":
        """Pods ended so many seconds ago."""
        self.plan()  # from now on this Job's
        ends = tuple(NOW - age for age in sorted(ages, reverse=True))
        rendering = replace(self.tracked.memory.rendering, began_at=NOW - began, ends=ends)
        self.tracked.memory = replace(self.tracked.memory, rendering=rendering)
        return self


# What happened, pods that wait beside those that may run
RATES: list[tuple[str, dict[str, Any], int]] = [
    ("one that ended each minute is replaced in time", {"ages": [30.0]}, 0),
    ("16 clips of a minute at a time", {"ages": [each * 3.75 for each in range(16)]}, 1),
    ("in one wave", {"ages": [50.0] * 16}, 1),
    ("20 a second", {"ages": [each / 20 for each in range(1000)]}, 60),
    ("more than anybody needs", {"ages": [each / 200 for each in range(1000)]}, 100),
    ("a wave that goes on", {"ages": [each / 30 for each in range(45)]}, 45),
    ("a wave that is over", {"ages": [4 + each / 30 for each in range(45)]}, 2),
    ("the first ones have just ended", {"ages": [0.1] * 10, "began": 5.0}, 10),
    ("the first one has just ended", {"ages": [0.1], "began": 5.0}, 2),
    ("the first one ended some seconds ago", {"ages": [4.0], "began": 9.0}, 0),
    ("what ended long ago is no rate", {"ages": [70.0] * 50}, 0),
    ("none has ended yet, for two seconds", {"ages": [], "began": 2.0}, 2),
    ("none has ended yet, for a minute", {"ages": [], "began": 60.0}, 0),
]


@pytest.mark.parametrize(("what", "ended", "waiting"), RATES, ids=[row[0] for row in RATES])
def test_as_many_wait_as_are_used_while_one_is_made(what, ended, waiting):
    scene = Scene(workers=4, parallelism=0).pods(0, 1, 2, 3)
    plan = scene.plan()
    scene.ended(*ended["ages"], began=ended.get("began", 3600.0))
    assert scene.full(plan) == 4 + waiting


def test_a_new_job_has_as_many_pods_as_may_run_and_not_all_at_once():
    assert Scene(workers=4).asks_for() == 4
    assert Scene(workers=500).asks_for() == 16
    assert Scene(clips=3, workers=500).asks_for() == 3


def test_while_clips_are_held_none_waits_beside_those_that_run():
    scene = Scene(workers=8, parallelism=3, suspend=True).pods(0, 1, 2).ended(*[20.0] * 40)
    assert scene.full(scene.plan()) == 3
    # One at least, so that what refuses pods is noticed.
    assert Scene(workers=8, suspend=True).asks_for() == 1


def test_clips_without_a_pod_count_as_held_as_those_at_their_gates_do():
    scene = Scene(workers=6, parallelism=2, suspend=True).pods(0).pods(1, gated=True)
    scene.job(2, completed=Indexes.parse("3-4"), failed=Indexes.parse("6"))
    [held] = scene.plan().status.held
    assert held.indexes == (1, 2, 5, 7, 8), "five workers are free"


def test_where_no_node_fits_there_are_the_pods_that_an_autoscaler_is_to_see():
    scene = Scene(workers=8)
    scene.store.nodes.drop("n")
    assert scene.asks_for() == 2


def test_more_workers_bring_more_pods():
    assert Scene(workers=7, parallelism=6).pods(0, 1, 2, 3, 4, 5).asks_for() == 7


def test_many_pods_are_asked_for_step_by_step():
    scene = Scene(workers=500, parallelism=16).pods(*range(16), gated=True)
    assert scene.asks_for() is None
    assert scene.pods(*range(7)).asks_for() is None
    assert scene.pods(7).asks_for() == 32, "8 are left"


def test_the_next_step_waits_until_the_last_one_was_made_or_an_eighth_of_a_second():
    scene = Scene(workers=500, parallelism=16)
    scene.plan()
    scene.tracked.work.on_job.raised_at = NOW - 0.1
    assert scene.asks_for() is None
    assert scene.asks_for(NOW + 0.1) == 32


def test_no_step_is_taken_from_what_the_job_had_before_the_last_one():
    """A watch may be behind: a step that is smaller than the last one would then take pods away unseen."""
    scene = Scene(workers=500, parallelism=16).pods(*range(16))
    scene.plan()
    scene.tracked.work.on_job = JobWork(raised_at=NOW - 1, parallelism=32)
    assert scene.asks_for() is None
    assert scene.asks_for(NOW + SEEN_SECONDS) == 32, "somebody else may have changed it"
    scene.job(32)
    assert scene.pods(*range(32)).asks_for() == 48


def test_clips_that_wait_for_another_try_do_not_keep_others_from_the_gate():
    scene = Scene(parallelism=4).pods(0, 1, 2, 3, gated=True)
    for index in range(4):
        failed = FailedPod(f"f-{index}", KEY, "job-1", index, ExitCode.OUT_OF_VRAM, "why", WALL, 1, disrupted=False)
        scene.store.failed.put(failed.uid, failed)
    assert scene.asks_for() == 8


class TestFewer:
    """Pods that wait at their gates for nothing are taken away, where that can do no harm."""

    @pytest.fixture
    def scene(self) -> Scene:
        """Three workers at work, and many pods at their gates: there were more workers before."""
        made = Scene(workers=3, parallelism=20).pods(0, 1, 2).pods(*range(3, 20), gated=True).ended()
        assert made.asks_for() is None, "not at once"
        return made

    def test_they_go_after_some_seconds(self, scene: Scene):
        assert scene.asks_for(NOW + parallelism.SURPLUS_SECONDS - 1) is None
        assert scene.asks_for(NOW + parallelism.SURPLUS_SECONDS) == 3

    def test_the_seconds_begin_anew_when_they_were_needed_meanwhile(self, scene: Scene):
        scene.ended(*[0.1] * 1000)
        assert scene.asks_for(NOW + 5) is None
        scene.ended()
        assert scene.asks_for(NOW + parallelism.SURPLUS_SECONDS) is None
        assert scene.asks_for(NOW + 2 * parallelism.SURPLUS_SECONDS) == 3

    def test_two_too_many_are_no_matter(self):
        scene = Scene(workers=3, parallelism=5).pods(0, 1, 2).pods(3, 4, gated=True).ended()
        assert [scene.asks_for(NOW + seconds) for seconds in (0, 100)] == [None, None]

    @pytest.mark.parametrize(
        ("why", "pod"),
        [
            ("the scheduler has it, and the Job controller would delete it", {"node": "", "began": None,
             "reported": Reported("Released", LONG_AGO)}),
            ("the Job controller may not know yet that it has a node", {
             "reported": Reported("Starting", WALL + parallelism.SURPLUS_SECONDS)}),
        ],
    )  # fmt: skip
    def test_none_goes_while_another_has_no_node_for_sure(self, scene: Scene, why: str, pod: dict[str, Any]):
        scene.pods(2, **pod)
        assert scene.asks_for(NOW + parallelism.SURPLUS_SECONDS) is None, why
        scene.pods(2)
        assert scene.asks_for(NOW + 2 * parallelism.SURPLUS_SECONDS) is None, "it has one just now"
        assert scene.asks_for(NOW + 2 * parallelism.SURPLUS_SECONDS + parallelism.SETTLED_SECONDS) == 3

    def test_none_goes_while_a_gate_is_being_taken_off(self, scene: Scene):
        scene.tracked.releases.released["u-3"] = ""
        assert scene.asks_for(NOW + parallelism.SURPLUS_SECONDS) is None

    def test_none_goes_while_a_clip_is_tried_again(self, scene: Scene):
        failed = FailedPod("f", KEY, "job-1", 3, ExitCode.OUT_OF_VRAM, "why", WALL, 1, disrupted=False)
        scene.store.failed.put(failed.uid, failed)
        assert scene.asks_for(NOW + parallelism.SURPLUS_SECONDS) is None

    def test_no_gate_is_taken_off_until_the_job_controller_is_done(self, scene: Scene):
        def lowering(now: float) -> bool:
            scene.plan(now)
            return scene.tracked.memory.rendering.lowering is not None

        assert not lowering(NOW)
        begun = NOW + parallelism.SURPLUS_SECONDS
        assert scene.asks_for(begun) == 3
        assert lowering(begun), "the Job is as it was"
        scene.job(3)
        assert lowering(begun + 1), "its pods are there"
        for index in range(3, 20):
            scene.store.pods.drop(f"u-{index}")
        assert not lowering(begun + 2)

    def test_a_job_controller_that_does_not_answer_stops_nothing_for_good(self, scene: Scene):
        begun = NOW + parallelism.SURPLUS_SECONDS
        assert scene.asks_for(begun) == 3
        scene.plan(begun + LOWERING_SECONDS)
        assert scene.tracked.memory.rendering.lowering is None


class TestQueue:
    """A queue gives room for as many pods as the Job has: what may run, from first to last."""

    def test_what_a_queue_gives_room_for_is_what_may_run(self):
        assert Scene(workers=3, queue="team").asks_for() == 3
        assert Scene(workers=50, parallelism=3, queue="team").asks_for() is None
        assert Scene(workers=1, parallelism=30, queue="team").asks_for() is None

    def test_a_queue_sees_a_job_that_wants_something_where_no_node_fits_yet(self):
        scene = Scene(workers=None, queue="team")
        scene.store.nodes.drop("n")
        assert scene.asks_for() == 2

    def test_a_job_is_made_when_it_is_known_how_many_may_run(self):
        scene = Scene(workers=None, queue="team", render={"device": "cuda"})
        scene.store.nodes.put("m", NodeView("node-2", 8, 0, {}, (), True))
        assert scene.asks_for() is None
        [held] = scene.plan().status.held
        assert held.hold.reason == "VRAMUnknown"
        assert held.hold.message.startswith("GPUs of node-1 are unknown (")
        assert "the queue has to be told how many pods may run" in held.hold.message
        gpus = [GpuId("node-1", number) for number in range(2)]
        scene.gpus.readings |= {gpu: reading(gpu, 0.1, at=NOW) for gpu in gpus}
        assert scene.asks_for() is None, "the other node may still report some"
        assert scene.asks_for(NOW + 59) is None
        assert scene.asks_for(NOW + 60) == 4

    @pytest.mark.parametrize(
        ("spec", "node", "pods"),
        [
            ({"workers": 3}, {}, 3),
            ({"vram": {"enabled": False}}, {"gpus": 1}, 2),
            ({"vram": {"enabled": False}}, {"gpus": 4, "labels": {"nvidia.com/gpu.replicas": "4"}}, 2),
            ({"vram": {"enabled": False}}, {}, None),
            ({"vram": {"whenUnknown": "Admit"}}, {}, None),
        ],
    )
    def test_where_gpus_are_unknown_it_goes_by_what_else_is_known(self, spec, node, pods):
        scene = Scene(queue="team", render={"device": "cuda"}, **({"workers": None} | spec))
        labels = node.get("labels", {})
        scene.store.nodes.put("n", NodeView("node-1", 8, node.get("gpus", 0), labels, (), True))
        assert scene.asks_for() == pods
        if pods is None:
            assert scene.asks_for(NOW + 60) == 6, "by its CPUs"

    def test_the_first_number_of_pods_goes_by_the_blocks_that_the_job_gets(self):
        # Two clips a pod for the 32 workers that are guessed before there is a node, and one for 200 workers.
        scene = Scene(256, workers=None, queue="team", render={"threads": 1, "clipsPerPod": None})
        scene.store.nodes.put("n", NodeView("node-1", 202, 0, {}, (), True))
        assert scene.tracked.memory.blocks.count == 128
        assert scene.asks_for() == 200

    def test_an_unqueued_job_need_not_wait(self):
        assert Scene(workers=None, render={"device": "cuda"}).asks_for() == 1
