"""What becomes of a run's export: which request it needs, and what its status says, from the objects that are there."""

from typing import Any

import pytest

from clipfarm.cluster.acting import exporting as acting
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.export_pods import ExportPod, export_pod
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.exporting import exporting
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.exporting import export_status
from clipfarm.manifests import export
from clipfarm.manifests.common import Images, Owner
from clipfarm.status_parts import ExportStatus
from clipfarm_contract.export_end import ExportEnd
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run

KEY, WALL, OWNER = ("ns", "test"), 1.8e9, Owner("ns", "run-1", {})
ASKED = {"format": "hf", "license": "mit"}
END = ExportEnd(97, 12, 2**20, 3, ("clips 4,7-8: failed to render: black",))
RUN = make_run(100, storage={"claimName": "clips"}, export=ASKED)
NOW = export.asked(RUN, OWNER)


def job(*, asked: str = NOW, **fields: Any) -> JobView:
    base = {"parallelism": 1, "suspended": False, "deleting": False, "completed": Indexes(), "failed": Indexes()}
    return JobView(KEY, "job-1", fields.pop("owner", "run-1"), attempt=asked, **base | fields)


def pod(state: str, at: float = 0.0, **fields: Any) -> ExportPod:
    return ExportPod(KEY, "job-1", state, at, **fields)


def tracked(*there: JobView | ExportPod, status: dict[str, Any] | None = None, run: Any = RUN) -> Tracked:
    store, made = Store(), Tracked(Asked(run, OWNER, 1), status or {})
    for number, view in enumerate(there):
        (store.exports if isinstance(view, JobView) else store.export_pods).put(str(number), view)
    object.__setattr__(made.memory, "exporting", exporting(run, OWNER, made.status, store))
    return made


def status_of(scene: Tracked, wall: float, *, finished: bool) -> ExportStatus | None:
    refusal = scene.work.refused.get(export.KIND, "")
    return export_status(scene.asked, scene.memory.exporting, refusal, wall, finished=finished)


def change(scene: Tracked, *, ended: bool) -> Change | None:
    return acting.export_change(scene.asked, scene.memory.exporting, Images(), ended=ended)


def state(*there: Any, finished: bool = True, before: dict[str, Any] | None = None, why: str = "") -> tuple[Any, str]:
    scene = tracked(*there, status={"export": before} if before else None)
    scene.work.refused |= {export.KIND: why} if why else {}
    found = status_of(scene, WALL, finished=finished)
    assert found is not None
    return found.phase, found.message


MADE = status_of(tracked(job(complete=True, ended=True), pod("Succeeded", end=END)), WALL, finished=True)
BEFORE = MADE.model_dump(mode="json", by_alias=True, exclude_none=True)
LOST = pod("Failed", reason="exit status 1; last line: s3://b/a: timed out; the same command continues")
TRIES = "`kubectl delete job test-export` tries again"

TABLE = [
    # whether the run has ended, what is there, what the status said before; phase, part of the message
    (False, [], None, "Waiting", "it begins when the run has ended"),
    (True, [], None, "Pending", "its Job is being created"),
    (True, [job()], None, "Pending", "its pod is being created"),
    (True, [job(), pod("Starting")], None, "Pending", "its pod is starting"),
    (True, [job(), pod("Starting", trouble="ImagePullBackOff: no")], None, "Pending", "ImagePullBackOff: no"),
    (True, [job(), pod("Running")], None, "Running", "`kubectl logs job/test-export` shows how far it is"),
    (True, [job(), LOST, pod("Running", 1.0)], None, "Running", "attempt 2 of 4, after: exit status 1; last line: s3:"),
    (True, [job(), LOST], None, "Pending", "attempt 2 of 4, after: exit status 1"),
    (True, [job(ended=True), LOST], None, "Failed", f"exit status 1; last line: s3://b/a: timed out; the same command"
     f" continues; after a fix, {TRIES}"),
    (True, [job(ended=True)], None, "Failed", "`kubectl describe job test-export` shows why"),
    (True, [job(ended=True, complete=True), pod("Succeeded", end=END)], None, "Succeeded",
     "97 clips in 12 files, 1.0 MiB; left out 3: clips 4,7-8: failed to render: black"),
    (True, [job(ended=True, complete=True), LOST, pod("Succeeded", 1.0, end=ExportEnd(1, 1, 1))], None, "Succeeded",
     "1 clip in 1 file, 1 B"),
    (True, [job(ended=True, complete=True)], None, "Succeeded", "complete"),
    # The pod, then the Job, may go: what it came to is known.
    (True, [job(ended=True, complete=True)], BEFORE, "Succeeded", "97 clips in 12 files"),
    (True, [], BEFORE, "Succeeded", "97 clips in 12 files"),
    (True, [], BEFORE | {"asked": "another"}, "Pending", "its Job is being created"),
    (True, [], BEFORE | {"phase": "Failed"}, "Pending", "its Job is being created"),
    (True, [], BEFORE | {"phase": 3}, "Pending", "its Job is being created"),
    (True, [job(asked="another")], None, "Pending", "makes another export, and is being deleted"),
    (True, [job(deleting=True)], None, "Pending", "makes another export, and is being deleted"),
    (False, [job(asked="another")], BEFORE | {"asked": "another"}, "Waiting", "it begins when the run has ended"),
]  # fmt: skip


@pytest.mark.parametrize(("finished", "there", "before", "phase", "message"), TABLE)
def test_the_status_of_an_export_follows_from_its_job_its_pods_and_what_was_known(
    finished, there, before, phase, message
):
    found = state(*there, finished=finished, before=before)
    assert (found[0], message in found[1]) == (phase, True), found


def test_what_the_api_server_refuses_is_said():
    assert state(why="exceeded quota") == ("Pending", "cannot create the Job test-export: exceeded quota")


def test_a_finished_export_keeps_its_time_and_its_numbers():
    assert (MADE.clips, MADE.left_out, MADE.files, MADE.bytes) == (97, 3, 12, 2**20)
    assert (MADE.completion_time, MADE.destination) == ("2027-01-15T08:00:00Z", "exports/test-hf")
    later = status_of(tracked(job(complete=True, ended=True), status={"export": BEFORE}), WALL + 99, finished=True)
    assert later == MADE


REQUESTS = [
    # whether the run has ended, what is there, what the status said before; the request
    (False, [], None, None),
    (True, [], None, "create"),
    (True, [job()], None, None),
    (True, [job(ended=True)], None, None),
    (True, [], BEFORE, None),
    (True, [], BEFORE | {"phase": "Failed"}, "create"),  # somebody has deleted the Job, to try again
    (True, [], BEFORE | {"asked": "another"}, "create"),
    (True, [job(asked="another")], None, "delete"),
    (False, [job(asked="another")], None, "delete"),  # the run goes on: its clips change
    (True, [job(deleting=True)], None, None),
    (True, [job(owner="run-0")], None, None),  # of an earlier run of that name, which goes
]


@pytest.mark.parametrize(("ended", "there", "before", "verb"), REQUESTS)
def test_a_job_is_made_once_for_each_export_that_is_asked_for(ended, there, before, verb):
    found = change(tracked(*there, status={"export": before}), ended=ended)
    assert (found.verb if found else None) == verb


def test_the_job_goes_with_the_field_that_asked_for_it():
    scene = tracked(job(), run=make_run(100))
    found = change(scene, ended=True)
    assert (found.verb, found.body["propagation"]) == ("delete", "Foreground")
    assert status_of(scene, WALL, finished=True) is None
    assert change(tracked(run=make_run(100)), ended=True) is None


def manifest(phase: str, container: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    labels = {"clipfarm.dev/run": "test"}
    owners = [{"kind": "Job", "name": "test-export", "uid": "job-1", "controller": True}]
    metadata = {"namespace": "ns", "uid": "a", "labels": labels, "ownerReferences": owners}
    metadata["creationTimestamp"] = "2027-01-15T08:00:00Z"
    containers = [{"name": "export", "state": container}] if container else []
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-0", "containers": [{"name": "export"}]},
        "status": {"phase": phase, "containerStatuses": containers, "startTime": "2027-01-15T08:00:00Z", **status},
    }


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


PODS = [
    (manifest("Running", {"running": {"startedAt": "2027-01-15T08:00:00Z"}}), "Running", ""),
    (manifest("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}), "Starting",
     "ImagePullBackOff: no such image"),
    (manifest("Succeeded", ended(0, END.dump())), "Succeeded", ""),
    (manifest("Failed", ended(2, ExportEnd(error="/export/a: not empty").dump())), "Failed", "/export/a: not empty"),
    (manifest("Failed", ended(137, "", "OOMKilled")), "Failed", "took more memory than export.memory allows"),
    (manifest("Failed", ended(1, "a\nclipfarm-export: \x1b[31mdisk full\n")), "Failed",
     "exit status 1; last line: clipfarm-export: \\x1b[31mdisk full"),
    (manifest("Failed", ended(139)), "Failed", "exit status 139"),
    (manifest("Failed", message="The node was low on resource memory."), "Failed", "The node was low on resource"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "found", "said"), PODS)
def test_a_pod_says_how_its_export_stands_in_one_line(document, found, said):
    view = export_pod(document)
    assert (view.owner, view.state) == ("job-1", found)
    assert said in (view.reason or view.trouble)
    assert view.end == (END if found == "Succeeded" else view.end)
