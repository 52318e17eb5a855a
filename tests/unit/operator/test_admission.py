"""Who starts and who waits: each rule alone, then all of them over the whole of a world."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm.decide import admission, vram
from clipfarm.decide.admission import RULES, Candidate, Place, Situation
from clipfarm.decide.plan import decide
from clipfarm.run import default_workers
from clipfarm.world import Ended, Gate, Node, Running
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import GPU0, GPU1, NODE, make_run, make_world, reading

HERE = Node(NODE, 8, (GPU0,))


def running(*clips, gpu=None, started_at=0.0):
    return tuple(Running(clip, NODE, gpu, started_at) for clip in clips)


def admit(run, **world):
    return decide(run, make_world(run, **world))


def started(plan):
    return [start.clip for start in plan.start]


def reasons(plan):
    return {held.hold.reason: held.clips for held in plan.status.held}


def place(used=None, *, closed=False, gpu=True, at=1000.0):
    """Return a GPU with this fraction in use (None: unknown), or a node's CPUs."""
    if not gpu:
        return Place(HERE, None, needs_gpu=False)
    found = reading(GPU0, used, at=at) if used is not None else None
    return Place(HERE, Gate(GPU0, closed, found, "" if found else "no reading yet"), needs_gpu=True)


def situation(pods=(), workers=4, fatal="", **spec):
    return Situation(make_run(**spec), 1000.0, workers, fatal, pods)


def full_disk(free, *, clip, at_work):
    return replace(situation(running(*range(at_work))), free_bytes=free, clip_bytes=clip)


CUDA = {"render": {"device": "cuda"}}
ADMIT = {"vram": {"whenUnknown": "Admit"}}
PER_CLIP = {"vram": {"perClip": "1000Mi", "allocationTime": "20s"}}
NEW, OLD = 990.0, 500.0  # started 10 s before the reading, or long before it

# rule, candidate, place, situation, the beginning of the hold's message (None: no hold)
RULE_TABLE = [
    ("fatal", Candidate(1), place(gpu=False), situation(), None),
    ("fatal", Candidate(1), place(gpu=False), situation(fatal="refused"), "refused"),
    ("suspended", Candidate(1), place(gpu=False), situation(), None),
    ("suspended", Candidate(1), place(gpu=False), situation(suspend=True), "spec.suspend is true"),
    ("retry_not_due", Candidate(1), place(gpu=False), situation(), None),
    ("retry_not_due", Candidate(1, due=1000.0), place(gpu=False), situation(), None),
    ("retry_not_due", Candidate(1, due=1000.1), place(gpu=False), situation(), "ran out of GPU memory; starts"),
    ("workers_busy", Candidate(1), place(gpu=False), situation(running(7, 8, 9)), None),
    ("workers_busy", Candidate(1), place(gpu=False), situation(running(6, 7, 8, 9)), "4 of 4 workers are busy"),
    ("storage_full", Candidate(1), place(gpu=False), situation(), None),
    ("storage_full", Candidate(1), place(gpu=False), full_disk(3000, clip=1000, at_work=2), None),
    ("storage_full", Candidate(1), place(gpu=False), full_disk(2999, clip=1000, at_work=2),
     "2.9 KiB left for clips of up to 1000 B; make room"),
    ("vram_unknown", Candidate(1), place(gpu=False), situation(), None),
    ("vram_unknown", Candidate(1), place(0.1), situation(), None),
    ("vram_unknown", Candidate(1), place(None), situation(), "memory of GPU 0 on here is unknown (no reading yet)"),
    ("vram_unknown", Candidate(1), Place(HERE, None, True), situation(), "GPU memory of here is unknown (no"),
    ("vram_unknown", Candidate(1), place(None), situation(**ADMIT), None),
    ("vram_unknown", Candidate(1), place(None), situation(vram={"enabled": False}), None),
    ("vram_high", Candidate(1), place(gpu=False), situation(), None),
    ("vram_high", Candidate(1), place(0.8), situation(), None),
    ("vram_high", Candidate(1), place(0.8, closed=True), situation(running(7, gpu=GPU0)),
     "GPU 0 on here at 80%; starts again below 70%"),
    ("vram_high", Candidate(1), place(0.8, closed=True), situation(running(7, gpu=GPU1)),
     "GPU 0 on here at 80%; starts again below 70%; no clip of this run is on it, so something else has to"),
    ("vram_high", Candidate(1), place(0.8, closed=True), situation(vram={"enabled": False}), None),
    ("claims_full", Candidate(1), place(gpu=False), situation(running(1, 2, 3)), None),
    # No expectation: 1, 2, 4, ... by what a reading has shown.
    ("claims_full", Candidate(1), place(0.1), situation(), None),
    ("claims_full", Candidate(1), place(0.1), situation(running(7, gpu=GPU0, started_at=NEW)),
     "GPU 0 on here: waits for a reading that shows 1 clip started just now"),
    ("claims_full", Candidate(1), place(0.1), situation(running(7, gpu=GPU0, started_at=OLD)), None),
    ("claims_full", Candidate(1), place(0.1), situation(running(7, gpu=GPU0, started_at=OLD)
     + running(8, gpu=GPU0, started_at=NEW)), "GPU 0 on here: waits for a reading that shows 1 clip"),
    ("claims_full", Candidate(1), place(0.1), situation(running(6, 7, gpu=GPU0, started_at=OLD)
     + running(8, gpu=GPU0, started_at=NEW)), None),
    ("claims_full", Candidate(1), place(0.1), situation(running(7, gpu=GPU1, started_at=NEW)), None),
    ("claims_full", Candidate(1), place(0.1), situation(running(7, gpu=GPU0, started_at=NEW), vram={"enabled": False}),
     None),
    # 10,000 MiB in all, closed above 8,500, 1,000 MiB a clip.
    ("claims_full", Candidate(1), place(0.74), situation(running(7, gpu=GPU0, started_at=OLD), **PER_CLIP), None),
    ("claims_full", Candidate(1), place(0.76), situation(running(7, gpu=GPU0, started_at=OLD), **PER_CLIP),
     "GPU 0 on here: 7600 MiB in use, 1000 MiB a clip, would pass 8500 of 10000 MiB"),
    ("claims_full", Candidate(1), place(0.60), situation(running(7, gpu=GPU0, started_at=NEW), **PER_CLIP), None),
    ("claims_full", Candidate(1), place(0.66), situation(running(7, gpu=GPU0, started_at=NEW), **PER_CLIP),
     "GPU 0 on here: 6600 MiB in use, 1 clip started just now, 1000 MiB a clip, would pass 8500"),
    # The first on a GPU may use all that is free, but no more than that.
    ("claims_full", Candidate(1), place(0.84), situation(**PER_CLIP), None),
    ("claims_full", Candidate(1), place(0.84), situation(vram={"perClip": "1601Mi"}),
     "GPU 0 on here: 8400 MiB in use, 1601 MiB a clip, would pass 10000 of 10000 MiB"),
    ("claims_full", Candidate(1), place(0.1), situation(vram={"perClip": "10001Mi"}),
     "GPU 0 on here has 10000 MiB, and vram.perClip asks for 10001 MiB: lower it"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "candidate", "where", "when", "message"), RULE_TABLE)
def test_a_rule_holds_for_its_one_reason(rule, candidate, where, when, message):
    hold = next(each for each in RULES if each.__name__ == rule)(candidate, where, when)
    assert (hold is None) == (message is None), hold
    assert message is None or hold.message.startswith(message), hold.message


def test_every_rule_is_in_the_table_with_and_without_a_hold():
    for rule in RULES:
        outcomes = {message is None for name, *_, message in RULE_TABLE if name == rule.__name__}
        assert outcomes == {True, False}, rule.__name__


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
    assert admission.worker_limit(run, make_world(run, cpus=cpus)) == workers


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
    assert [(start.clip, start.gpu) for start in plan.start] == [(0, GPU1)]  # one, until its use is seen


def test_clips_go_round_robin_to_the_gpus_whose_gate_is_open():
    run = make_run(workers=4, **CUDA, vram={"perClip": "1Gi"})
    plan = admit(run, gpus=(GPU0, GPU1), readings=(reading(GPU0, 0.1), reading(GPU1, 0.1)))
    assert [start.gpu for start in plan.start] == [GPU0, GPU1, GPU0, GPU1]


def test_cpu_rendering_looks_at_no_gpu():
    plan = admit(make_run(workers=2), gpus=(GPU0,), readings=(reading(GPU0, 0.99),))
    assert [(start.clip, start.gpu) for start in plan.start] == [(0, None), (1, None)]


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
    gates = vram.update(run.spec.vram, world)
    for gpu, now in ((GPU0, readings[0]), (GPU1, readings[1])):
        new = [start for start in plan.start if start.gpu == gpu]
        young = [pod for pod in pods if pod.gpu == gpu and pod.started_at + 20 > now.at]
        if new:
            assert not gates[gpu].closed
            assert now.used_mib + (len(young) + len(new)) * per_clip <= now.total_mib


@given(used=st.floats(0, 0.69), per_clip=st.integers(1, 3000))
def test_a_gpu_with_room_for_a_clip_never_stays_idle(used, per_clip):
    run = make_run(workers=1, **CUDA, vram={"perClip": f"{per_clip}Mi"})
    plan = admit(run, gpus=(GPU0,), readings=(reading(GPU0, used),))
    assert len(plan.start) == 1
