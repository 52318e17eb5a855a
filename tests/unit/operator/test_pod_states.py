"""The state machine of a pod: what the API server holds, and the state, time and word that it stands for."""

from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.api import pod_views
from clipfarm.cluster.api.nodes import NodeView, node
from clipfarm.cluster.api.pod_states import ENDING_SECONDS, Reported, Silence, on_node, reported
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.manifests.common import Owner
from clipfarm.world import POD_STATES, World
from clipfarm_contract.environment import CLIP_PREPARING
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run

GATE = "clipfarm.dev/admission"
CREATED, RELEASED, SCHEDULED, TAKEN, BEGAN, ENDED, GONE = (f"2026-11-24T10:0{n}:00Z" for n in range(7))
PULL = 'failed to pull and unpack image "no/such:1": not found'
NO_ROOM = "0/3 nodes are available: 3 Insufficient cpu"

Container = dict[str, Any]


def container(name: str = "render", **state: Any) -> Container:
    return {"name": name, "state": state}


def waiting(reason: str, message: str = "", name: str = "render") -> Container:
    return container(name, waiting={"reason": reason} | ({"message": message} if message else {}))


def running(name: str = "render") -> Container:
    return container(name, running={"startedAt": BEGAN})


def terminated(code: int, name: str = "render", **fields: str) -> Container:
    return container(name, terminated={"exitCode": code, "finishedAt": ENDED} | fields)


def pod(
    *containers: Container,
    gates: tuple[str, ...] = (),
    on: str = "",
    scheduled: dict[str, str] | None = None,
    taken: bool = False,
    init: tuple[Container, ...] = (),
    deleted: bool = False,
    released_at: str = RELEASED,
    env: dict[str, list[dict[str, str]]] | None = None,
) -> dict[str, Any]:
    """Return a pod as the API server has it; one that a kubelet has taken up has containers, and a node."""
    metadata: dict[str, Any] = {"name": "p", "namespace": "ns", "uid": "u", "creationTimestamp": CREATED}
    metadata["annotations"] = {"clipfarm.dev/released-at": released_at} if released_at else {}
    if deleted:
        metadata |= {"deletionTimestamp": GONE, "deletionGracePeriodSeconds": 10}
    status: dict[str, Any] = {}
    on = on or ("node-1" if containers or taken else "")
    if on:
        scheduled = {"status": "True", "lastTransitionTime": SCHEDULED}
    if scheduled:
        status["conditions"] = [{"type": "PodScheduled"} | scheduled]
    if containers or taken:
        status |= {"startTime": TAKEN, "containerStatuses": list(containers), "initContainerStatuses": list(init)}
    spec: dict[str, Any] = {"schedulingGates": [{"name": name} for name in gates]} | ({"nodeName": on} if on else {})
    spec["containers"] = [{"name": name, "env": variables} for name, variables in (env or {}).items()]
    return {"metadata": metadata, "spec": spec, "status": status}


def unscheduled(reason: str, message: str = "") -> dict[str, Any]:
    return pod(scheduled={"status": "False", "reason": reason, "message": message, "lastTransitionTime": CREATED})


THREADS, PREPARING = {"name": "OMP_NUM_THREADS", "value": "2"}, {"name": CLIP_PREPARING, "value": "/tmp/file"}
SIDECAR, INIT_RUNS = running("istio-proxy"), container("istio-init", running={"startedAt": TAKEN})
CREATING, INITIALIZING = waiting("ContainerCreating"), waiting("PodInitializing")

TABLE = [
    ("its gate is on", pod(gates=(GATE,)), Reported("Gated", unix_time(CREATED))),
    ("its gate is on, beside another", pod(gates=("other", GATE)), Reported("Gated", unix_time(CREATED))),
    ("a gated pod is deleted", pod(gates=(GATE,), deleted=True), Reported("Gated", unix_time(CREATED))),
    ("the gate is off", pod(), Reported("Released", unix_time(RELEASED))),
    ("let go by an earlier version", pod(released_at=""), Reported("Released", None)),
    ("the annotation is somebody else's", pod(released_at="soon"), Reported("Released", None)),
    (
        "the scheduler has not looked at it yet",
        unscheduled("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
        Reported("Released", unix_time(RELEASED)),
    ),
    (
        "another's gate is on",
        pod(gates=("quota.example.com/a",)),
        Reported(
            "Released",
            unix_time(RELEASED),
            "SchedulingGated",
            "scheduling gates of others hold it: quota.example.com/a",
        ),
    ),
    (
        "no node has room",
        unscheduled("Unschedulable", NO_ROOM),
        Reported("Released", unix_time(RELEASED), "Unschedulable", NO_ROOM),
    ),
    *(
        (
            f"no node has room, and none is made: {rest}",
            unscheduled("Unschedulable", f"{NO_ROOM}.{rest}"),
            Reported("Released", unix_time(RELEASED), "Unschedulable", NO_ROOM),
        )
        for rest in (
            "",
            " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
            " no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found.",
            " not found",
        )
    ),
    (
        "the scheduler fails",
        unscheduled("SchedulerError", "no such volume"),
        Reported("Released", unix_time(RELEASED), "SchedulerError", "no such volume"),
    ),
    ("a node has it, its kubelet does not", pod(on="node-1"), Reported("Bound", unix_time(SCHEDULED))),
    ("the kubelet has it", pod(taken=True), Reported("Starting", unix_time(TAKEN))),
    ("its container is created", pod(CREATING), Reported("Starting", unix_time(TAKEN))),
    (
        "the image is not found",
        pod(waiting("ErrImagePull", PULL)),
        Reported("Starting", unix_time(TAKEN), "ImagePullBackOff", PULL),
    ),
    (
        "and is not found again",
        pod(waiting("ImagePullBackOff", f'Back-off pulling image "no/such:1": ErrImagePull: {PULL}')),
        Reported("Starting", unix_time(TAKEN), "ImagePullBackOff", PULL),
    ),
    (
        "as an older kubelet says it",
        pod(waiting("ImagePullBackOff", 'Back-off pulling image "no/such:1"')),
        Reported("Starting", unix_time(TAKEN), "ImagePullBackOff", 'Back-off pulling image "no/such:1"'),
    ),
    *(
        (
            reason,
            pod(waiting(reason, "what the kubelet says")),
            Reported("Starting", unix_time(TAKEN), reason, "what the kubelet says"),
        )
        for reason in (
            "ErrImageNeverPull",
            "InvalidImageName",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        )
    ),
    (
        "an injected init container runs on and on",
        pod(INITIALIZING, init=(INIT_RUNS,)),
        Reported("Starting", unix_time(TAKEN), "Initializing", "the init container istio-init has not finished"),
    ),
    (
        "an injected init container's image is not found",
        pod(INITIALIZING, init=(waiting("ErrImagePull", PULL, "istio-init"),)),
        Reported("Starting", unix_time(TAKEN), "ImagePullBackOff", f"the init container istio-init: {PULL}"),
    ),
    (
        "an injected init container failed",
        pod(INITIALIZING, init=(terminated(3, "istio-init"),)),
        Reported("Starting", unix_time(TAKEN), "InitFailed", "the init container istio-init ended with 3"),
    ),
    (
        "a native sidecar that has started hides nothing",
        pod(CREATING, init=(INIT_RUNS | {"started": True},)),
        Reported("Starting", unix_time(TAKEN)),
    ),
    (
        "an injected sidecar's image is not found",
        pod(CREATING, waiting("ErrImagePull", PULL, "istio-proxy")),
        Reported("Starting", unix_time(TAKEN), "ImagePullBackOff", f"the container istio-proxy: {PULL}"),
    ),
    (
        "a sidecar that runs does not hide a renderer that cannot start",
        pod(SIDECAR, waiting("CreateContainerError", "no such device")),
        Reported("Starting", unix_time(TAKEN), "CreateContainerError", "no such device"),
    ),
    ("the renderer runs", pod(running()), Reported("Working", unix_time(BEGAN))),
    (
        "it is ready",
        pod(running() | {"ready": True}, env={"render": [PREPARING]}),
        Reported("Working", unix_time(BEGAN)),
    ),
    (
        "it compiles kernels first",
        pod(running() | {"ready": False}, env={"render": [THREADS, PREPARING]}),
        Reported("Working", unix_time(BEGAN), "CompilingKernels", "compiling kernels for the GPU of node-1, once"),
    ),
    (
        "a renderer that compiles none is not ready",
        pod(running() | {"ready": False}, env={"render": [THREADS]}),
        Reported("Working", unix_time(BEGAN)),
    ),
    (
        "the variable is a sidecar's",
        pod(running() | {"ready": False}, env={"istio-proxy": [PREPARING], "render": []}),
        Reported("Working", unix_time(BEGAN)),
    ),
    (
        "a sidecar is not ready",
        pod(running(), running("istio-proxy") | {"ready": False}, env={"render": [PREPARING]}),
        Reported("Working", unix_time(BEGAN)),
    ),
    (
        "the renderer runs beside a sidecar that crashes",
        pod(waiting("CrashLoopBackOff", "", "istio-proxy"), running()),
        Reported("Working", unix_time(BEGAN)),
    ),
    ("the renderer has ended", pod(terminated(0)), Reported("Ending", unix_time(ENDED))),
    (
        "the renderer has ended beside a container that lives",
        pod(SIDECAR, terminated(2)),
        Reported(
            "Ending",
            unix_time(ENDED),
            "SidecarRuns",
            "its container render ended with 2, but the container istio-proxy keeps the pod alive",
        ),
    ),
    (
        "it is deleted while it renders",
        pod(running(), deleted=True),
        Reported("Ending", unix_time(GONE) - 10, "Deleted", "it is being deleted"),
    ),
]


@pytest.mark.parametrize(("manifest", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_the_api_server_holds_of_a_pod_is_one_state_with_its_time_and_word(manifest, expected):
    assert reported(manifest, "render") == expected


def test_the_table_knows_every_state_that_a_pods_own_object_can_have():
    assert {row[2].state for row in TABLE} == set(POD_STATES) - {"Lost"}


CRASHED = {"exitCode": 1, "message": "loading weights\nno such file: /clips/vitl.pt\n", "reason": "Error"}
CRASHED_WORD = ("CrashLoopBackOff", "ended with 1: no such file: /clips/vitl.pt")


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([container("encode", terminated=CRASHED)], Reported("Starting", unix_time(TAKEN), *CRASHED_WORD)),
        (
            [SIDECAR, waiting("CrashLoopBackOff", "back-off 40s", "encode") | {"lastState": {"terminated": CRASHED}}],
            Reported("Starting", unix_time(TAKEN), *CRASHED_WORD),
        ),
        ([SIDECAR, running("encode")], Reported("Working", unix_time(BEGAN))),
        ([running("encode") | {"ready": False}], Reported("Working", unix_time(BEGAN))),
    ],
)
def test_an_encoder_that_ends_is_started_again_and_says_how_it_ended(containers, expected):
    assert reported(pod(*containers), "encode", restarts=True) == expected


SILENT_WORD = ("NodeSilent", "the node node-1 does not answer")


ENDS = Reported("Ending", 5.0, "Deleted", "it is being deleted")
ENDS_SILENTLY = Reported("Ending", 5.0, *SILENT_WORD)
LOST = Reported("Lost", None, "NodeLost", "the node node-1 does not answer, and cannot end it")


@pytest.mark.parametrize(
    ("found", "silence", "ending", "expected"),
    [
        (Reported("Working", 5.0), None, 0.0, Reported("Working", 5.0)),
        (Reported("Bound", 5.0), Silence(1.0), 0.0, Reported("Bound", 5.0, *SILENT_WORD)),
        (Reported("Starting", 5.0), Silence(1.0), 0.0, Reported("Starting", 5.0, *SILENT_WORD)),
        (Reported("Working", 5.0), Silence(1000.0), 0.0, Reported("Working", 5.0, *SILENT_WORD)),
        (ENDS, None, 1000.0, ENDS),
        (ENDS, Silence(299.0), 299.0, ENDS_SILENTLY),
        (ENDS, Silence(300.0), 60.0, LOST),
        (ENDS, Silence(1000.0), 0.0, ENDS_SILENTLY),  # deleted just now, on a node that has long been silent
        (ENDS, Silence(1000.0), 59.0, ENDS_SILENTLY),
        (ENDS, Silence(1000.0), 60.0, LOST),
        (ENDS, Silence(1000.0, reports=True), 299.0, ENDS_SILENTLY),  # its kubelet lives, and may end it
        (ENDS, Silence(299.0, reports=True), 300.0, ENDS_SILENTLY),
        (ENDS, Silence(300.0, reports=True), 300.0, LOST),
        (Reported("Ending", 5.0), Silence(1000.0), 1000.0, ENDS_SILENTLY),
        (Reported("Released", 5.0), Silence(1000.0), 0.0, Reported("Released", 5.0)),
    ],
)
def test_a_pod_is_lost_when_its_node_has_been_silent_for_long_and_had_time_to_end_it(found, silence, ending, expected):
    assert on_node(found, "node-1", silence, 300.0, ending) == expected


@pytest.mark.parametrize(("lost_after", "reports"), [(0.0, False), (0.0, True), (10.0, True)])
def test_a_pod_has_its_grace_however_short_the_run_waits_for_nodes(lost_after, reports):
    silence = Silence(1000.0, reports=reports)
    assert on_node(ENDS, "node-1", silence, lost_after, ENDING_SECONDS - 1) == ENDS_SILENTLY
    assert on_node(ENDS, "node-1", silence, lost_after, ENDING_SECONDS) == LOST


@pytest.mark.parametrize(
    ("conditions", "since", "reports"),
    [
        ([], None, False),
        ([{"type": "Ready", "status": "True", "lastTransitionTime": TAKEN}], None, False),
        ([{"type": "Ready", "status": "Unknown", "lastTransitionTime": TAKEN}], unix_time(TAKEN), False),
        ([{"type": "Ready", "status": "False", "lastTransitionTime": TAKEN}], unix_time(TAKEN), True),
        ([{"type": "MemoryPressure", "status": "False", "lastTransitionTime": TAKEN}], None, False),
    ],
)
def test_a_node_is_silent_since_it_is_no_longer_ready_and_reports_that_itself_where_its_kubelet_lives(
    conditions, since, reports
):
    found = node({"metadata": {"name": "n"}, "status": {"conditions": conditions}})
    assert (found.silent_since, found.reports) == (since, reports)


KEY, NOW, WALL = ("ns", "test"), 1000.0, 1.8e9


class Scene:
    """A run whose pod is on a node."""

    def __init__(self) -> None:
        run = make_run(storage={"claimName": "clips"})
        self.store, self.tracked = Store(), Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {})
        self.silent(None)
        job = JobView(KEY, "job-1", "run-1", 4, suspended=False, deleting=False, attempt="",
                      completed=Indexes(), failed=Indexes())  # fmt: skip
        self.store.jobs.put("job-1", job)

    def silent(self, since: float | None, *, reports: bool = False) -> None:
        view = NodeView("node-1", 8, 0, {}, (), True, silent_since=since, reports=reports)
        self.store.nodes.put("node-1", view)

    def pod(self, found: Reported, *, deleting: bool = False) -> None:
        view = pod_views.PodView("p", "u", KEY, "job-1", 0, None, "node-1", None, found, deleting=deleting)
        self.store.pods.put("u", view)

    def look(self, now: float, wall: float | None = None) -> World:
        return look(self.tracked, Seen(self.store, Gpus(), now, WALL + now - NOW if wall is None else wall))


def test_what_happened_before_the_operator_looked_has_its_age_and_what_it_sees_happens_now():
    scene = Scene()
    scene.pod(Reported("Starting", WALL - 90))
    assert scene.look(NOW).running[0].standing.since == NOW - 90
    scene.pod(Reported("Starting", WALL - 90, "ImagePullBackOff", "not found"))
    [pod] = scene.look(NOW + 5).running
    assert (pod.since, pod.standing.reason) == (NOW - 90, "ImagePullBackOff"), "another word is no other state"
    scene.pod(Reported("Working", WALL + 4000))
    assert scene.look(NOW + 10).running[0].since == NOW + 10, "the node's clock is not asked"


def test_a_pod_on_a_node_that_stays_silent_is_lost_and_takes_no_worker():
    scene = Scene()
    scene.pod(Reported("Working", WALL))
    scene.look(NOW)
    scene.silent(WALL + 10)
    assert scene.look(NOW + 10).running[0].standing.reason == "NodeSilent"
    scene.pod(Reported("Ending", WALL + 100, "Deleted", "it is being deleted"), deleting=True)
    for seconds in (100, 309):
        assert [pod.state for pod in scene.look(NOW + seconds).running] == ["Ending"]
    world = scene.look(NOW + 310)
    assert (world.running, [pod.state for pod in world.lost]) == ((), ["Lost"])
    assert scene.tracked.memory.pods["Lost"] == 1
    scene.silent(None)
    assert [pod.state for pod in scene.look(NOW + 320).running] == ["Ending"], "the node came back, and ends it"


def test_a_pod_that_is_deleted_on_a_node_that_has_long_been_silent_has_its_grace_and_stays_lost():
    scene = Scene()
    scene.pod(Reported("Working", WALL))
    scene.silent(WALL - 4000)
    scene.look(NOW)
    scene.pod(Reported("Ending", WALL, "Deleted", "it is being deleted"), deleting=True)
    for seconds in (1, 1 + ENDING_SECONDS - 1):
        assert [pod.state for pod in scene.look(NOW + seconds).running] == ["Ending"], seconds
    for seconds in (1 + ENDING_SECONDS, 2 + ENDING_SECONDS):
        assert [pod.state for pod in scene.look(NOW + seconds).lost] == ["Lost"], seconds


def test_a_kubelet_that_reports_that_its_node_is_not_ready_has_as_long_to_end_a_pod():
    scene = Scene()
    scene.pod(Reported("Working", WALL))
    scene.silent(WALL - 4000, reports=True)
    scene.look(NOW)
    scene.pod(Reported("Ending", WALL, "Deleted", "it is being deleted"), deleting=True)
    for seconds in (1, 300):
        assert [pod.state for pod in scene.look(NOW + seconds).running] == ["Ending"], seconds
    assert [pod.state for pod in scene.look(NOW + 301).lost] == ["Lost"]


def test_a_node_that_is_gone_is_silent():
    scene = Scene()
    scene.pod(Reported("Ending", WALL, "Deleted", "it is being deleted"), deleting=True)
    scene.look(NOW)
    scene.store.nodes.drop("node-1")
    assert scene.look(NOW + 1).running[0].standing.reason == "NodeSilent"
    assert scene.look(NOW + 301).lost[0].standing.reason == "NodeLost"


def test_states_of_pods_are_counted():
    scene = Scene()
    scene.pod(Reported("Working", WALL))
    view = scene.store.pods.of(KEY)["u"]
    scene.store.pods.put("v", replace(view, uid="v", gate=0, node="", reported=Reported("Gated", WALL)))
    scene.look(NOW)
    assert scene.tracked.memory.pods == {"Working": 1, "Gated": 1}


def test_the_word_is_the_pods_until_it_says_another_or_works():
    scene = Scene()
    scene.pod(Reported("Starting", WALL))
    scene.look(NOW)
    scene.tracked.answers.words["u"] = ("FailedMount", "no such share")
    assert scene.look(NOW + 1).running[0].standing.reason == "FailedMount"
    scene.pod(Reported("Starting", WALL, "CreateContainerError", "no such device"))
    assert scene.look(NOW + 2).running[0].standing.reason == "CreateContainerError"
    assert scene.tracked.answers.words == {}
    scene.tracked.answers.words["u"] = ("FailedMount", "no such share")
    scene.pod(Reported("Working", WALL))
    assert scene.look(NOW + 3).running[0].standing.reason == ""
    scene.tracked.answers.words["u"] = ("FailedMount", "no such share")
    scene.store.pods.drop("u")
    scene.look(NOW + 4)
    scene.look(NOW + 5)
    assert scene.tracked.answers.words == {}
