"""How many clips a pod makes if the run does not say."""

import pytest

from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.pod_work import clips_of_a_pod, seconds_of_a_clip
from clipfarm.run import Run
from helpers.runs import document

SMALL = {"frames": 8, "resolution": 64, "samplesPerPixel": 8}


def run(clips, render=None, **experiment):
    made = document(clips, render=render or {})
    made["spec"]["experiment"] |= experiment
    return Run.model_validate(made)


@pytest.mark.parametrize(
    ("clips", "render", "experiment", "each"),
    [
        # Some three minutes of work, ...
        (17_000, {}, {}, 9),
        (17_000, {"background": "full"}, {}, 1),
        (17_000, {"threads": 4}, {}, 28),
        (17_000, {}, {"frames": 16}, 16),
        (17_000, {}, SMALL, 110),
        (17_000, {"device": "gpu"}, {}, 130),
        # ... but enough pods to share the run, ...
        (100, {}, SMALL, 1),
        (1_000, {}, SMALL, 15),
        (1_000, {"device": "optix"}, {}, 62),
        (10, {"device": "cuda"}, {}, 1),
        # ... and one, if nothing is known of a clip's time.
        (17_000, {"command": ["./render"]}, {}, 1),
        (17_000, {"device": "gpu", "command": ["./render"]}, {}, 1),
        # What the run says counts.
        (10, {"clipsPerPod": 7}, {}, 7),
        (17_000, {"clipsPerPod": 1, "device": "gpu"}, {}, 1),
    ],
)
def test_a_pod_works_for_some_minutes_and_enough_pods_share_a_run(clips, render, experiment, each):
    """These numbers are those of runs in progress: another operator has to deal out their clips alike."""
    made = run(clips, render, **experiment)
    assert clips_of_a_pod(made, clips) == each
    assert Blocks.of(made).per_index == each


def test_a_retry_of_few_clips_spreads_them():
    assert Blocks.of(run(17_000), only="3,7,100-199").per_index == 1


@pytest.mark.parametrize(("device", "least", "most"), [("cpu", 10, 14), ("cuda", 0.5, 1.0)])
def test_the_estimate_is_near_what_was_measured_of_16_frames(device, least, most):
    assert least <= seconds_of_a_clip(run(1, {"device": device}, frames=16)) <= most
