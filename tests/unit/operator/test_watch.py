"""What ``clipfarm watch`` prints, and when it prints it again."""

import signal
import time

import pytest

from clipfarm.cli.watch import REPEAT_SECONDS, _Shown
from clipfarm.cluster.api.times import api_time

WALL = 1_800_000_000.0
RUNNING = {"type": "Progressing", "status": "True", "reason": "Rendering", "message": "2 pods render"}
REFUSED = {"type": "Progressing", "status": "False", "reason": "PodsRefused", "message": "exceeded quota: q"}
WAITS = "  waits (PodsRefused): exceeded quota: q"


def run(progressing, **status):
    counters = dict.fromkeys(("total", "rendered", "encoded", "failed", "running", "held", "retried"), 0)
    written = {"phase": "Running", "observedGeneration": 1, "observedAt": api_time(WALL), "conditions": [progressing]}
    return {
        "metadata": {"name": "run", "generation": 1},
        "spec": {"encode": {"enabled": False}},
        "status": counters | written | status,
    }


LINE = "Running: rendered 0/0, failed 0, running 0"


@pytest.fixture
def printed(capsys):
    def read():
        return [line.removeprefix(time.strftime("%H:%M:%S ", time.localtime(now[0])))
                for line in capsys.readouterr().out.splitlines()]  # fmt: skip

    now = [WALL]
    read.at = lambda wall: now.__setitem__(0, wall)
    return read


def test_what_a_standstill_waits_for_is_shown_again_each_minute(printed):
    shown = _Shown()
    assert not shown.show(run(REFUSED), WALL)
    assert printed() == [LINE, WAITS]
    for wall in (WALL + 1, WALL + REPEAT_SECONDS - 1):
        shown.repeat(wall)
    assert printed() == []
    for wall in (WALL + REPEAT_SECONDS, WALL + 2 * REPEAT_SECONDS):
        printed.at(wall)
        shown.repeat(wall)
        shown.repeat(wall + 1)
        assert printed() == [LINE, WAITS]


def test_a_run_that_makes_progress_is_not_shown_again(printed):
    shown = _Shown()
    shown.show(run(RUNNING), WALL)
    printed()
    shown.repeat(WALL + REPEAT_SECONDS)
    assert printed() == []


def test_an_operator_that_is_gone_is_noticed_without_any_change(printed):
    shown = _Shown()
    shown.show(run(RUNNING), WALL)
    printed()
    printed.at(WALL + 360)
    shown.repeat(WALL + 360)
    assert printed()[1].startswith("  this is 6m 00s old: no operator has refreshed it since; `kubectl get deployments")


def test_watching_ends_as_by_a_signal_once_nothing_reads_it(monkeypatch):
    monkeypatch.setattr("clipfarm.cli.watch.unread", lambda: True)
    with pytest.raises(SystemExit) as ended:
        _Shown().show(run(RUNNING), WALL)
    assert ended.value.code == 128 + signal.SIGPIPE
