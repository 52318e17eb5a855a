"""The report that a run leaves on its volume: who writes it, how often, and what becomes of a run without it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.result import ClipResult
from helpers.cluster import ApiError, Namespace, Object
from helpers.local import CLIPFARM, wait_until
from helpers.operators import JOBS, RUNS, Operator, Runs, command


def report_job(namespace: Namespace) -> Object | None:
    try:
        return namespace.get(JOBS, "run-report")
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def carry_out(job: Object, volume: Path) -> None:
    """Run what the Job's container would, with the volume at its place."""
    [container] = job["spec"]["template"]["spec"]["containers"]
    arguments = [str(volume) if each == "/clips" else each for each in container["args"]]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    done = subprocess.run(
        [*CLIPFARM, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert not done.returncode, done.stderr


@pytest.fixture
def volume(tmp_path: Path) -> RunFolder:
    """Of a run of three clips, of which the second failed."""
    folder = RunFolder(tmp_path / "clips")
    (folder.state / "results").mkdir(parents=True)
    for clip, code in ((0, ExitCode.OK), (1, ExitCode.FAILED), (2, ExitCode.OK)):
        result = ClipResult(clip, code, "", {"render": 10.0 + clip, "total": 20.0}, 30.0, 400.0)
        folder.result(clip).write_text(json.dumps(result.to_json()))
    return folder


def test_a_run_that_has_ended_leaves_a_report_once_for_each_attempt_and_also_over_a_restart(
    runs: Runs, operator: Operator, definition, volume: RunFolder
):
    runs.create(clips=3, ends={"1": [1]}, annotations={"clipfarm.test/message": "exit status 1"})
    status = runs.finished()
    assert status["phase"] == "CompletedWithFailures"
    job = wait_until(lambda: report_job(runs.namespace), "the report's Job")
    carry_out(job, volume.root)
    report = json.loads((volume.root / "report.json").read_text())
    assert (report["run"], report["phase"], report["clips"]["rendered"]) == ("run", "CompletedWithFailures", 2)
    assert report["failures"] == status["failures"]
    assert report["secondsPerClip"]["render"] == {"min": 10.0, "median": 11.0, "max": 12.0}
    text = (volume.root / "report.md").read_text()
    assert "- clips: 2 of 3 rendered, 0 encoded, 1 failed" in text
    assert f"- cluster: namespace {runs.namespace.name}" in text
    assert (volume.state / "reports" / "run.md").read_text() == text

    operator.kill()
    operator.start()
    wait_until(lambda: operator.log().count("/metrics at ") == 2, "the operator to be there again")
    runs.patch(vram={"high": 0.9})
    wait_until(lambda: runs.status()["observedGeneration"] == 2, "the run to be looked at again")
    assert report_job(runs.namespace)["metadata"]["uid"] == job["metadata"]["uid"]

    assert command(definition, "retry", "run", "--namespace", runs.namespace.name).returncode == 0
    again = wait_until(
        lambda: (found := report_job(runs.namespace)) and found["metadata"]["uid"] != job["metadata"]["uid"] and found,
        "another report after another attempt",
    )
    assert again["metadata"]["annotations"]["clipfarm.dev/attempt"] == "2.1"


def test_a_run_whose_time_is_over_goes_after_its_report(runs: Runs, operator: Operator):
    runs.create(clips=1, ttlAfterFinished="0s")
    wait_until(lambda: not runs.namespace.list(RUNS), "the run to go")
    assert "made the report Job" in operator.log()


def test_a_report_that_cannot_be_written_keeps_no_run_from_ending(runs: Runs, operator: Operator, kubectl):
    done = kubectl("create", "quota", "jobs", "--hard=count/jobs.batch=1")
    assert not done.returncode, done.stderr
    wait_until(lambda: "count/jobs.batch" in kubectl("get", "quota", "jobs", "-o", "yaml").stdout, "the quota")
    runs.create(clips=2, ends={"0": [1]})
    assert runs.finished()["phase"] == "CompletedWithFailures"
    wait_until(lambda: "cannot create the report Job run-report" in operator.log(), "the operator to try")
    assert runs.condition("Ready")["reason"] == "CompletedWithFailures"
    assert report_job(runs.namespace) is None
