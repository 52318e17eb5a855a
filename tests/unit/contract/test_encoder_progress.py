"""What an encoder reports of itself: what it writes is what operators read, of this version and of others."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm_contract.encoder_counts import Counts, SetProgress
from clipfarm_contract.encoder_progress import EncoderProgress, Failure, State
from clipfarm_contract.fields import ContractError, dump
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.video_listing import Listing

PROGRESS = EncoderProgress(
    clips=Counts(found=9, waiting=3, encoding=2, encoded=2, skipped=1),
    failures=(Failure("clip_00003", "rgb: missing"),),
    sets=(SetProgress("mean", Counts(9, 0, 0, 0, 9), 0, "vjepa2_vitl16", "clip"),),
    absent=Indexes.parse("9-16999"),
    foreign=1,
    state=State.RUNNING,
    model="vjepa2_vitl16",
    weights={"source": "random"},
    device="cuda",
    dtype="float16",
    seconds={"io": 1.25, "total": 10.4},
    clips_per_second=0.192,
    devices=({"name": "cuda:0", "model_flop_utilisation": None},),
)
WRITTEN = (
    '{"model": "vjepa2_vitl16", "weights": {"source": "random"}, "device": "cuda", "dtype": "float16", '
    '"state": "running", '
    '"clips": {"found": 9, "waiting": 3, "encoding": 2, "encoded": 2, "skipped": 1, "failed": 1}, '
    '"sets": [{"name": "mean", "model": "vjepa2_vitl16", "context": "clip", '
    '"clips": {"found": 9, "waiting": 9, "encoding": 0, "encoded": 0, "skipped": 0, "failed": 0}}], '
    '"foreign": 1, "absent": "9-16999", "failures": [{"clip": "clip_00003", "reason": "rgb: missing"}], '
    '"seconds": {"io": 1.25, "total": 10.4}, "clips_per_second": 0.192, '
    '"devices": [{"name": "cuda:0", "model_flop_utilisation": null}]}'
)
VIDEOS = {"found": 1, "clips": 1, "passed_over": 0, "reasons": []}
LEAST = {"clips": {"waiting": 0, "encoding": 0, "encoded": 0, "skipped": 0}, "failures": []}


def test_an_answer_is_these_bytes():
    assert json.dumps(PROGRESS.to_json()) == WRITTEN


def test_an_encoder_that_cuts_videos_adds_what_it_found():
    listing = Listing.of(3, 4, {"b.webm": "no video", "a.mp4": "x" * 1000})
    made = replace(PROGRESS, videos=listing)
    written = made.to_json()
    assert written["videos"] == {
        "found": 3,
        "clips": 4,
        "passed_over": 2,
        "reasons": [{"video": "a.mp4", "reason": "x" * 300}, {"video": "b.webm", "reason": "no video"}],
    }
    assert EncoderProgress.parse(json.loads(json.dumps(written))) == made


def test_what_was_written_is_read_back(tmp_path):
    assert EncoderProgress.parse(json.loads(WRITTEN)) == PROGRESS
    path = tmp_path / "encode.json"
    path.write_text(dump(PROGRESS.to_json()))
    assert EncoderProgress.read(path) == PROGRESS


@given(
    st.builds(
        EncoderProgress,
        clips=st.builds(Counts, *[st.integers(0, 99)] * 4, found=st.none() | st.integers(0, 999)),
        failures=st.lists(st.builds(Failure, st.text(), st.text()), max_size=3).map(tuple),
        absent=st.none() | st.sets(st.integers(0, 99)).map(Indexes.of),
        state=st.none() | st.sampled_from(State),
        model=st.none() | st.text(),
    )
)
def test_what_is_not_known_stays_unknown(progress):
    assert EncoderProgress.parse(json.loads(json.dumps(progress.to_json()))) == progress


def test_what_a_later_version_adds_is_passed_over_and_what_an_earlier_one_lacks_is_unknown():
    later = json.loads(WRITTEN) | {"state": "resting", "queue": 3}
    later["clips"]["queued"] = 1
    later["failures"][0]["code"] = 7
    read = EncoderProgress.parse(later)
    assert (read.state, read.clips, read.failures) == (None, PROGRESS.clips, PROGRESS.failures)
    earlier = EncoderProgress.parse(LEAST)
    assert (earlier.absent, earlier.state, earlier.model, earlier.clips.found) == (None, None, None, None)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (7, "progress: found 7, expected an object"),
        ({}, "progress.clips: missing, expected an object"),
        (LEAST | {"clips": {}}, "progress.clips.waiting: missing, expected a whole number"),
        (LEAST | {"state": 3}, "progress.state: found 3, expected a string"),
        (LEAST | {"seconds": {"io": "long"}}, 'progress.seconds.io: found "long", expected a number'),
        (LEAST | {"clips_per_second": []}, "progress.clips_per_second: found [], expected a number"),
        (LEAST | {"weights": "random"}, 'progress.weights: found "random", expected an object'),
        (LEAST | {"devices": {}}, "progress.devices: found {}, expected a list"),
        (LEAST | {"videos": []}, "progress.videos: found [], expected an object"),
        (LEAST | {"videos": VIDEOS | {"clips": -1}}, "progress.videos.clips: found -1, expected 0 to 10000000"),
        (
            LEAST | {"videos": VIDEOS | {"reasons": [{}]}},
            "progress.videos.reasons[0].video: missing, expected a string",
        ),
        (LEAST | {"foreign": True}, "progress.foreign: found true, expected a whole number"),
    ],
)
def test_what_is_no_such_document_is_refused_by_its_field(document, problem):
    with pytest.raises(ContractError) as refused:
        EncoderProgress.parse(document)
    assert str(refused.value) == problem


def test_what_lies_in_its_place_and_is_no_such_document_is_refused(tmp_path):
    path = tmp_path / "encode.json"
    with pytest.raises(FileNotFoundError):
        EncoderProgress.read(path)
    for text in ("", "{", "[1]", '{"clips": NaN}'):
        path.write_text(text)
        with pytest.raises(ContractError, match=r"^encode\.json: "):
            EncoderProgress.read(path)


@pytest.mark.parametrize(("name", "index"), [("clip_00042", 42), ("clip_42", None), ("clip_" + "9" * 2000, None)])
def test_a_failure_names_a_clip_by_its_folder(name, index):
    assert Failure(name, "").index == index
