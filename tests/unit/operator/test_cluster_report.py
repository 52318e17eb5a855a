"""The report of a run in a cluster: what is on the volume, and what is not."""

import json
from datetime import datetime

import pytest
from click.testing import CliRunner

from clipfarm.cli.report import report as command
from clipfarm.local.cluster_report import Ended, write
from clipfarm_contract.encoder_counts import Counts
from clipfarm_contract.encoder_progress import EncoderProgress
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder

STATUS = {
    "phase": "Succeeded", "total": 4, "rendered": 4, "encoded": 4, "failed": 0,
    "completionTime": "2026-01-01T01:00:00Z",
}  # fmt: skip


def ended(model="vjepa2_tiny16", created="2026-01-01T00:30:00+00:00", asked=None, **status):
    since = datetime.fromisoformat(created) if created else None
    return Ended("friction", "team", Indexes.parse("0-3"), 2, asked, model, since, STATUS | status)


def encoder_log(folder, name, encoded, seconds, model="vjepa2_tiny16"):
    log = EncoderProgress(
        clips=Counts(waiting=0, encoding=0, encoded=encoded, skipped=0, found=encoded),
        failures=(),
        model=model,
        weights={"source": "random"},
        device="cpu",
        dtype="float16",
        seconds={"encode": seconds, "total": seconds},
        clips_per_second=1.0,
    )
    path = folder.state / "encode" / "friction" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(log.to_json()))


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def written(folder, run):
    write(folder, run)
    return json.loads((folder.root / "report.json").read_text()), (folder.root / "report.md").read_text()


def test_a_run_that_left_nothing_but_its_status_has_a_report(folder):
    found, text = written(folder, ended())
    assert (found["wallSeconds"], found["clipsPerHour"]) == (1800.0, 8.0)
    assert (found["encode"], found["versions"], found["machine"]) == (None, {}, None)
    assert text.startswith("# Run friction: Succeeded\n\n- clips: 4 of 4 rendered, 4 encoded, 0 failed\n")
    assert "- time: 30m 00s with workers of 2 threads, 8.0 clips an hour\n- cluster: namespace team\n" in text


def test_a_time_that_is_not_known_is_left_out(folder):
    found, text = written(folder, ended(created=""))
    assert (found["wallSeconds"], found["clipsPerHour"]) == (None, None)
    assert "- time: not known, with workers of 2 threads" in text


@pytest.mark.parametrize(
    ("asked", "settled", "said"), [(3, None, "3 workers"), (None, 12, "12 workers"), (3, 12, "3 workers")]
)
def test_workers_are_those_that_the_run_asked_for_else_those_that_the_operator_settled(folder, asked, settled, said):
    found, text = written(folder, ended(asked=asked, **({"workers": settled} if settled else {})))
    assert f"- time: 30m 00s with {said} of 2 threads" in text
    assert found["workers"] == int(said.split()[0])


def test_encoders_of_this_run_are_added_up_also_those_that_were_there_one_after_the_other(folder):
    encoder_log(folder, "a", 3, 30.0)
    encoder_log(folder, "b", 1, 10.0)
    encoder_log(folder, "idle", 0, 5.0)
    encoder_log(folder, "other", 9, 1.0, model="vjepa2_vitl16")
    (folder.state / "encode" / "friction" / "torn.json").write_text("{")
    found, text = written(folder, ended())
    assert (found["encode"]["encoders"], found["encode"]["seconds"]["encode"]) == (2, 40.0)
    assert found["encode"]["clips_per_second"] == pytest.approx(4 / 45, abs=1e-3)
    assert "- 2 x vjepa2_tiny16 on cpu" in text
    assert written(folder, ended(model=""))[0]["encode"] is None


@pytest.mark.parametrize(
    "odd", [{"clips": 3}, {"seconds": "long"}, {"seconds": {"total": "long"}}, {"clips_per_second": []}, {"weights": 1}]
)
def test_a_file_beside_them_with_values_that_cannot_be_is_no_encoders(folder, odd):
    encoder_log(folder, "a", 3, 30.0)
    place = folder.state / "encode" / "friction"
    (place / "odd.json").write_text(json.dumps(json.loads((place / "a.json").read_text()) | odd))
    found, _ = written(folder, ended())
    assert (found["encode"]["encoders"], found["encode"]["seconds"]["encode"]) == (1, 30.0)


def test_versions_are_those_of_the_first_clip_that_says_them(folder):
    clip = folder.clip(2)
    clip.folder.mkdir(parents=True)
    clip.ground_truth.write_text(json.dumps({"versions": {"bpy": "4.2.0"}}))
    found, text = written(folder, ended())
    assert found["versions"] == {"bpy": "4.2.0"}
    assert "- versions: bpy 4.2.0\n" in text


def test_what_a_person_has_to_fix_is_in_it(folder):
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Stuck",
        "message": "the encoder ended with 2: no weights",
    }
    _, text = written(folder, ended(phase="CompletedWithFailures", conditions=[condition]))
    assert "- to be fixed: the encoder ended with 2: no weights\n" in text


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({}, 0, ""),
        ({"--status": "{"}, 2, "report: "),
        ({"--clips": "x"}, 2, 'report: found "x", expected ranges'),
        ({"--created": "yesterday"}, 2, "report: Invalid isoformat string"),
        ({"--output": "file"}, 1, "report: "),
    ],
)
def test_the_command_ends_with_a_line_and_a_code(tmp_path, changed, code, message):
    (tmp_path / "file").write_text("")
    options = {"--output": "clips", "--name": "friction", "--namespace": "team", "--clips": "0-3"}
    options |= {"--created": "2026-01-01T00:30:00Z", "--status": json.dumps(STATUS)} | changed
    options["--output"] = str(tmp_path / options["--output"])
    done = CliRunner().invoke(command, [part for pair in options.items() for part in pair])
    assert (done.exit_code, done.output.startswith(message)) == (code, True), done.output
