"""A run that asks for an export: who makes it, when, what its status says, and what becomes of it after a change."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from clipfarm_contract.export_end import ExportEnd
from helpers.cluster import Namespace, Object
from helpers.kubelet import End, Kubelet, end_pod
from helpers.local import CLIPFARM, wait_until
from helpers.operators import EVENTS, JOBS, Operator, Runs
from helpers.run_folder import make_run

ASKED = {"format": "webdataset", "license": "cc-by-4.0", "name": "Pushed squares"}


def state(runs: Runs) -> Object:
    return runs.status().get("export", {})


def exporter(namespace: Namespace, *but: str) -> Object:
    """Wait until a pod of an export runs, beside those named, and return it."""

    def look() -> Object | None:
        pods = namespace.pods("clipfarm.dev/run=run,clipfarm.dev/role=export")
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        return next((pod for pod in running if pod["metadata"]["name"] not in but), None)

    return wait_until(look, "a pod of the export to run")


def carry_out(pod: Object, volume: Path, folder: Path) -> End:
    """Run what the pod's container would, with the volume at its places; return how it ends."""
    [container] = pod["spec"]["containers"]
    message = folder / "termination-log"
    message.unlink(missing_ok=True)
    places = {"/clips": str(volume), "/export/exports/run-webdataset": str(folder / "data set")}
    given = [places.get(each, each).replace("/dev/termination-log", str(message)) for each in container["args"]]
    done = subprocess.run([*CLIPFARM, "export", *given], capture_output=True, text=True, check=False, timeout=120)
    return End(done.returncode, message=message.read_text())


def test_a_run_is_exported_when_it_has_ended_and_again_when_something_else_is_asked_for(
    driven: Namespace, definition: object, start_operator: Callable[..., Operator], tmp_path: Path
):
    runs, operator = Runs(driven), start_operator(driven)
    volume = make_run(tmp_path / "clips", 3)
    volume.clip(1).folder.rename(tmp_path / "elsewhere")
    runs.create(clips=3, export=ASKED)
    wait_until(lambda: state(runs).get("phase") == "Waiting", "the export to wait")
    assert runs.condition("Exported")["message"] == "it begins when the run has ended"
    with Kubelet(driven, lambda pod: End(_code(pod))):
        assert runs.finished()["phase"] == "CompletedWithFailures"

    first = exporter(driven)
    wait_until(lambda: state(runs)["phase"] == "Running", "the export to be seen at work")
    assert state(runs)["message"] == "`kubectl logs job/run-export` shows how far it is"
    end_pod(driven, first["metadata"]["name"], carry_out(first, volume.root, tmp_path))
    wait_until(lambda: runs.condition("Exported")["status"] == "True", "the export to be complete")
    found = state(runs)
    assert (found["phase"], found["clips"], found["leftOut"]) == ("Succeeded", 2, 1)
    assert found["message"].endswith("left out 1: clip 1: was not made")
    assert found["bytes"] == sum(path.stat().st_size for path in (tmp_path / "data set").rglob("*") if path.is_file())
    # An Event comes after the status that it reports.
    told = lambda: [each["message"] for each in driven.list(EVENTS) if each["reason"] == "Exported"]  # noqa: E731
    wait_until(lambda: told() == [found["message"]], "the Event")

    # It is not made again, whatever becomes of its Job and of the operator.
    driven.delete(JOBS, "run-export")
    operator.kill()
    operator.start()
    runs.patch(vram={"high": 0.9})
    wait_until(lambda: runs.status()["observedGeneration"] == runs.get()["metadata"]["generation"], "the change")
    assert "run-export" not in _jobs(driven)
    assert state(runs) == found

    # Something else is another export; what is refused is not tried again, and the reason is in one line.
    runs.patch(export={"format": "hf", "destination": "exports/run-webdataset"})
    second = exporter(driven, first["metadata"]["name"])
    end = carry_out(second, volume.root, tmp_path)
    assert end.exit_code == 2
    end_pod(driven, second["metadata"]["name"], end)
    wait_until(lambda: state(runs)["phase"] == "Failed", "the refusal")
    assert ExportEnd.parse(end.message).error in state(runs)["message"]
    assert "export.replace: true" in runs.condition("Exported")["message"]
    assert runs.status()["phase"] == "CompletedWithFailures"

    # The Job is deleted to try again, and it goes with the field.
    driven.delete(JOBS, "run-export")
    third = exporter(driven, first["metadata"]["name"], second["metadata"]["name"])
    assert third["metadata"]["name"] != second["metadata"]["name"]
    runs.patch(export=None)
    wait_until(lambda: "run-export" not in _jobs(driven), "the Job to go")
    wait_until(lambda: "export" not in runs.status(), "the status to forget it")


def _code(pod: Object) -> int:
    """Clip 1 fails."""
    return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1")


def _jobs(namespace: Namespace) -> list[str]:
    return [each["metadata"]["name"] for each in namespace.list(JOBS)]
