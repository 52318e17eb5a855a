"""What `clipfarm retry` writes into a run, also where much has failed."""

from typing import Any

import pytest

from clipfarm.cluster.acting.retrying import NothingToRetryError, annotations
from clipfarm.manifests.blocks import Blocks
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import CLIPS_PER_POD_ANNOTATION, ONLY_ANNOTATION
from helpers.runs import document, make_run


def ended(clips: int, **spec: Any) -> dict[str, Any]:
    """Return a run of which some clips have failed, with one clip for each pod."""
    return document(clips, **{"render": {"clipsPerPod": 1}} | spec) | {"status": {"phase": "CompletedWithFailures"}}


def job(failed: str, indexes: int, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    completed = Indexes.between(0, indexes - 1).without(Indexes.parse(failed))
    status = {"completedIndexes": str(completed), "failedIndexes": failed}
    return {"metadata": {"annotations": annotations or {}}, "spec": {}, "status": status}


def test_every_second_of_50000_clips_can_be_tried_again():
    failed = Indexes.of(range(1, 50_000, 2))
    made, said = annotations(ended(50_000), job(str(failed), 50_000))
    assert len(made[ONLY_ANNOTATION]) < 100, "the run is written once a second"
    assert Blocks.of(make_run(50_000), made[ONLY_ANNOTATION]).clips == failed
    assert said == "25000 clips to render (" + str(failed)[:60] + "...)"


def test_a_few_clips_stay_readable():
    made, _ = annotations(ended(10), job("2,5-6", 10))
    assert made[ONLY_ANNOTATION] == "2,5-6"


def test_a_failed_index_stands_for_the_clips_that_its_job_gave_it():
    made, _ = annotations(ended(20), job("1", 5, {CLIPS_PER_POD_ANNOTATION: "4"}))
    assert made[ONLY_ANNOTATION] == "4-7"


def test_an_index_that_failed_by_the_operators_count_alone_is_tried_again_too():
    unfinished = job("", 5, {CLIPS_PER_POD_ANNOTATION: "4"})
    unfinished["status"]["completedIndexes"] = "0,2-4"
    made, _ = annotations(ended(20), unfinished)
    assert made[ONLY_ANNOTATION] == "4-7"


def test_a_list_that_fits_into_no_config_map_is_refused_with_what_to_do():
    every_second = job(str(Indexes.of(range(1, 100_000, 2))), 100_000)
    with pytest.raises(NothingToRetryError, match=r"found 1500000 clips in 50000 separate ranges, .*make a new run"):
        annotations(ended(3_000_000, render={"clipsPerPod": 30}), every_second)


def test_an_annotation_that_makes_no_sense_is_refused_in_a_line():
    run = ended(10)
    run["metadata"]["annotations"] = {ONLY_ANNOTATION: "beans"}
    with pytest.raises(NothingToRetryError, match="found beans, expected clips from 0 to 9"):
        annotations(run, job("1", 10))
