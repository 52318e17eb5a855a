"""Statuses as the operator writes them, and what kstatus and Argo CD make of each, by their own libraries."""

from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.acting.invalid import refused
from clipfarm.cluster.api.views import JobView, run
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import Trial
from clipfarm.cluster.process.decided import decided
from clipfarm.cluster.reporting.standard_conditions import PROGRESS_SECONDS
from clipfarm.cluster.reporting.status import run_status
from clipfarm.decide.plan import decide
from clipfarm.manifests.common import Owner
from clipfarm.run_status import UNSEEN
from clipfarm.world import EarlyEnd, Encoding, Ended, Running
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import QUEUE_LABEL
from helpers.health import Health, health
from helpers.runs import NODE, document, make_run, make_world

KEY = ("ns", "test")
ENCODE = {"encode": {"weights": {"source": "random"}}}
BAD = Ended(0, ExitCode.FAILED, "was black", 900.0, 1)
WORKING = (Running(0, NODE, None, 990.0),)
STUCK = Encoding(early_ends=(EarlyEnd(2, "vitl.pt: no such file"),))
DONE = {"rendered": 4}
QUEUED = {"labels": {QUEUE_LABEL: "team-a"}}


def status(spec: Any = None, world: Any = None, *, stands: float = 0.0, **how: Any) -> dict[str, Any]:
    """Return a status as the operator writes it.

    Args:
        spec: of the run, on top of a small one on a claim.
        world: what is seen, on top of a Job without pods.
        stands: for how many seconds it has been seen so.
        how: ``suspended``: the Job is; ``trial``: of a dry run; ``problem``: of the API server; ``labels``: of the run.
    """
    made = make_run(clips=4, **({"storage": {"claimName": "clips"}} | (spec or {})))
    tracked = Tracked(Asked(made, Owner("ns", "u", how.get("labels", {})), 1), {})
    tracked.answers.claim, tracked.work.problem = "Bound", how.get("problem", "")
    tracked.answers.trial = how.get("trial", Trial())
    job = JobView(KEY, "job-1", "u", 4, suspended=how.get("suspended", False), deleting=False, attempt="",
                  completed=Indexes(), failed=Indexes())  # fmt: skip
    tracked.memory = replace(tracked.memory, job=job)
    found: dict[str, Any] = {}
    for now in (1000.0, 1000.0 + stands):
        seen = make_world(made, **({"waiting": ()} | (world or {}) | {"now": now}))
        plan = decide(made, seen)
        tracked.memory = decided(tracked, plan, now)
        found = run_status(tracked, seen, plan, 1.8e9)
    return found


def of(status: Any = None, **metadata: Any) -> dict[str, Any]:
    """Return a run with that status, as the API server has it."""
    made = document(4)
    made["metadata"] |= {"namespace": "ns", "generation": 1, "uid": "u"} | metadata
    return made | ({"status": status} if status else {})


def invalid() -> dict[str, Any]:
    return refused(run(of()), ValueError("annotation clipfarm.dev/only-clips: found x, expected clips"), 1.8e9)


TABLE: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "no operator has seen it": (of(UNSEEN), ("InProgress", "Progressing")),
    "it begins": (of(status()), ("InProgress", "Progressing")),
    "clips are rendered": (of(status(world={"running": WORKING})), ("InProgress", "Progressing")),
    "clips are encoded": (
        of(status(ENCODE, DONE | {"encoding": Encoding(running=1)})), ("InProgress", "Progressing")),
    "every clip is there": (of(status(world=DONE)), ("Current", "Healthy")),
    "some failed": (of(status(world={"rendered": 3, "ended": (BAD,)})), ("Failed", "Degraded")),
    "all failed": (
        of(status(world={"ended": tuple(Ended(i, ExitCode.FAILED, "x", 0, 1) for i in range(4))})),
        ("Failed", "Degraded")),
    "the renderer refuses it": (
        of(status(world={"ended": (Ended(0, ExitCode.USAGE, "no such device", 0, 1),)})), ("Failed", "Degraded")),
    "the encoder refuses it while clips are rendered": (
        of(status(ENCODE, {"rendered": 1, "running": WORKING, "encoding": STUCK})), ("Failed", "Degraded")),
    "it makes no sense": (of(invalid()), ("Failed", "Degraded")),
    "it has no storage": (of(status({"storage": None})), ("InProgress", "Progressing")),
    "it has no storage for ten minutes": (
        of(status({"storage": None}, stands=PROGRESS_SECONDS)), ("Failed", "Degraded")),
    "it is suspended": (of(status({"suspend": True}, {"waiting": (0, 1)})), ("InProgress", "Suspended")),
    "it is suspended for long": (
        of(status({"suspend": True}, {"waiting": (0, 1)}, stands=9 * PROGRESS_SECONDS)), ("InProgress", "Suspended")),
    "a queue has not admitted it": (
        of(status(suspended=True, stands=9 * PROGRESS_SECONDS, **QUEUED)), ("InProgress", "Suspended")),
    "its pods are refused": (of(status(trial=Trial("exceeded quota: q"))), ("InProgress", "Progressing")),
    "its pods are refused for ten minutes": (
        of(status(trial=Trial("exceeded quota: q"), stands=PROGRESS_SECONDS)), ("Failed", "Degraded")),
    "its Job is refused for ten minutes": (
        of(status(problem="cannot create the Job", stands=PROGRESS_SECONDS)), ("Failed", "Degraded")),
    "it was changed since": (of(status(world=DONE), generation=2), ("InProgress", "Progressing")),
    "it is being deleted": (
        of(status(world=DONE), deletionTimestamp="2027-01-15T08:00:00Z"), ("Terminating", "Progressing")),
}  # fmt: skip


@pytest.fixture(scope="module")
def shown() -> dict[str, Health]:
    return dict(zip(TABLE, health(run for run, _ in TABLE.values()), strict=True))


@pytest.mark.parametrize("what", TABLE)
def test_kstatus_and_argo_cd_see_where_a_run_stands(shown: dict[str, Health], what: str):
    assert shown[what].words == TABLE[what][1]


def test_what_they_show_says_why(shown: dict[str, Health]):
    for opinion in (shown["its pods are refused for ten minutes"].kstatus, shown["its pods are refused"].argocd):
        assert opinion.message == "the API server refuses the run's pods: exceeded quota: q"
    assert "no operator has looked at this run yet" in shown["no operator has seen it"].argocd.message
    assert "clipfarm retry" in shown["some failed"].argocd.message
    assert "spec.suspend is true" in shown["it is suspended"].argocd.message
    assert all(each.argocd.message for each in shown.values())


def test_without_a_status_argo_cd_waits_and_kstatus_would_not():
    """Which is why the definition has a default: kstatus takes an object without conditions for a finished one."""
    assert health([of()])[0].words == ("Current", "Progressing")
