"""Pods that do not start working: which a person hears of, since when, and in whose words."""

import pytest

from clipfarm.decide import starting
from clipfarm.decide.plan import decide
from clipfarm.world import Encoder, Encoding, Running, Standing
from helpers.runs import NODE, make_run, make_world

NOW = 1000.0
LATE = NOW - starting.SLOW_SECONDS
PULL = ("ImagePullBackOff", "no/such:1: not found")


def pod(state: str, since: float = NOW, reason: str = "", message: str = "", clip: int = 0) -> Running:
    return Running(clip, NODE, None, None, f"p-{clip}", Standing(state, since, reason, message))


SLOW = [
    (pod("Released"), False),
    (pod("Released", LATE + 1), False),
    (pod("Released", LATE), True),
    (pod("Bound", LATE), True),
    (pod("Starting", LATE + 1, *PULL), False),
    (pod("Starting", LATE), True),
    (pod("Working", 0.0), False),
    (pod("Working", 0.0, "NodeSilent", "the node a does not answer"), True),
    (pod("Ending", 0.0, "Deleted", "it is being deleted"), False),
    (pod("Ending", LATE, "SidecarRuns", "a sidecar keeps it alive"), True),
    (pod("Ending", NOW, "SidecarRuns", "a sidecar keeps it alive"), False),
    (pod("Lost", NOW, "NodeLost", "the node a does not answer"), True),
]


@pytest.mark.parametrize(("running", "slow"), SLOW)
def test_a_pod_is_slow_after_two_minutes_and_a_lost_one_at_once(running, slow):
    assert starting.is_slow(running, NOW) is slow


COMPILES = ("CompilingKernels", "compiling kernels for the GPU of a, once")


@pytest.mark.parametrize("age", [starting.READY_SECONDS - 1, starting.READY_SECONDS, 600.0])
def test_a_pod_that_compiles_kernels_is_said_to_after_its_first_probe_and_is_no_trouble(age):
    run = make_run(render={"device": "cuda"})
    running = (pod("Working", NOW - age, *COMPILES), pod("Working", 0.0, clip=1))
    world = make_world(run, running=running, waiting=())
    found = starting.held(world)
    if age < starting.READY_SECONDS:
        assert found == ()
    else:
        [held] = found
        assert (held.hold.reason, held.indexes) == ("CompilingKernels", (0,))
        assert held.hold.message.startswith("1 pod: compiling kernels for the GPU of a, once; a render image with")
    assert starting.troubles(running, NOW) == ()
    assert not starting.is_slow(running[0], NOW)
    status = decide(run, world).status
    assert (status.phase, status.working) == ("Running", 1)


@pytest.mark.parametrize(
    ("running", "told"),
    [
        (pod("Released", NOW - 1, "Unschedulable", "0/1 nodes"), False),
        (pod("Released", NOW - starting.ROOM_SECONDS, "Unschedulable", "0/1 nodes"), True),
        (pod("Starting", NOW, *PULL), True),
        (pod("Starting", NOW - 30), False),
    ],
)
def test_a_pod_has_some_seconds_to_find_room_before_that_is_reported(running, told):
    assert bool(starting.troubles([running], NOW)) is told


@pytest.mark.parametrize(
    ("running", "reason", "message"),
    [
        (
            pod("Released", LATE, "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu"),
            "Unschedulable",
            "1 pod has been Released for more than 2 minutes: 0/3 nodes are available: 3 Insufficient cpu;"
            " add a node, or ask for less",
        ),
        (
            pod("Starting", LATE, *PULL),
            "ImagePullBackOff",
            "1 pod has been Starting for more than 2 minutes: ImagePullBackOff: no/such:1: not found;"
            " check the image's name, its registry, and imagePullSecrets",
        ),
        (
            pod("Starting", LATE, "SomethingNew", "of a later kubelet"),
            "PodsWait",
            "1 pod has been Starting for more than 2 minutes: SomethingNew: of a later kubelet",
        ),
        (
            pod("Bound", LATE),
            "SlowStart",
            "1 pod has been Bound for more than 2 minutes: neither the scheduler nor the kubelet says why",
        ),
        (pod("Lost", NOW, "NodeLost", "the node a does not answer"), "NodeLost", "1 pod: the node a does not answer"),
    ],
)
def test_what_holds_it_is_said_in_the_words_of_the_scheduler_or_the_kubelet(running, reason, message):
    world = make_world(make_run(), now=NOW, running=(running,))
    [held] = starting.held(world)
    assert (held.hold.reason, held.hold.message, held.indexes) == (reason, message, (0,))


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('0/2 nodes are available: persistentvolumeclaim "clips" not found', "create the volume claim"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims", "no volume is there"),
        ("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)", "add a node, or ask"),
        ("0/2 nodes are available: 2 node(s) had untolerated taint {gpu: yes}", "add a toleration"),
        (
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector",
            "compare the run",
        ),
        ("0/2 nodes are available: something new", ""),
    ],
)
def test_what_the_scheduler_says_decides_what_to_do(message, hint):
    said = starting.sentence(Standing("Released", NOW, "Unschedulable", message))
    assert said.startswith(f"{message}; {hint}" if hint else message)
    assert (said == message) is not bool(hint)


def test_clips_are_listed_by_reason_and_the_one_that_waits_longest_speaks_for_all():
    pods = [
        pod("Starting", LATE, "ErrImageNeverPull", "not here", clip=3),
        pod("Starting", LATE - 60, *PULL, clip=2),
        pod("Starting", LATE, "ImagePullBackOff", "another sentence", clip=1),
        pod("Working", 0.0, clip=4),
    ]
    found = starting.held(make_world(make_run(), now=NOW, running=tuple(pods)))
    assert {held.hold.reason: held.indexes for held in found} == {"ErrImageNeverPull": (3,), "ImagePullBackOff": (1, 2)}
    assert found[1].hold.message.startswith(
        "2 pods have been Starting for more than 2 minutes: ImagePullBackOff: no/such:1"
    )


ENCODE = {"encode": {"weights": {"source": "random"}}}
HELD, AT_WORK = {"suspend": False, "vram": {"whenUnknown": "Hold"}, "render": {"device": "cuda"}}, pod("Working", 0.0)
BAD = pod("Starting", NOW, *PULL, clip=1)
ALL = {"rendered": 4, "waiting": ()}
PULLS, LOADS = Encoder("e", Standing("Starting", NOW, *PULL)), Encoder("e", Standing("Working", NOW))

PHASES = [
    ("pods are on their way", {}, {"running": (pod("Starting"),)}, "Running"),
    ("its node is silent", {}, {"running": (pod("Working", 0.0, "NodeSilent", "x"),)}, "Waiting"),
    ("one is at work, another cannot start", {}, {"running": (AT_WORK, BAD)}, "Running"),
    ("none can start", {}, {"running": (BAD,)}, "Waiting"),
    ("one has not started for long", {}, {"running": (pod("Starting", LATE),)}, "Waiting"),
    ("all are lost", {}, {"lost": (pod("Lost", NOW, "NodeLost", "x"),), "waiting": ()}, "Waiting"),
    ("a rule holds all", HELD, {}, "Waiting"),
    ("a rule holds, one is at work", HELD, {"running": (AT_WORK,)}, "Running"),
    ("a rule holds, one is on its way", HELD, {"running": (pod("Released"),)}, "Running"),
    ("none can start, the encoder encodes", ENCODE,
     {"rendered": 1, "running": (BAD,), "encoding": Encoding(1, pods=(LOADS,))}, "Running"),
    ("none can start, the encoder has caught up", ENCODE,
     {"rendered": 1, "running": (BAD,), "encoding": Encoding(1, 1, pods=(LOADS,))}, "Waiting"),
    ("the encoder is at work", ENCODE, {**ALL, "encoding": Encoding(1, pods=(LOADS,))}, "Encoding"),
    ("the encoder is on its way", ENCODE, ALL, "Encoding"),
    ("the encoder cannot start", ENCODE, {**ALL, "encoding": Encoding(pods=(PULLS,))}, "Waiting"),
    ("one of two encoders cannot start", ENCODE, {**ALL, "encoding": Encoding(1, pods=(LOADS, PULLS))}, "Encoding"),
    ("all is done", {}, ALL, "Succeeded"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "world", "phase"), [row[1:] for row in PHASES], ids=[row[0] for row in PHASES])
def test_a_run_waits_when_nothing_runs_and_something_holds_it(spec, world, phase):
    run = make_run(4, workers=4 if "running" not in world else len(world["running"]) + 1, **spec)
    made = make_world(run, **({"now": NOW, "waiting": (2, 3) if spec is HELD else ()} | world))
    assert decide(run, made).status.phase == phase


def test_a_suspended_run_is_suspended_and_does_not_wait():
    run = make_run(4, suspend=True)
    assert decide(run, make_world(run, waiting=(0,))).status.phase == "Suspended"
