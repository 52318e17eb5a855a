"""Who starts and who waits: each rule alone, then all of them over the whole of a world."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm.decide.plan import decide
from clipfarm.decide.rules.rule import NoPlaceRule
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.decide.rules.table import Reason
from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.others import NONE, of
from clipfarm.decide.vram.place import OnNode, Place
from clipfarm.decide.workers import workers as settled
from clipfarm.run import default_workers
from clipfarm.world import ClipMemory, Ended, Holder, Neighbours, Node, NodeKind, Running, WatermarkState
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import GPU0, GPU1, NODE, make_run, make_world, reading

HERE = Node(NODE, 8, (GPU0,))
PAIR = (GPU0, GPU1)


def running(*clips, gpu=None, started_at=0.0):
    return tuple(Running(clip, NODE, gpu, started_at) for clip in clips)


def admit(run, **world):
    return decide(run, make_world(run, **world))


def started(plan):
    return [start.index for start in plan.start]


def reasons(plan):
    return {held.hold.reason: held.indexes for held in plan.status.held}


def gpu_at(used=None, gpu=GPU0, *, closed=False, holders=(), neighbours=None):
    """Return the state of a GPU with this fraction in use (None: unknown)."""
    found = replace(reading(gpu, used), holders=holders) if used is not None else None
    return WatermarkState(gpu, closed, found, "" if found else "no reading yet", neighbours)


def place(
    *states,
    seen=0,
    unseen=0,
    sharing="Chosen",
    room=None,
    limit="",
    unseen_pods="",
    taken=0,
    waits="",
    ran_out=False,
    last=0,
    gone=0,
    gpu=True,
    others=NONE,
    kept="",
):
    """Return a place of 10,000 MiB a GPU, with pods of this run that a reading shows, and such that it does not."""
    pods = seen + unseen
    count = Counts(pods, unseen, gone, proven=seen, ran_out=ran_out, last_attempts=last)
    node = Node(NODE, 8, PAIR, sharing=sharing, room=room, room_limit=limit, unseen=unseen_pods)
    return Place(node, states, gpu, count, OnNode(pods, taken, waits), others, kept)


def situation(at_work=0, workers=4, fatal="", per_clip=None, wall=0.0, **spec):
    run = make_run(**spec)
    return Situation(run, make_world(run, wall=wall), workers, fatal, at_work, per_clip)


def full_disk(free, *, clip, at_work):
    found = situation(at_work)
    return replace(found, world=replace(found.world, free_bytes=free, clip_bytes=clip))


def on_kind(kind):
    found = situation()
    return replace(found, world=replace(found.world, node_kind=kind))


CUDA = {"render": {"device": "cuda"}}
ADMIT = {"vram": {"whenUnknown": "Admit"}}
OFF = {"vram": {"enabled": False}}
NOW = Candidate(1)

# reason, candidate, situation, the beginning of the hold's message (None: no hold)
CLIP_TABLE = [
    ("Fatal", NOW, situation(), None),
    ("Fatal", NOW, situation(fatal="refused"), "refused"),
    ("Suspended", NOW, situation(), None),
    ("Suspended", NOW, situation(suspend=True), "spec.suspend is true"),
    ("RetryDelay", NOW, situation(), None),
    ("RetryDelay", Candidate(1, due=1000.0), situation(), None),
    ("RetryDelay", Candidate(1, due=1000.1), situation(), "ended with 2, which the contract keeps for GPU memory;"),
    ("RetryDelay", Candidate(1, due=1000.1), situation(**CUDA), "ran out of GPU memory; starts again"),
    ("WorkersBusy", NOW, situation(3), None),
    ("WorkersBusy", NOW, situation(4), "4 of 4 workers are busy"),
    ("NodeKind", NOW, situation(), None),
    ("NodeKind", NOW, on_kind(NodeKind((("kind", "a"),))), None),
    ("NodeKind", NOW, on_kind(NodeKind((), "node a has no label")), "node a has no label"),
    ("StorageFull", NOW, situation(), None),
    ("StorageFull", NOW, full_disk(3000, clip=1000, at_work=2), None),
    (
        "StorageFull",
        NOW,
        full_disk(2999, clip=1000, at_work=2),
        "2.9 KiB left for clips of up to 1000 B; free some space",
    ),
]


def known(most, mean=None, average=0.0, deviation=math.inf):
    mean = most if mean is None else mean
    return situation(per_clip=Expected(most, mean, average, 5.0, deviation=deviation))


SPREAD = known(1500, 1200, 900.0, 220.0)
NEIGHBOURS = Neighbours(990.0, ((990.0, 1000.0),))  # 1,000 MiB at all times
CALM = Neighbours(990.0, ((990.0, 0.0),))
LARGE = known(4000, 3300, 2600.0, 400.0)
BURSTS = replace(NEIGHBOURS, bursts=((500.0, 3000.0), (700.0, 2500.0)))  # and 3,000 MiB at times
ENCODER = (Holder("lab/friction-encode", 5.5 * 1024), Holder("python (pid 4711)"))

SIZED, UNSIZED = Expected(1000, 1000), None


def theirs(per_clip=SIZED, *, seen=0, unseen=0, gone=0, ran_out=False):
    """Return clips of another run on the GPU."""
    return of(Counts(seen + unseen, unseen, gone, float(seen + gone), ended=gone, ran_out=ran_out), per_clip)


# reason, place, situation, the beginning of the hold's message (None: no hold)
PLACE_TABLE = [
    ("NodesFull", place(gpu_at(0.1), seen=3), situation(), None),
    ("NodesFull", place(gpu_at(0.1), seen=3, room=4), situation(), None),
    ("NodesFull", place(gpu_at(0.1), seen=3, room=3), situation(), "here has room for 3 clips of this run"),
    ("NodesFull", place(gpu_at(0.1), seen=1, room=3, taken=1), situation(), None),
    ("NodesFull", place(gpu_at(0.1), seen=1, room=3, taken=2), situation(), "here has room for 3 clips of this run"),
    ("NodesFull", place(gpu_at(0.1), room=0, limit="other pods request 8 of 8 CPUs"), situation(),
     "here has room for no clip of this run: other pods request 8 of 8 CPUs"),
    ("NodesFull", place(gpu_at(0.1), seen=1, room=3, waits="Insufficient cpu", unseen_pods="others are unknown"),
     situation(), "a clip that was sent to here does not start: Insufficient cpu (others are unknown)"),
    ("NodesFull", place(gpu_at(0.1), seen=1, room=3, waits="Insufficient cpu"), situation(),
     "a clip that was sent to here does not start: Insufficient cpu"),
    ("NodesFull", place(seen=3, room=3), situation(), None),  # nobody sends it there
    ("VRAMUnknown", place(gpu=False), situation(), None),
    ("VRAMUnknown", place(gpu_at(0.1)), situation(), None),
    ("VRAMUnknown", place(gpu_at()), situation(), "memory of GPU 0 on here is unknown (no reading yet)"),
    ("VRAMUnknown", place(), situation(), "GPU memory of here is unknown (no GPU found)"),
    ("VRAMUnknown", place(gpu_at()), situation(**ADMIT), None),
    ("VRAMUnknown", place(gpu_at()), situation(**OFF), None),
    # A whole GPU may be any of those that are known; a slice may be of any GPU.
    ("VRAMUnknown", place(gpu_at(0.1), gpu_at(gpu=GPU1), sharing="Whole"), situation(), None),
    ("VRAMUnknown", place(gpu_at(), gpu_at(gpu=GPU1), sharing="Whole"), situation(), "memory of GPU 0"),
    ("VRAMUnknown", place(gpu_at(0.1), gpu_at(gpu=GPU1), sharing="Sliced"), situation(), "memory of GPU 1"),
    ("VRAMHigh", place(gpu=False), situation(), None),
    ("VRAMHigh", place(gpu_at(0.8)), situation(), None),
    ("VRAMHigh", place(gpu_at(0.8, closed=True), seen=1), situation(), "GPU 0 on here at 80%; starts again below 70%"),
    ("VRAMHigh", place(gpu_at(0.8, closed=True, holders=ENCODER)), situation(),
     "GPU 0 on here at 80% (lab/friction-encode 5.5 GiB, python (pid 4711)); starts again below 70%; no clip of this"),
    ("VRAMHigh", place(gpu_at(0.9, closed=True, neighbours=NEIGHBOURS), seen=5), situation(),
     "GPU 0 on here at 90%; starts again below 85%"),
    ("VRAMHigh", place(gpu_at(0.8, closed=True)), situation(**OFF), None),
    ("VRAMHigh", place(gpu_at(0.9, closed=True), gpu_at(0.1, GPU1), sharing="Whole"), situation(), None),
    ("VRAMHigh", place(gpu_at(0.9, closed=True), gpu_at(0.9, GPU1, closed=True), sharing="Whole"), situation(),
     "GPU 0"),
    ("VRAMHigh", place(gpu_at(0.9, closed=True), gpu_at(gpu=GPU1, closed=True), sharing="Whole"), situation(), "GPU 0"),
    ("VRAMHigh", place(gpu_at(0.1), gpu_at(0.9, GPU1, closed=True), sharing="Sliced"), situation(),
     "GPU 1 on here at 9"),
    ("VRAMHigh", place(gpu_at(0.1)), situation(), None),
    ("VRAMHigh", place(gpu_at(0.1), ran_out=True), situation(), "GPU 0 on here: a clip ran out of memory there; waits"),
    ("VRAMHigh", place(gpu_at(0.1), ran_out=True), situation(**OFF), None),
    ("VRAMHigh", place(gpu_at(), ran_out=True), situation(**ADMIT), None),  # no newer reading will come
    ("VRAMHigh", place(gpu=False, ran_out=True), situation(), None),  # nor on a CPU
    ("VRAMClaims", place(gpu=False), situation(), None),
    ("VRAMClaims", place(gpu_at(0.9), unseen=9), situation(**OFF), None),
    # No expectation: 1, 2, 4, ... by what a reading has shown, and each as large as those.
    ("VRAMClaims", place(gpu_at(0.1)), situation(), None),
    ("VRAMClaims", place(gpu_at(0.1), unseen=1), situation(), "GPU 0 on here: waits for a reading that shows 1 clip"),
    ("VRAMClaims", place(gpu_at(0.1), seen=1), situation(), None),
    ("VRAMClaims", place(gpu_at(0.1), seen=1, unseen=1), situation(), "GPU 0 on here: waits for a reading"),
    ("VRAMClaims", place(gpu_at(0.1), seen=2, unseen=1), situation(), None),
    ("VRAMClaims", place(gpu_at(0.5), seen=2, unseen=1), situation(),
     "GPU 0 on here: 4.9 GiB in use, 1 clip started just now (2.4 GiB); another clip (2.4 GiB) would exceed"
     " the 8.3 GiB limit (85% of 9.8 GiB)"),
    ("VRAMClaims", place(gpu_at(0.1), seen=1, unseen=1), situation(per_clip=Expected(300, 300, 200, guessed=True)),
     "GPU 0 on here: waits for a reading that shows 1 clip started just now; vram.perClip: SIZE makes this faster"),
    ("VRAMClaims", place(gpu_at(0.8), seen=3), situation(per_clip=Expected(300, 300, 200, guessed=True)), None),
    # A guess that is wrong, because a neighbour came, keeps nothing from an empty GPU: it could never be mended.
    ("VRAMClaims", place(gpu_at(0.6)), situation(per_clip=Expected(20_000, 20_000, 9000, guessed=True)), None),
    # 10,000 MiB in all, closed above 8,500, 1,000 MiB a clip.
    ("VRAMClaims", place(gpu_at(0.74), seen=1), known(1000), None),
    ("VRAMClaims", place(gpu_at(0.76), seen=1), known(1000),
     "GPU 0 on here: 7.4 GiB in use; another clip (1.0 GiB) would exceed the 8.3 GiB limit (85% of 9.8 GiB)"),
    ("VRAMClaims", place(gpu_at(0.60), unseen=1), known(1000), None),
    ("VRAMClaims", place(gpu_at(0.66), unseen=1), known(1000),
     "GPU 0 on here: 6.4 GiB in use, 1 clip started just now (1.0 GiB); another clip (1.0 GiB) would exceed"),
    # The first on a GPU may use all that is free, but no more than that.
    ("VRAMClaims", place(gpu_at(0.84)), known(1600), None),
    ("VRAMClaims", place(gpu_at(0.84)), known(1601),
     "GPU 0 on here: 8.2 GiB in use; another clip (1.6 GiB) would exceed its 9.8 GiB"),
    ("VRAMTooSmall", place(gpu_at(0.1)), known(10_000), None),
    ("VRAMTooSmall", place(gpu_at(0.1)), known(10_001),
     "GPU 0 on here has 9.8 GiB, less than a clip takes (9.8 GiB)"),
    # The first clip goes by what clips took, without a margin: none would make more room for it.
    ("VRAMClaims", place(gpu_at(0.08)), known(9900, 9000), None),
    ("VRAMClaims", place(gpu_at(0.08)), known(10_100, 9200), None),
    ("VRAMClaims", place(gpu_at(0.08), seen=1), known(10_100, 9200),
     "GPU 0 on here: 0.8 GiB in use; another clip (9.9 GiB)"),
    # A GPU whose use is not known does not make the others of its node free.
    ("VRAMClaims", place(gpu_at(), gpu_at(0.9, GPU1), sharing="Whole"), known(8000), "here: 0 of 1 GPUs have room"),
    ("VRAMClaims", place(gpu_at(), gpu_at(None, GPU1), sharing="Whole"), known(8000), None),
    # Clips that ended since the reading give back what they had.
    ("VRAMClaims", place(gpu_at(0.8), seen=1, gone=1), known(1000, average=700.0), None),
    # If neighbours' use is known: clips together have to fit into the whole, with deviations and a large one.
    ("VRAMClaims", place(gpu_at(0.70, neighbours=NEIGHBOURS), unseen=6), SPREAD, None),  # 1000 + 7*900 + 2.55*582 + 300
    ("VRAMClaims", place(gpu_at(0.70, neighbours=NEIGHBOURS), unseen=7), SPREAD, "GPU 0 on here: 6.8 GiB in"),
    # Of two or three clips, a large one is not expected just when they are above their average: 3*2600 + hypot(...).
    ("VRAMClaims", place(gpu_at(0.52, neighbours=CALM), seen=2), LARGE, None),
    ("VRAMClaims", place(gpu_at(0.52, neighbours=replace(CALM, lately=((990.0, 400.0),))), seen=2), LARGE,
     "GPU 0 on here: 5.1 GiB in"),
    # One that ran out of memory before is put at no such risk, by itself or by another one.
    ("VRAMClaims", place(gpu_at(0.52, neighbours=CALM), seen=2), replace(LARGE, surely=True),
     "GPU 0 on here: 5.1 GiB in"),
    ("VRAMClaims", place(gpu_at(0.52, neighbours=CALM), seen=2, last=1), LARGE, "GPU 0 on here: 5.1 GiB in"),
    ("VRAMClaims", place(gpu_at(0.26, neighbours=CALM), seen=1, last=1), replace(LARGE, surely=True), None),
    # Above `high` nothing starts, be it measured now or what is there on average.
    ("VRAMClaims", place(gpu_at(0.86, neighbours=NEIGHBOURS), unseen=5), SPREAD, "GPU 0 on here: 8.4 GiB in"),
    ("VRAMClaims", place(gpu_at(0.71, neighbours=replace(NEIGHBOURS, lately=((990.0, 5000.0),))), seen=4),
     SPREAD, "GPU 0 on here: 6.9 GiB in"),
    # What neighbours use by the last reading alone counts, too, and the next clip on top of it.
    ("VRAMClaims", place(gpu_at(0.8, neighbours=replace(NEIGHBOURS, surely=8000.0))), known(3000, 2600, 2000.0, 220.0),
     "GPU 0 on here: 7.8 GiB in"),
    # Neighbours whose burst recurred are expected to have another.
    ("VRAMClaims", place(gpu_at(0.71, neighbours=NEIGHBOURS), seen=5), SPREAD, None),
    ("VRAMClaims", place(gpu_at(0.71, neighbours=BURSTS), seen=5), SPREAD, "GPU 0 on here: 6.9 GiB in"),
    # Whole GPUs: as many as have room, less those that were given out and do not show yet.
    ("VRAMClaims", place(gpu_at(0.1), gpu_at(0.1, GPU1), unseen=1, sharing="Whole"), known(1000), None),
    ("VRAMClaims", place(gpu_at(0.1), gpu_at(0.1, GPU1), unseen=2, sharing="Whole"), known(1000), "here: 2 of 2 GPUs"),
    ("VRAMClaims", place(gpu_at(0.9), gpu_at(0.1, GPU1), seen=1, sharing="Whole"), known(8000), None),
    ("VRAMClaims", place(gpu_at(0.9), gpu_at(0.1, GPU1), unseen=1, sharing="Whole"), known(8000), "here: 1 of 2 GPUs"),
    # What is full of something else is no clip's: the one that shows is on the other GPU.
    ("VRAMClaims", place(gpu_at(0.95), gpu_at(0.1, GPU1), seen=1, sharing="Whole"), known(1000), "here: 1 of 2 GPUs"),
    ("VRAMClaims", place(gpu_at(0.1), gpu_at(0.1, GPU1), seen=2, sharing="Whole"), known(1000), "here: 2 of 2 GPUs"),
    ("VRAMTooSmall", place(gpu_at(0.1), gpu_at(0.1, GPU1), sharing="Whole"), known(10_001),
     "the largest GPU of here has 9.8 GiB"),
    # Slices: the fullest GPU counts, and clips spread evenly.
    ("VRAMClaims", place(gpu_at(0.1), gpu_at(0.6, GPU1), unseen=2, sharing="Sliced"), known(1000), None),
    ("VRAMClaims", place(gpu_at(0.1), gpu_at(0.8, GPU1), seen=2, sharing="Sliced"), known(1000),
     "GPU 1 on here: 7.8 GiB"),
    # Clips of other runs claim memory as this run's do.
    ("VRAMClaims", place(gpu_at(0.60), others=theirs(unseen=1)), known(1000), None),
    ("VRAMClaims", place(gpu_at(0.66), others=theirs(unseen=1)), known(1000),
     "GPU 0 on here: 6.4 GiB in use, 1 clip of other runs started just now (1.0 GiB); another clip (1.0 GiB) would"
     " exceed the 8.3 GiB limit (85% of 9.8 GiB)"),
    ("VRAMClaims", place(gpu_at(0.56), unseen=1, others=theirs(unseen=1)), known(1000),
     "GPU 0 on here: 5.5 GiB in use, 1 clip started just now (1.0 GiB), 1 clip of other runs started just now (1.0"),
    # Beside them the first clip of a run is not the first on the GPU: memory comes free when they end.
    ("VRAMClaims", place(gpu_at(0.76), others=theirs(seen=1)), known(1000), "GPU 0 on here: 7.4 GiB in use; another"),
    ("VRAMClaims", place(gpu_at(0.8), others=theirs(Expected(1000, 1000, 700.0), seen=1, gone=1)), known(1000), None),
    # What a clip of another run takes may be unknown: until a reading shows it, it may take anything.
    ("VRAMClaims", place(gpu_at(0.1), others=theirs(UNSIZED, unseen=1)), known(1000),
     "GPU 0 on here: waits for a reading that shows 1 clip of other runs, of unknown size; vram.perClip"),
    ("VRAMClaims", place(gpu_at(0.1), others=theirs(UNSIZED, seen=1)), known(1000), None),
    # A clip of unknown size counts as the largest of other runs, beside clips of theirs.
    ("VRAMClaims", place(gpu_at(0.1), others=theirs(seen=1)), situation(), None),
    ("VRAMClaims", place(gpu_at(0.76), others=theirs(seen=1)), replace(situation(), largest_mib=1000.0),
     "GPU 0 on here: 7.4 GiB in use; another clip (1.0 GiB) would exceed"),
    ("VRAMClaims", place(gpu_at(0.74), others=theirs(seen=1)), replace(situation(), largest_mib=1000.0), None),
    # All clips of all runs have to fit by their averages, if these are known.
    ("VRAMClaims", place(gpu_at(0.70, neighbours=NEIGHBOURS), unseen=3,
                         others=theirs(SPREAD.per_clip, unseen=3)), SPREAD, None),
    ("VRAMClaims", place(gpu_at(0.70, neighbours=NEIGHBOURS), unseen=3,
                         others=theirs(SPREAD.per_clip, unseen=4)), SPREAD, "GPU 0 on here: 6.8 GiB in"),
    ("VRAMClaims", place(gpu_at(0.1), gpu_at(0.1, GPU1), unseen=1, others=theirs(unseen=1), sharing="Whole"),
     known(1000), "here: 2 of 2 GPUs"),
    ("VRAMHigh", place(gpu_at(0.1), others=theirs(ran_out=True, gone=1)), situation(),
     "GPU 0 on here: a clip ran out of memory there; waits"),
    ("VRAMHigh", place(gpu_at(0.9, closed=True), others=theirs(seen=5)), situation(),
     "GPU 0 on here at 90%; starts again below 70%"),
    ("FairShare", place(gpu_at(0.1)), situation(), None),
    ("FairShare", place(gpu_at(0.1), kept="team/large"), situation(),
     "GPU 0 on here: memory that comes free is kept for team/large, which has a smaller share of the GPUs"),
    ("FairShare", place(gpu_at(0.1), kept="team/large"), situation(**OFF), None),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "candidate", "when", "message"), CLIP_TABLE)
def test_a_rule_of_a_clip_holds_for_its_one_reason(reason, candidate, when, message):
    check(Reason(reason).rule.holds(candidate, when), message)


@pytest.mark.parametrize(("reason", "where", "when", "message"), PLACE_TABLE)
def test_a_rule_of_a_place_holds_for_its_one_reason(reason, where, when, message):
    check(Reason(reason).rule.holds(where, when), message)


def check(found, message):
    assert (found is None) == (message is None), found
    assert message is None or found.startswith(message), found


def test_every_rule_is_in_the_table_with_and_without_a_hold():
    for reason in Reason:
        if not isinstance(reason.rule, NoPlaceRule):
            outcomes = {message is None for name, *_, message in [*CLIP_TABLE, *PLACE_TABLE] if name == reason}
            assert outcomes == {True, False}, reason


def test_one_more_node_ends_the_holds_of_these_rules_alone():
    assert {reason for reason in Reason if reason.rule.more_nodes_help} == {"NodesFull", "NoNode"}
    assert all(reason.hold("").capacity == reason.rule.more_nodes_help for reason in Reason)


def test_the_first_hold_in_the_order_of_the_rules_wins():
    run = make_run(suspend=True, workers=2, **CUDA)
    plan = admit(run, gpus=(GPU0,), readings=(reading(GPU0, 0.9),))
    assert reasons(plan) == {"Suspended": (0, 1)}


def test_as_many_clips_start_as_there_are_workers_in_order():
    assert started(admit(make_run(workers=3))) == [0, 1, 2]
    assert started(admit(make_run(workers=3), running=running(0, 1), waiting=(2, 3, 4))) == [2]


def test_fewer_workers_than_run_start_nothing_and_end_nothing():
    plan = admit(make_run(workers=1), running=running(0, 1, 2), waiting=(3,))
    assert (started(plan), plan.status.running, plan.status.held) == ([], 3, ())


@pytest.mark.parametrize(
    ("cpus", "threads", "workers"), [(8, 1, 6), (2, 1, 1), (1, 1, 1), (3, 1, 1), (4, 1, 2), (16, 4, 2), (8, 16, 1)]
)
def test_the_default_leaves_two_cpus_and_is_at_least_one(cpus, threads, workers):
    assert default_workers(cpus, threads) == workers
    run = make_run(render={"threads": threads})
    assert settled(run, make_world(run, cpus=cpus)).limit == workers


def test_a_retry_that_is_due_comes_before_clips_that_were_never_tried():
    end = Ended(3, ExitCode.OUT_OF_VRAM, "out of GPU memory", 960.0, 1)
    assert started(admit(make_run(workers=2), ended=(end,), waiting=(4, 5))) == [3, 4]


def test_a_retry_that_is_not_due_leaves_its_worker_to_another_clip():
    end = Ended(3, ExitCode.OUT_OF_VRAM, "out of GPU memory", 990.0, 1)
    plan = admit(make_run(workers=2), ended=(end,), waiting=(4, 5))
    assert started(plan) == [4, 5]
    late = admit(make_run(workers=2), ended=(end,), waiting=())
    assert (started(late), reasons(late), late.status.retrying) == ([], {"RetryDelay": (3,)}, 1)


def test_high_vram_holds_new_clips_and_leaves_running_ones():
    plan = admit(make_run(workers=3, **CUDA), gpus=(GPU0,), readings=(reading(GPU0, 0.91),),
                 running=running(0, gpu=GPU0), waiting=(1, 2, 3))  # fmt: skip
    assert (started(plan), plan.status.running) == ([], 1)
    assert reasons(plan) == {"VRAMHigh": (1, 2)}
    assert plan.status.held[0].hold.message == "GPU 0 on here at 91%; starts again below 70%"


def test_a_full_gpu_does_not_hold_back_an_empty_one():
    plan = admit(make_run(workers=4, **CUDA), gpus=(GPU0, GPU1), readings=(reading(GPU0, 0.9), reading(GPU1, 0.1)))
    assert [(start.index, start.gpu) for start in plan.start] == [(0, GPU1)]  # one, until its use is seen


def test_clips_go_round_robin_to_the_gpus_that_are_open():
    run = make_run(workers=4, **CUDA, vram={"perClip": "1Gi"})
    plan = admit(run, gpus=(GPU0, GPU1), readings=(reading(GPU0, 0.1), reading(GPU1, 0.1)))
    assert [start.gpu for start in plan.start] == [GPU0, GPU1, GPU0, GPU1]


def test_cpu_rendering_looks_at_no_gpu():
    plan = admit(make_run(workers=2), gpus=(GPU0,), readings=(reading(GPU0, 0.99),))
    assert [(start.index, start.gpu) for start in plan.start] == [(0, None), (1, None)]


def test_a_gpu_run_without_any_gpu_in_sight_is_held_and_says_why():
    run = make_run(workers=2, **CUDA)
    plan = admit(run, nodes=(Node(NODE, 8, (), "NVML: Shared Library Not Found"),))
    assert started(plan) == []
    assert "NVML: Shared Library Not Found" in plan.status.held[0].hold.message
    assert started(admit(make_run(workers=2, **CUDA, **ADMIT), nodes=(Node(NODE, 8),))) == [0, 1]


def test_held_counts_clips_that_could_run_now_and_no_others():
    run = make_run(clips=100, workers=4, suspend=True)
    assert reasons(admit(run)) == {"Suspended": (0, 1, 2, 3)}


@given(
    workers=st.integers(1, 12),
    busy=st.lists(st.sampled_from([GPU0, GPU1]), max_size=12),
    ages=st.lists(st.floats(0, 200), min_size=12, max_size=12),
    used=st.lists(st.floats(0, 1), min_size=2, max_size=2),
    per_clip=st.integers(1, 9000),
)
def test_admission_never_passes_the_workers_nor_the_memory_that_is_known(workers, busy, ages, used, per_clip):
    run = make_run(clips=50, workers=workers, **CUDA, vram={"perClip": f"{per_clip}Mi"})
    pods = tuple(Running(i, NODE, gpu, 1000.0 - age) for i, (gpu, age) in enumerate(zip(busy, ages, strict=False)))
    readings = (reading(GPU0, used[0]), reading(GPU1, used[1]))
    world = make_world(run, gpus=(GPU0, GPU1), readings=readings, running=pods, waiting=tuple(range(20, 50)))
    plan = decide(run, world)
    assert len(pods) + len(plan.start) <= max(workers, len(pods))
    for gpu, now in ((GPU0, readings[0]), (GPU1, readings[1])):
        new = [start for start in plan.start if start.gpu == gpu]
        young = [pod for pod in pods if pod.gpu == gpu and pod.started_at + 20 > now.at]
        if new:
            assert not plan.watermarks[gpu].closed
            assert now.used_mib + (len(young) + len(new)) * per_clip <= now.total_mib


@given(used=st.floats(0, 0.69), per_clip=st.integers(1, 3000))
def test_a_gpu_with_room_for_a_clip_never_stays_idle(used, per_clip):
    run = make_run(workers=1, **CUDA, vram={"perClip": f"{per_clip}Mi"})
    plan = admit(run, gpus=(GPU0,), readings=(reading(GPU0, used),))
    assert len(plan.start) == 1


FEW = ClipMemory(peak_mib=4000, mean_mib=3300, average_mib=2600, deviation_mib=400, allocated_after=5, clips=100)


def test_three_large_clips_share_a_gpu_at_some_risk():
    assert {start.index: start.gpu for start in crowded((2, 2), (0.52, 0.53)).start} == {8: GPU0, 9: GPU1}


@pytest.mark.parametrize(
    ("what", "on", "used", "starts"),
    [
        ("it waits on the GPU that lacks less, and others start beside it", (2, 2), (0.52, 0.53), {8: GPU1}),
        ("it starts where it surely fits, and nothing comes at risk to it", (1, 2), (0.26, 0.52), {7: GPU0, 8: GPU1}),
    ],
)
def test_a_clip_that_ran_out_of_memory_takes_no_risk_and_gets_its_turn(what, on, used, starts):
    ended = Ended(7, ExitCode.OUT_OF_VRAM, "out of GPU memory", 900.0, attempts=1)
    plan = crowded(on, used, ended=(ended,), ran_out_before=frozenset({7}))
    assert {start.index: start.gpu for start in plan.start} == starts, what


def crowded(on, used, limit=1, **world):
    """Return the plan of a run of large clips that has so many on each of two GPUs."""
    run = make_run(20, workers=6, retry={"limit": limit}, **CUDA)
    pods = running(*range(on[0]), gpu=GPU0, started_at=900.0) + running(
        *range(10, 10 + on[1]), gpu=GPU1, started_at=900.0
    )
    readings = (reading(GPU0, used[0]), reading(GPU1, used[1]))
    fields = {"nodes": (Node(NODE, 8, PAIR),), "waiting": (8, 9), "clip_memory": FEW}
    return admit(run, running=pods, readings=readings, **fields, **world)


@pytest.mark.parametrize("limit", [0, 1])
def test_a_run_that_tries_each_clip_once_takes_no_risk(limit):
    plan = crowded((2, 2), (0.52, 0.53), limit=limit)
    assert bool(plan.start) is (limit > 0)
