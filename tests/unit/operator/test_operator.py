"""What the loop does about a run as a whole."""

import pytest

from clipfarm.cluster.operator import REPORT_SECONDS, _expired
from clipfarm.cluster.times import unix_time
from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import JobView
from clipfarm.manifests.common import Owner
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run

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
    tracked = Tracked(run, Owner("ns", "run-1", {}), 1, {"completionTime": ended} if ended else {})
    assert _expired(tracked, reports, unix_time(ENDED) + seconds) is expired
