"""How many clips a pod makes if the run does not say."""

import pytest

from clipfarm.manifests import job
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Images, Owner
from clipfarm.manifests.pod_work import clips_of_a_pod, seconds_of_a_clip
from clipfarm.run import Run
from helpers.runs import document

SMALL = {"frames": 8, "resolution": 64, "samplesPerPixel": 8}


def run(clips, render=None, **experiment):
    made = document(clips, render=render or {})
    made["spec"]["experiment"] |= experiment
    return Run.model_validate(made)


@pytest.mark.parametrize(
    ("clips", "workers", "render", "experiment", "each"),
    [
        # Some three minutes of work, ...
        (17_000, 16, {}, {}, 9),
        (17_000, 16, {"background": "full"}, {}, 1),
        (17_000, 16, {"threads": 4}, {}, 28),
        (17_000, 16, {}, {"frames": 16}, 16),
        (17_000, 16, {}, SMALL, 110),
        (17_000, 2, {"device": "gpu"}, {}, 130),
        # ... but each worker makes some pods, ...
        (100, 4, {}, SMALL, 6),
        (100, 100, {}, SMALL, 1),
        (1_000, 2, {"device": "optix"}, {}, 125),
        (10, 16, {"device": "cuda"}, {}, 1),
        # ... also if it is not known how many workers there will be, ...
        (17_000, None, {}, SMALL, 110),
        (1_000, None, {}, SMALL, 7),
        (1_000, None, {"device": "gpu"}, {}, 31),
        # ... and one clip, if nothing is known of its time.
        (17_000, 1, {"command": ["./render"]}, {}, 1),
        (17_000, 1, {"device": "gpu", "command": ["./render"]}, {}, 1),
        # What the run says counts.
        (10, 16, {"clipsPerPod": 7}, {}, 7),
        (17_000, 1, {"clipsPerPod": 1, "device": "gpu"}, {}, 1),
    ],
)
def test_a_pod_works_for_some_minutes_and_each_worker_makes_some_pods(clips, workers, render, experiment, each):
    assert clips_of_a_pod(run(clips, render, **experiment), clips, workers) == each


def test_the_workers_that_the_run_names_count():
    made = document(1_000, workers=50)
    made["spec"]["experiment"] |= SMALL
    assert clips_of_a_pod(Run.model_validate(made), 1_000) == 5


def test_a_retry_of_few_clips_spreads_them():
    assert Blocks.of(run(17_000), only="3,7,100-199", workers=30).per_index == 1


def test_a_job_has_blocks_by_the_workers_that_are_known_when_it_is_made():
    made = {workers: job.job(run(1_000), Owner("ns", "u", {}), Images(), 8, workers) for workers in (4, 100)}
    assert [each["spec"]["completions"] for each in made.values()] == [112, 500]


@pytest.mark.parametrize("render", [{}, {"device": "gpu"}])
def test_a_job_has_the_same_name_whatever_its_blocks(render):
    """`clipfarm retry` looks for it by its name, and does not know how many workers there were."""
    for clips in (17_000, 2_000_000):
        one_each = document(clips, render=render | {"clipsPerPod": 1})
        left_out = document(clips, render=render)
        for each in (one_each, left_out):
            each["metadata"]["name"] = "r" * 52
        assert job.name(Run.model_validate(left_out)) == job.name(Run.model_validate(one_each))


@pytest.mark.parametrize(("device", "least", "most"), [("cpu", 10, 14), ("cuda", 0.5, 1.0)])
def test_the_estimate_is_near_what_was_measured_of_16_frames(device, least, most):
    assert least <= seconds_of_a_clip(run(1, {"device": device}, frames=16)) <= most
