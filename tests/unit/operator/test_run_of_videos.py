"""A run of videos in a cluster: how many clips it has is unknown until an encoder has listed the videos."""

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from clipfarm.cli.plan import plan
from clipfarm.cluster.acting.retrying import annotations
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.memory import DeploymentView
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.encoders import Progress, follow
from clipfarm.cluster.reporting.events import notices
from clipfarm.cluster.reporting.status import run_status
from clipfarm.cluster.reporting.summary import lines
from clipfarm.decide.plan import decide
from clipfarm.local.report_text import markdown
from clipfarm.manifests import encoder
from clipfarm.manifests.common import Images, Owner
from clipfarm.run import Run
from clipfarm.source import Videos
from clipfarm.world import EarlyEnd, Encoding, Moment, Node, World
from clipfarm_contract.exit_codes import EncoderExitCode
from clipfarm_contract.video_listing import Listing
from helpers.bad_runs import OF_VIDEOS

DOCUMENT: dict[str, Any] = {
    "apiVersion": "clipfarm.dev/v1alpha1",
    "kind": "BenchmarkRun",
    "metadata": {"name": "robot"},
    "spec": OF_VIDEOS | {"storage": {"claimName": "clips"}},
}
RUN = Run.model_validate(DOCUMENT)
LISTING = Listing.of(3, 4, {"noise.webm": "no video"})


def tracked(status: dict[str, Any] | None = None, encode_attempt: str = "") -> Tracked:
    made = Tracked(Asked(RUN, Owner("ns", "u", {}, encode_attempt=encode_attempt), 1), status or {})
    made.answers.claim = "Bound"
    made.memory = replace(made.memory, deployment=DeploymentView("robot-encode", "u", 1, "", ""))
    return made


def status(of: Tracked, **encoding: Any) -> dict[str, Any]:
    """The status that is written, where encoders are as ``encoding`` says."""
    listing = of.encoding.listing
    seen = Encoding(listing=listing is None, passed_over=listing.passed_over if listing else 0, **encoding)
    clips = listing.clips if listing else 0
    world = World(Moment(1000.0, 0.0), (Node("n", 8, ()),), 0, 0, (), encoding=seen, complete_clips=clips)
    return run_status(of, world, decide(RUN, world), 1.8e9)


def test_until_videos_are_listed_the_number_of_clips_is_unknown():
    run = tracked()
    found = status(run, asked=1, running=1)
    assert (found["phase"], found["reason"], found["encoded"]) == ("Encoding", "Listing", 0)
    assert not {"total", "rendered", "workers", "videos"} & found.keys()
    follow(run, [], [Progress(1, {}, 3, listing=LISTING)], "", 1000.0)
    found = status(run, asked=1, running=1, encoded=1, answering=1, left=3)
    assert (found["phase"], found["total"], found["encoded"]) == ("Encoding", 4, 1)
    assert found["videos"] == {
        "found": 3, "passedOver": 1, "reasons": [{"video": "noise.webm", "reason": "no video"}]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("listing", "failed", "phase", "words"),
    [
        (Listing(2, 4), {}, "Succeeded", "every clip is done"),
        (LISTING, {}, "CompletedWithFailures", "of 3 videos 1 was passed over: see status.videos; `clipfarm retry "),
        (LISTING, {3: "it ends"}, "CompletedWithFailures", "some clips failed for good: see status.failures; of 3"),
    ],
)
def test_a_run_ends_with_failures_if_a_video_was_passed_over(listing, failed, phase, words):
    run = tracked()
    run.encoding.listing = listing
    found = status(run, encoded=4 - len(failed), failed=failed, answering=1, left=0)
    assert found["phase"] == phase
    [ready] = [each for each in found["conditions"] if each["type"] == "Ready"]
    assert ready["message"].startswith(words)


def test_what_people_read_of_a_run_whose_videos_are_listed_and_of_one_of_which_some_were_passed_over():
    run = tracked()
    listed = status(run, asked=1, running=1)
    message = "the encoder lists the videos in lab; it is not known yet how many clips they give"
    assert [each.message for each in notices({}, listed)] == [message]
    run.encoding.listing = LISTING
    ended = status(run, encoded=4, answering=1, left=0)
    assert [each.message for each in notices(listed, ended)] == ["4 of 4 clips encoded, 0 failed; 1 video passed over"]
    document = RUN.model_dump(mode="json", by_alias=True, exclude_none=True)
    document["metadata"] |= {"generation": 1}
    assert list(lines(document | {"status": listed}, 1.8e9)) == [
        "robot: Encoding: encoded 0/?, failed 0", f"  {message}"
    ]  # fmt: skip
    assert list(lines(document | {"status": ended}, 1.8e9)) == [
        "robot: CompletedWithFailures: encoded 4/4, failed 0, videos passed over 1",
        "  passed over noise.webm: no video",
    ]


def test_a_folder_that_cannot_be_listed_ends_the_run_with_the_encoders_words():
    end = EarlyEnd(EncoderExitCode.USAGE, "clipfarm-encode: --videos: /clips/lab: not found")
    found = status(tracked(), asked=1, early_ends=(end,))
    assert (found["phase"], "total" in found) == ("Failed", False)
    [ready] = [each for each in found["conditions"] if each["type"] == "Ready"]
    assert ready["message"] == "the encoder ended with 2: clipfarm-encode: --videos: /clips/lab: not found"
    assert {each.message for each in notices({}, found)} == {ready["message"]}


@pytest.mark.parametrize(
    ("rate", "option"), [(8, "8"), (8.0, "8"), (29.97002997, "29.97002997"), (0.1, "0.1"), (1e-7, "1e-07")]
)
def test_a_frame_rate_reaches_the_encoder_to_its_last_digit(rate, option):
    assert Videos.model_validate({"folder": "lab", "frameRate": rate}).fps() == ["--fps", option]
    assert float(option) == rate


def test_what_concerns_rendering_alone_does_not_reach_the_encoder_of_videos():
    given = DOCUMENT | {"spec": DOCUMENT["spec"] | {"render": {"command": ["python", "mine.py"]}}}
    made = encoder.deployment(Run.model_validate(given), Owner("ns", "u", {}), Images(), 1)
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert not {"--seed", "--", "mine.py"} & set(container["args"])  # clipfarm-encode takes no command without a seed


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--seed", "5"], "--seed"),
        (["--start-job", "3"], "--start-job"),  # the file has no clips that it could change
        (["--no-gif", "--end-job", "4"], "--end-job, --no-gif"),
        (["--no-encode", "--workers", "2"], "--workers, --no-encode"),
    ],
)
def test_options_about_rendering_are_refused_by_their_names(options, named, tmp_path):
    (tmp_path / "run.yaml").write_text(json.dumps(DOCUMENT))
    done = CliRunner().invoke(plan, [str(tmp_path / "run.yaml"), *options])
    assert (done.exit_code, done.output.splitlines()) == (
        2, [f"{named}: expected only with an experiment; this run has a source"]
    )  # fmt: skip


def test_what_was_listed_outlives_the_operator_and_another_attempt_lists_again():
    run = tracked()
    run.encoding.listing = LISTING
    written = status(run, encoded=4, answering=1, left=0)
    assert tracked(written).encoding.listing == LISTING
    assert tracked(written, encode_attempt="2").encoding.listing is None
    run.update(Asked(RUN, replace(run.owner, encode_attempt="2"), 1))
    assert run.encoding.listing is None


def test_another_attempt_can_be_asked_for_if_a_video_was_passed_over():
    run = tracked()
    run.encoding.listing = LISTING
    found = status(run, encoded=4, answering=1, left=0)
    document = RUN.model_dump(mode="json", by_alias=True, exclude_none=True) | {"status": found}
    made, said = annotations(document, None)
    assert made == {"clipfarm.dev/encode-attempt": "2"}
    assert said == "the videos that were passed over"


def test_the_report_names_the_videos_and_nothing_that_is_rendered():
    run = tracked()
    run.encoding.listing = LISTING
    found = status(run, encoded=4, answering=1, left=0)
    report = {
        "run": "robot", "state": "finished", "phase": found["phase"], "videos": found["videos"],
        "clips": {"total": 4, "rendered": None, "completeBefore": None, "encoded": 4, "failed": 0},
        "failures": [], "stuck": "", "workers": None, "threads": 1, "wallSeconds": 60.0, "clipsPerHour": None,
        "peakRssMiB": None, "madeOn": [], "secondsPerClip": {}, "cpuSecondsPerClip": None, "encode": None,
        "versions": {}, "cluster": {"namespace": "ns"},
    }  # fmt: skip
    assert markdown(report) == (
        "# Run robot: CompletedWithFailures\n\n- clips: 4 of videos, 4 encoded, 0 failed\n- time: 1m 00s\n"
        "- cluster: namespace ns\n\n## Videos\n\n- 3 found, 1 of them passed over\n- noise.webm: no video\n\n"
        "## Failed clips\n\nnone\n"
    )
