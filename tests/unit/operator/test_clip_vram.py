"""GPU memory that clips take, which clips a reading shows, and what neighbours use."""

from dataclasses import replace

import pytest

from clipfarm.decide.plan import decide
from clipfarm.decide.vram.counts import Counts, counts
from clipfarm.decide.vram.expected import Expected, expected
from clipfarm.decide.vram.neighbours import follow
from clipfarm.decide.vram.others import of
from clipfarm.decide.vram.watermarks import Newest
from clipfarm.world import ClipMemory, Departed, Node, Running, WatermarkState
from helpers.runs import GPU0, GPU1, NODE, make_run, make_world, reading

VRAM = make_run(vram={"allocationTime": "20s"}).spec.vram
LEARNED = ClipMemory(1200.0, 1000.0, 800.0, deviation_mib=100.0, allocated_after=6.0, clips=100)


def pod(started_at, gpu=GPU0):
    return Running(1, NODE, gpu, started_at)


def counted(*pods, departed=(), lag=0.0, at=1000.0, per_clip=None, sharing="Chosen"):
    readings = {gpu: replace(reading(gpu, 0.5, at=at), lag=lag) for gpu in (GPU0, GPU1)}
    nodes = (Node(NODE, 8, (GPU0, GPU1), sharing=sharing),)
    world = make_world(make_run(), nodes=nodes, running=pods, departed=departed)
    return counts(VRAM, world, readings, per_clip)[GPU0 if sharing == "Chosen" else NODE]


# when the pod began, the reading's lag, whether the reading surely shows it: it takes 20 s to allocate
@pytest.mark.parametrize(
    ("started_at", "lag", "seen"),
    [
        (980.0, 0.0, True), (980.1, 0.0, False), (1000.0, 0.0, False), (None, 0.0, False),
        (980.0, 30.0, False), (950.0, 30.0, True), (950.1, 30.0, False), (None, 30.0, False),
    ],
)  # fmt: skip
def test_a_pod_shows_when_all_of_the_reading_is_newer_than_its_allocation(started_at, lag, seen):
    found = counted(pod(started_at), lag=lag)
    assert (found.pods, found.unseen) == (1, 0 if seen else 1)


def test_a_pod_that_is_on_its_way_counts_where_it_is_sent():
    assert counted(pod(None), pod(None, GPU1)).unseen == 1
    assert counted(pod(None, None), sharing="Whole").unseen == 1


def test_a_pod_that_was_told_no_gpu_of_a_shared_node_may_be_on_each():
    world = make_world(
        make_run(), gpus=(GPU0, GPU1), running=(pod(0.0, None),), departed=(Departed(NODE, None, 500.0, 1000.5),)
    )
    readings = {gpu: reading(gpu, 0.5) for gpu in (GPU0, GPU1)}
    found = counts(VRAM, world, readings, None)
    assert [(found[gpu].pods, found[gpu].gone) for gpu in (GPU0, GPU1)] == [(1, 1), (1, 1)]


def test_a_pod_of_a_gpu_that_is_not_read_is_unseen():
    world = make_world(make_run(), gpus=(GPU0,), running=(pod(0.0),))
    assert counts(VRAM, world, {}, None)[GPU0].unseen == 1


def test_a_pod_that_ended_is_still_in_a_reading_of_before():
    gone = Departed(NODE, GPU0, 500.0, 1000.5)
    assert counted(departed=(gone,)).gone == 1
    assert counted(departed=(replace(gone, ended_at=999.0),)).gone == 0  # it may be gone from the reading
    assert counted(departed=(replace(gone, started_at=990.0),)).gone == 0  # it may not have been in it


@pytest.mark.parametrize(
    ("ended_at", "lag", "ran_out"), [(999.0, 0.0, False), (1001.0, 0.0, True), (985.0, 30.0, True)]
)
def test_readings_of_before_a_clip_ran_out_of_memory_are_not_true_any_more(ended_at, lag, ran_out):
    gone = Departed(NODE, GPU0, 900.0, ended_at, out_of_vram=True)
    assert counted(departed=(gone,), lag=lag).ran_out is ran_out
    assert not counted(departed=(replace(gone, out_of_vram=False),), lag=lag).ran_out


# when the pod began and ended, the reading's lag, how likely the reading shows it: it has allocated after 6 s
@pytest.mark.parametrize(
    ("started_at", "ended_at", "lag", "showing"),
    [
        (990.0, None, 0.0, 1.0), (995.0, None, 0.0, 0.0), (None, None, 10.0, 0.0),
        (990.0, None, 10.0, 0.4), (980.0, None, 10.0, 1.0),  # the reading is of 990 to 1000
        (900.0, 1000.5, 10.0, 1.0), (900.0, 993.0, 10.0, 0.3), (900.0, 989.0, 10.0, 0.0), (988.0, 998.0, 10.0, 0.4),
        (900.0, 999.0, 0.0, 0.0),
    ],
)  # fmt: skip
def test_a_pod_shows_by_the_part_of_a_readings_time_in_which_it_has_memory(started_at, ended_at, lag, showing):
    per_clip = Expected(1000.0, 900.0, 800.0, allocated_after=6.0)
    pods = (pod(started_at),) if ended_at is None else ()
    departed = (Departed(NODE, GPU0, started_at, ended_at),) if ended_at is not None else ()
    assert counted(*pods, pod(None), departed=departed, lag=lag, per_clip=per_clip).showing == pytest.approx(showing)


OTHERS = of(Counts(pods=1), Expected(1500.0, 1200.0, 900.0, deviation=100.0))


def test_the_more_clips_the_closer_is_their_sum_to_their_average():
    per_clip = Expected(1500.0, 1200.0, 900.0, deviation=100.0)
    surely = [round(per_clip.together(clips, surely=True)) for clips in (1, 2, 3, 4, 9)]
    assert surely == [1455, 2461, 3442, 4410, 9165]
    # Of few, the largest is not expected just when they are above their average: 2 * 900 + sqrt(2 * 255² + 300²).
    assert [round(per_clip.together(clips)) for clips in (1, 2, 3, 4, 9)] == [1294, 2269, 3234, 4410, 9165]
    # Clips of other runs make them more.
    assert per_clip.together(3, OTHERS) == per_clip.together(3, OTHERS, surely=True)
    # It is never more than all peaks at once, and that where nobody knows better.
    assert replace(per_clip, deviation=900.0).together(4) == 5100.0
    assert Expected(1500.0, 1200.0).together(4) == 5100.0


def test_readings_tell_how_much_clips_vary_once_there_are_many():
    per_clip, known, told = Expected(3000.0, 3000.0, 2000.0), None, []
    for step in range(40):  # four clips, together 400 MiB more or less than on average
        used = 0.84 if step % 2 else 0.76
        known = follow(reading(GPU0, used, at=5.0 * step), known, Counts(4, showing=4.0), per_clip)
        told.append(known.deviation_mib)
    assert told[22:24] == [None, pytest.approx(250.0, rel=0.3)]
    run = make_run(vram={"perClip": "3000Mi"})
    watermarks = {GPU0: WatermarkState(GPU0, False, None, neighbours=known, per_clip_mib=2000.0)}
    assert expected(run.spec.vram, make_world(run, watermarks=watermarks)).deviation == known.deviation_mib


@pytest.mark.parametrize(
    ("given", "learned", "most", "mean"),
    [
        (None, None, None, None),
        ("1000Mi", None, 1000.0, 1000.0),
        (None, LEARNED, 1200.0, 1000.0),
        (None, replace(LEARNED, clips=3), 1320.0, 1000.0),  # of a few the largest is not the largest of all
        ("2000Mi", LEARNED, 2000.0, 1000.0),
        ("500Mi", LEARNED, 1200.0, 1000.0),  # the run says too little
    ],
)
def test_a_clip_is_expected_to_take_what_the_run_says_or_what_clips_took_if_that_is_more(given, learned, most, mean):
    run = make_run(vram={"perClip": given} if given else {})
    found = expected(run.spec.vram, make_world(run, clip_memory=learned))
    assert (found.most, found.mean) == (most, mean) if found else most is None


def test_what_neighbours_use_is_the_median_of_the_last_40_seconds():
    run, watermarks, found = make_run(render={"device": "cuda"}), {}, []
    for now, used in ((1000.0, 0.5), (1005.0, 0.3), (1010.0, 0.4), (1045.0, 0.6), (1050.0, 0.7)):
        world = make_world(
            run, gpus=(GPU0,), now=now, watermarks=watermarks, readings=(reading(GPU0, used, at=now),),
            running=(pod(900.0),), clip_memory=LEARNED, waiting=(),
        )  # fmt: skip
        watermarks = decide(run, world).watermarks
        found.append(watermarks[GPU0].neighbours.least_mib)
    # Less the 800 MiB that the one clip has in use; the first two are too old in the end, and then the third.
    assert found == [4200.0, 2200.0, 3200.0, 3200.0, 5200.0]


def test_who_came_back_once_is_expected_again_for_a_quarter_of_an_hour():
    per_clip, known, found = Expected(1200.0, 1000.0, 800.0, 6.0), None, []
    for step, used in enumerate([0.1, 0.5, 0.1, 0.1, 0.4, 0.1, *[0.1] * 40]):
        known = follow(reading(GPU0, used, at=30.0 * step), known, None, per_clip)
        found.append(known.most_mib)
    # The first may have been the only one. After the second both count, until the first is too old.
    assert [found[step] for step in (0, 2, 3, 4, 30, 31)] == [1000.0, 1000.0, 1000.0, 5000.0, 5000.0, 1000.0]


def test_clips_at_their_peaks_are_no_burst_of_neighbours():
    per_clip, known = Expected(1200.0, 1000.0, 800.0, 6.0), None
    for at, used in ((0.0, 0.32), (5.0, 0.36), (10.0, 0.32), (15.0, 0.36)):  # four clips
        known = follow(reading(GPU0, used, at=at), known, Counts(4, showing=4.0), per_clip)
    assert (known.least_mib, known.bursts) == (0.0, ())


def test_an_old_reading_is_no_reading():
    run = make_run()
    world = make_world(run, readings=(reading(GPU0, 0.1, at=900.0), reading(GPU1, 0.1, at=950.0)))
    newest = Newest.of(run.spec.vram, world)
    assert (list(newest.of_gpu), list(newest.fresh)) == ([GPU0, GPU1], [GPU1])


def test_after_a_restart_nothing_is_known_of_neighbours():
    assert WatermarkState(GPU0, True, None).neighbours is None


@pytest.mark.parametrize(
    ("used", "per_clip", "most", "average"),
    [
        ((0.2, 0.4), None, 1500.0, 1000.0),  # two clips took 2,000 MiB: their peaks are a guess
        ((0.2, 0.4), "3000Mi", 3000.0, 1000.0),
        ((0.2, 0.2), None, None, None),
    ],
)
def test_without_reports_readings_tell_what_a_clip_takes(used, per_clip, most, average):
    run = make_run(render={"device": "cuda"}, vram={"perClip": per_clip} if per_clip else {})
    watermarks = {}
    for now, part, clips in ((1000.0, used[0], ()), (1100.0, used[1], (pod(1010.0), pod(1020.0)))):
        world = make_world(run, gpus=(GPU0,), now=now, watermarks=watermarks, readings=(reading(GPU0, part, at=now),),
                           running=clips, waiting=())  # fmt: skip
        watermarks = decide(run, world).watermarks
    found = expected(run.spec.vram, replace(world, watermarks=watermarks))
    assert (found.most, found.average) == (most, average) if found else most is None


def test_a_reading_that_may_show_clips_that_have_ended_tells_nothing_of_one():
    run = make_run(render={"device": "cuda"})
    departed = (Departed(NODE, GPU0, 900.0, 999.0),)
    world = make_world(
        run, gpus=(GPU0,), readings=(replace(reading(GPU0, 0.5), lag=5.0),), departed=departed, waiting=()
    )
    assert decide(run, world).watermarks[GPU0].idle_mib is None
    assert decide(run, replace(world, departed=())).watermarks[GPU0].idle_mib == 5000.0
