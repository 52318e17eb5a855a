"""What a person types: status, watch, retry, and what the golden files are worth to the API server."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipfarm_contract.indexes import Indexes
from helpers.chart import DEFINITION
from helpers.cluster import ControlPlane, Namespace
from helpers.kubelet import End, Kubelet, index
from helpers.local import wait_until
from helpers.operators import CONFIG_MAPS, JOBS, RUNS, Operator, Runs, command


@pytest.fixture
def type_(definition: ControlPlane, namespace: Namespace):
    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        return command(definition, *arguments, "--namespace", namespace.name)

    return run


def test_status_says_where_a_run_stands_and_what_failed(runs: Runs, operator: Operator, type_):
    runs.create(clips=5, ends={3: [1]})
    runs.finished()
    done = type_("status", "run")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "run: CompletedWithFailures: rendered 4/5, failed 1, running 0",
        "  failed to render: clips 3: exit status 1",
    ]


def test_status_of_a_run_that_waits_says_for_what(runs: Runs, operator: Operator, type_):
    runs.create(suspend=True)
    wait_until(lambda: runs.status().get("phase") == "Suspended", "the run to be seen")
    wait_until(lambda: runs.condition("Progressing")["reason"] == "Suspended", "the reason")
    assert "waits (Suspended): spec.suspend is true; set it to false to start clips" in type_("status", "run").stdout


def test_a_run_that_no_operator_has_seen_says_so(runs: Runs, type_):
    runs.create()
    assert "no operator has seen it yet" in type_("status", "run").stdout


@pytest.mark.parametrize("what", [("status",), ("watch",), ("retry",)])
def test_a_run_that_is_not_there_is_a_mistake_in_the_command_line(runs: Runs, type_, what):
    done = type_(*what, "nobody")
    assert done.returncode == 2
    assert "nobody: there is no such run in the namespace" in done.stderr


def test_watch_follows_a_run_to_its_end(runs: Runs, operator: Operator, type_):
    runs.create(clips=6, workers=2, seconds="1")
    done = type_("watch", "run")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1].endswith("Succeeded: rendered 6/6, failed 0, running 0")
    assert len(lines) >= 3


def test_watch_says_with_its_exit_code_that_clips_have_failed(runs: Runs, operator: Operator, type_):
    runs.create(clips=2, ends={1: [1]})
    done = type_("watch", "run")
    assert done.returncode == 1
    assert "failed to render: clips 1: exit status 1" in done.stdout


def test_retry_makes_the_failed_clips_alone_again(definition: ControlPlane, driven: Namespace, start_operator):
    start_operator(driven)
    runs = Runs(driven)
    broken = {2, 5, 6}

    def outcome(pod: dict[str, Any]) -> End:
        [container] = pod["spec"]["containers"]
        source = next(each["valueFrom"] for each in container["env"] if each["name"] == "CLIPFARM_CLIPS")
        files = driven.get(CONFIG_MAPS, source["configMapKeyRef"]["name"])
        clips = list(Indexes.parse(files["data"][source["configMapKeyRef"]["key"]]))
        return End(1 if clips[index(pod)] in broken else 0)

    def lists() -> list[str]:
        return [each["data"]["clips"] for each in driven.list(CONFIG_MAPS, "clipfarm.dev/run=run")]

    def type_(what: str, *options: str) -> subprocess.CompletedProcess[str]:
        return command(definition, what, "run", *options, "--namespace", driven.name)

    with Kubelet(driven, outcome) as kubelet:
        runs.create(clips=8, workers=8)
        assert runs.finished()["failed"] == 3
        first = driven.get(JOBS, "run-render")["metadata"]["uid"]
        made = len(kubelet.started)

        broken.discard(5)
        done = type_("retry")
        assert (done.returncode, done.stdout) == (0, "run: tries again 3 clips to render (2,5-6)\n")
        assert "CompletedWithFailures: rendered 6/8, failed 2, running 0" in type_("watch").stdout
        assert driven.get(JOBS, "run-render")["metadata"]["uid"] != first
        status = runs.status()
        assert (status["phase"], status["rendered"], status["failed"]) == ("CompletedWithFailures", 6, 2)
        assert {entry["clips"] for entry in status["failures"]} == {"2,6"}
        assert lists() == ["2,5-6"], "that of the attempt before is gone"
        assert len(kubelet.started) == made + 3

        broken.clear()
        # Older versions asked for this option.
        assert type_("retry", "--failed").stdout == "run: tries again 2 clips to render (2,6)\n"
        wait_until(lambda: runs.status()["phase"] == "Succeeded", "the run to succeed")
        assert (runs.status()["rendered"], runs.status()["failed"]) == (8, 0)
        done = type_("retry")
        assert (done.returncode, done.stderr) == (2, "run: nothing has failed\n")

    driven.delete(RUNS, "run")
    wait_until(lambda: not lists(), "what its pods read to go with the run")


def test_a_run_whose_clips_all_fail_alike_ends_stays_so_and_retry_gets_it_out(
    definition: ControlPlane, driven: Namespace, start_operator
):
    operator: Operator = start_operator(driven)
    runs = Runs(driven)
    broken = {"run"}

    def outcome(pod: dict[str, Any]) -> End:
        if pod["metadata"]["labels"]["clipfarm.dev/run"] not in broken:
            return End()
        reason = f"no bean for clip {index(pod)}"
        return End(1, message=json.dumps({"clips": [{"index": index(pod), "exitCode": 1, "reason": reason}]}))

    with Kubelet(driven, outcome) as kubelet:
        runs.create(clips=30, workers=3, retry={"stopAfter": 5})
        status = runs.finished()
        why = "5 clips failed alike before the first was complete (retry.stopAfter): no bean for clip 0"
        assert (status["phase"], runs.condition("Ready")["message"]) == ("Failed", why)
        assert 5 <= status["failed"] == len(kubelet.started) <= 7, "two others were at work"
        wait_until(lambda: not runs.gated(), "the pods at their gates to go")

        operator.kill()
        for pod in runs.pods():
            driven.delete("v1/pods", pod["metadata"]["name"])
        wait_until(lambda: not runs.pods(), "what showed it to be gone")
        operator.start()
        runs.create("other", clips=2)
        assert runs.finished("other")["phase"] == "Succeeded"
        assert (runs.status()["phase"], runs.pods()) == ("Failed", [])
        assert runs.condition("Ready")["message"] == why

        broken.clear()
        done = command(definition, "retry", "run", "--namespace", driven.name)
        assert (done.returncode, done.stdout) == (0, "run: tries again 30 clips to render (0-29)\n")
        wait_until(lambda: runs.status()["phase"] == "Succeeded", "the run to succeed")
        assert (runs.status()["rendered"], runs.status()["failed"]) == (30, 0)


def test_what_goes_on_is_not_tried_again(runs: Runs, operator: Operator, type_):
    runs.create(clips=3, seconds="3600")
    wait_until(lambda: runs.status().get("phase") == "Running", "the run to go on")
    done = type_("retry", "run")
    assert done.returncode == 2
    assert "the run is Running: what failed can be tried again when it has finished" in done.stderr


def test_an_api_server_that_is_not_there_is_one_line(definition: ControlPlane, tmp_path):
    config = yaml.safe_load(Path(definition.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    elsewhere = ControlPlane.__new__(ControlPlane)
    elsewhere.kubeconfig = str(tmp_path / "kubeconfig")
    done = command(elsewhere, "status", "run")
    assert done.returncode == 3
    assert done.stderr.startswith("the API server does not answer: ")
    assert len(done.stderr.splitlines()) == 1
    elsewhere.kubeconfig = str(tmp_path / "nothing")
    done = command(elsewhere, "operator")
    assert done.returncode == 2
    assert done.stderr.startswith("no cluster: ")


def test_the_api_server_takes_what_the_golden_files_say(runs: Runs, kubectl, namespace: Namespace):
    golden = DEFINITION.parents[1] / "tests" / "golden"
    for path in sorted(golden.glob("*.yaml")):
        text = path.read_text().replace("namespace: default", f"namespace: {namespace.name}")
        done = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
        assert not done.returncode, done.stderr
        assert "Warning" not in done.stderr
