"""What the loop does about a run as a whole."""

import asyncio
from typing import Any

import pytest

from clipfarm.cluster.acting.expiry import REPORT_SECONDS
from clipfarm.cluster.acting.expiry import expired as is_expired
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import JobView, RunView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process import tick as tick_module
from clipfarm.cluster.process.operator import Operator, rest
from clipfarm.manifests.common import Images, Owner
from clipfarm_contract.indexes import Indexes
from helpers.runs import document, make_run

ENDED = "2026-01-01T00:00:00Z"


def report(*, ended: bool, owner: str = "run-1", attempt: str = "1.1") -> JobView:
    return JobView(("ns", "test"), "r", owner, 1, False, False, attempt, Indexes(), Indexes(), ended)


@pytest.mark.parametrize(
    ("ttl", "ended", "reports", "seconds", "expired"),
    [
        (None, ENDED, [report(ended=True)], 10**6, False),
        ("1h", None, [], 10**6, False),
        ("1h", ENDED, [report(ended=True)], 3599, False),
        ("1h", ENDED, [report(ended=True)], 3600, True),
        ("1h", ENDED, [report(ended=False)], 3600, False),
        ("1h", ENDED, [report(ended=True, owner="an earlier run")], 3600, False),
        ("1h", ENDED, [report(ended=True, attempt="1.2")], 3600, False),
        ("0s", ENDED, [], 1, False),
        ("0s", ENDED, [report(ended=False)], REPORT_SECONDS, True),
        ("0s", ENDED, [], REPORT_SECONDS, True),
    ],
)
def test_a_run_goes_when_its_time_is_over_and_its_report_is_written(ttl, ended, reports, seconds, expired):
    run = make_run(ttlAfterFinished=ttl) if ttl else make_run()
    tracked = Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {"completionTime": ended} if ended else {})
    assert is_expired(tracked.asked, tracked.status, reports, unix_time(ENDED) + seconds) is expired


class Written:
    """Takes the place of what carries out changes: a status counts as written at once."""

    def free(self, tracked: Tracked) -> bool:
        return True

    def apply(self, tracked: Tracked, changes: Any, status: dict[str, Any] | None, *, expired: bool) -> None:
        if status is not None:
            tracked.status = status


def test_a_fault_is_said_until_a_look_has_gone_well(monkeypatch, caplog):
    clock = [1000.0]
    operator = Operator(None, Images(), clock=lambda: clock[0], wall=lambda: 1.8e9)
    operator._ticker.applier = Written()
    operator.store.runs.put("run-1", RunView(("ns", "test"), "run-1", 1, {}, "", "", "", False, document()))
    look, faulty = tick_module.look, False

    def sometimes(*arguments: Any) -> Any:
        if faulty:
            raise KeyError("resources")
        return look(*arguments)

    monkeypatch.setattr(tick_module, "look", sometimes)

    def ready_after_tick() -> str:
        clock[0] += 2.0
        operator.mark(None)
        asyncio.run(operator._tick())
        conditions = operator.runs["ns", "test"].status["conditions"]
        return next(each["reason"] for each in conditions if each["type"] == "Ready")

    assert ready_after_tick() == "StorageMissing"
    for again in (1, 2):
        faulty = True
        for _ in range(3):
            ready_after_tick()
        assert operator.runs["ns", "test"].error.startswith("the operator cannot look at this run")
        assert len([each for each in caplog.records if "not foreseen" in each.message]) == again, "said once"
        faulty = False
        ready_after_tick()
        assert ready_after_tick() == "StorageMissing"
        assert operator.runs["ns", "test"].error == ""


@pytest.mark.parametrize(
    ("took", "runs", "seconds"),
    [(0.0, 1, 0.0), (0.01, 1, 0.07), (0.2, 0, 0.25), (0.2, 1, 0.25), (0.2, 2, 0.5), (0.1, 30, 0.7), (9.0, 30, 1.0)],
)
def test_one_run_alone_does_not_wait_as_long_as_many(took, runs, seconds):
    assert rest(took, runs) == pytest.approx(seconds)
