"""Names of what is made for a run: as people expect them, and shortened only where length allows nothing else."""

import re

import pytest

from clipfarm.manifests import job
from clipfarm.manifests.common import shortened
from helpers.runs import make_run

LONGEST = "a" * 52


@pytest.mark.parametrize(
    ("name", "clips", "expected"),
    [
        pytest.param("friction", 17_000, "friction-render", id="as ever"),
        pytest.param("a" * 50, 17_000, "a" * 50 + "-render", id="the longest that fits with five digits"),
        pytest.param(LONGEST, 10, LONGEST + "-render", id="and with one"),
    ],
)
def test_a_job_has_the_name_of_its_run(name: str, clips: int, expected: str):
    run = make_run(clips)
    assert job.name(run.model_copy(update={"metadata": run.metadata.model_copy(update={"name": name})})) == expected


@pytest.mark.parametrize("clips", [1, 11, 17_000, 100_000, 1_000_000])
def test_host_names_of_a_jobs_pods_fit(clips: int):
    run = make_run(clips)
    named = run.model_copy(update={"metadata": run.metadata.model_copy(update={"name": LONGEST})})
    last = min(clips, 100_000) - 1
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", f"{job.name(named)}-{last}")


def test_names_that_are_shortened_stay_different():
    ends = [f"{'a' * 60}{letter}" for letter in "bcd"]
    made = {shortened(name, 40) for name in ends}
    assert len(made) == 3
    assert all(len(name) <= 40 for name in made)
    assert shortened("fits", 4) == "fits"
