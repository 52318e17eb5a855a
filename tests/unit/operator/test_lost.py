"""Pods on a node that does not answer: they are given up, and people are told which node it was."""

import asyncio
from typing import Any

from clipfarm.cluster.acting.apply import Applier
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.acting.changes import changes
from clipfarm.cluster.api.client import STRATEGIC_PATCH
from clipfarm.cluster.api.errors import ApiError
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.node_condition import node_lost
from clipfarm.cluster.reporting.status import run_status
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import Plan, decide
from clipfarm.manifests.common import Images, Owner
from clipfarm.world import World
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run

KEY, NOW, WALL = ("ns", "test"), 1000.0, 1.8e9
DELETED = Reported("Ending", WALL - 100, "Deleted", "it is being deleted")


class Scene:
    """A run of one worker whose pod is being deleted on a node, and a clip that waits."""

    def __init__(self, **retry: Any) -> None:
        run = make_run(4, workers=1, storage={"claimName": "clips"}, retry=retry)
        self.store, self.tracked = Store(), Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {})
        self.tracked.answers.claim = "Bound"
        job = JobView(KEY, "job-1", "run-1", 4, suspended=False, deleting=False, attempt="",
                      completed=Indexes(), failed=Indexes())  # fmt: skip
        self.store.jobs.put("job-1", job)
        for name in ("a", "b"):
            self.node(name)
        self.pod(0, "a")
        self.store.pods.put("g", PodView("g", "g", KEY, "job-1", 3, 0, "", None, Reported("Gated", WALL)))

    def node(self, name: str, silent_since: float | None = None) -> None:
        self.store.nodes.put(name, NodeView(name, 8, 0, {}, (), True, silent_since=silent_since))

    def pod(self, index: int, node: str, reported: Reported = DELETED) -> None:
        uid = f"u-{index}"
        view = PodView(f"p-{index}", uid, KEY, "job-1", index, None, node, None, reported, deleting=True)
        self.store.pods.put(uid, view)

    def tick(self, now: float) -> tuple[World, Plan, list[Change]]:
        seen = Seen(self.store, Gpus(), now, WALL + now - NOW)
        world = look(self.tracked, seen)
        plan = decide(self.tracked.run, world)
        found = changes(plan, self.tracked, seen, Images())
        return world, plan, [change for change in found if change.verb == "give up"]

    def status(self, now: float) -> dict[str, Any]:
        world, plan, _ = self.tick(now)
        return run_status(self.tracked, world, plan, WALL)


class Server:
    """An API server that takes requests down."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self._refuses = refuses

    async def patch(self, path: str, body: Any, kind: str) -> None:
        self.requests.append((f"PATCH {kind}", path, body))
        if self._refuses:
            raise ApiError(403, "pods/status is forbidden")

    async def delete(self, path: str, uid: str, *, grace: int | None = None) -> None:
        self.requests.append(("DELETE", path, (uid, grace)))

    async def create(self, path: str, body: Any) -> None:
        self.requests.append(("POST", path, body))


def carry_out(server: Server, scene: Scene, found: list[Change]) -> None:
    async def work() -> None:
        Applier(server, lambda: 0.0, lambda: WALL).apply(scene.tracked, found, None, expired=False)
        await scene.tracked.work.doing

    asyncio.run(work())


def test_a_lost_pod_is_given_up_once_and_its_worker_is_free_at_once():
    scene = Scene()
    scene.tick(NOW)
    scene.node("a", WALL)
    _, plan, found = scene.tick(NOW + 1)
    assert (plan.start, found) == ((), []), "its node may come back"
    world, plan, [change] = scene.tick(NOW + 301)
    assert [start.index for start in plan.start] == [3]
    assert [pod.index for pod in world.lost] == [0]
    assert change.body == {"uid": "u-0", "node": "a"}
    assert change.event.reason == "NodeLost"
    assert change.event.message.startswith("the node a did not answer for 5m 00s (retry.lostAfter): 1 pod there was")
    carry_out(Server(), scene, [change])
    assert scene.tick(NOW + 302)[2] == [], "a watch will show that it is gone"


def test_it_is_marked_as_failed_by_a_disruption_and_then_deleted_as_this_very_pod_alone():
    scene = Scene()
    scene.node("a", WALL - 400)
    server = Server()
    carry_out(server, scene, scene.tick(NOW)[2])
    (patch, where, body), (delete, _, options), event = server.requests
    assert (patch, where) == (f"PATCH {STRATEGIC_PATCH}", "/api/v1/namespaces/ns/pods/p-0/status")
    assert body["metadata"] == {"uid": "u-0"}
    assert body["status"]["phase"] == "Failed"
    [condition] = body["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("DisruptionTarget", "True")
    assert (delete, options) == ("DELETE", ("u-0", 0))
    assert event[2]["reason"] == "NodeLost"


def test_a_pod_whose_end_cannot_be_written_is_not_deleted():
    """Without an end the Job would wait for it for ever."""
    scene = Scene()
    scene.node("a", WALL - 400)
    server = Server(refuses=True)
    carry_out(server, scene, scene.tick(NOW)[2])
    assert [request[0] for request in server.requests] == [f"PATCH {STRATEGIC_PATCH}"]
    assert scene.tracked.work.problem == "cannot give up the Pod p-0: pods/status is forbidden"
    assert len(scene.tick(NOW + 1)[2]) == 1, "it is tried again"


def test_lost_after_is_the_runs_own():
    scene = Scene(lostAfter="10s")
    scene.tick(NOW)
    scene.node("a", WALL)
    scene.tick(NOW + 1)
    assert scene.tick(NOW + 10)[2] == []
    assert len(scene.tick(NOW + 11)[2]) == 1


def test_of_a_node_with_several_pods_people_are_told_once():
    scene = Scene()
    scene.pod(1, "a")
    scene.pod(2, "b")
    for name in ("a", "b"):
        scene.node(name, WALL - 400)
    told = [change.event.message for change in scene.tick(NOW)[2] if change.event]
    assert len(told) == 2
    assert "2 pods there were given up" in told[0]


def test_the_condition_is_there_until_the_node_answers_or_is_gone():
    for end in ("answers", "gone"):
        scene = Scene()
        scene.node("a", WALL - 400)
        carry_out(Server(), scene, scene.tick(NOW)[2])
        scene.store.pods.drop("u-0")
        conditions = {entry["type"]: entry for entry in scene.status(NOW + 1)["conditions"]}
        assert conditions["NodeLost"]["status"] == "True"
        assert "`kubectl delete node a`" in conditions["NodeLost"]["message"]
        lost_on, lost_after = scene.tracked.memory.rendering.lost_on, scene.tracked.run.spec.retry.lost_after
        assert conditions["NodeLost"]["message"] == node_lost(lost_on, lost_after)[2]
        scene.node("a") if end == "answers" else scene.store.nodes.drop("a")
        assert "NodeLost" not in {entry["type"] for entry in scene.status(NOW + 2)["conditions"]}


def test_a_pod_that_is_given_up_tells_nothing_of_gpu_memory():
    scene = Scene()
    scene.node("a", WALL - 400)
    scene.tick(NOW)
    scene.store.pods.drop("u-0")
    assert scene.tick(NOW + 1)[0].departed == ()
