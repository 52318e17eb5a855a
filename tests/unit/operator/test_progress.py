"""What a person sees of a run: bars on a terminal, lines in a log."""

import io

from rich.console import Console

from clipfarm.decide.plan import decide
from clipfarm.local.progress import display
from clipfarm.world import Ended, Running
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import GPU0, NODE, make_run, make_world, reading

RUN = make_run(clips=6, workers=2, render={"device": "cuda"}, encode={"weights": {"source": "random"}})


def status(used=0.2, **world):
    base = {"gpus": (GPU0,), "readings": (reading(GPU0, used),)}
    return decide(RUN, make_world(RUN, **(base | world))).status


def shown(*statuses, terminal=False):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=200, color_system=None)
    with display(console, encodes=True) as screen:
        for each in statuses:
            screen.show(each)
    return stream.getvalue()


def lines(*statuses):
    return [line[9:] for line in shown(*statuses).splitlines()]


BUSY = {"rendered": 3, "waiting": (5,), "running": (Running(4, NODE, GPU0, 0.0),)}
FAILED = Ended(0, ExitCode.FAILED, "was black", 900.0, 1)


def test_a_log_has_the_counters_first_and_last():
    assert lines(status(**BUSY), status(rendered=6, waiting=())) == [
        "rendered 3/6, encoded 0/6, failed 0, running 2, clips/s not known yet, ETA not known yet",
        "rendered 6/6, encoded 0/6, failed 0, running 0, clips/s not known yet, ETA not known yet",
    ]


def test_a_log_says_once_what_is_held_and_when_it_is_no_more():
    full = status(0.9, **BUSY)
    fuller = status(0.95, **BUSY)
    found = lines(status(**BUSY), full, fuller, full, status(**BUSY))
    assert [line for line in found if "held" in line and not line.startswith("rendered")] == [
        "held 5: GPU 0 on here at 90%; starts again below 70%",
        "nothing is held any more",
    ]


def test_a_log_does_not_repeat_a_reason_for_each_clip_that_starts():
    later = status(0.9, **(BUSY | {"rendered": 2, "waiting": (4, 5)}))
    found = [line for line in lines(status(0.9, **BUSY), later) if line.startswith("held")]
    assert found == ["held 5: GPU 0 on here at 90%; starts again below 70%"]


def test_a_log_says_each_failure_once():
    failed = status(**(BUSY | {"ended": (FAILED,)}))
    assert lines(failed, failed).count("clip 0 failed to render: was black") == 1


def test_a_terminal_shows_both_bars_and_the_reasons():
    text = shown(status(0.9, **(BUSY | {"ended": (FAILED,)})), terminal=True)
    for part in ("rendered", "encoded", "3/6", "1 of 2 workers busy", "held 5: GPU 0 on here at 90%", "was black"):
        assert part in text


def test_a_reason_with_brackets_is_shown_as_it_is():
    ended = Ended(0, ExitCode.FAILED, "frame[3] [/bold] is black", 900.0, 1)
    assert "frame[3] [/bold] is black" in shown(status(**(BUSY | {"ended": (ended,)})), terminal=True)
