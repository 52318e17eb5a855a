import io
import json

from rich.console import Console

from clipfarm_contract.indexes import Indexes
from clipfarm_encode.reporting.progress import LINE_EVERY_SECONDS, Reporter
from clipfarm_encode.reporting.serving import _json
from clipfarm_encode.reporting.tally import DeviceTally
from unit.encode.shared import RECIPE, Clock


def reporter(log=None, terminal=False):
    clock, screen = Clock(), io.StringIO()
    made = Reporter(
        [RECIPE], [DeviceTally("cpu")], log, Console(file=screen, force_terminal=terminal, width=300), clock
    )
    made.tally.found |= {"clip_00000", "clip_00001", "clip_00002", "clip_00003"}
    return made, clock, screen


def test_the_rate_leaves_out_the_time_spent_waiting_for_clips(tmp_path):
    made, clock, _ = reporter(tmp_path / "log.json")
    made.tally.encoded |= {"clip_00000", "clip_00001"}
    made.idle(6.0)
    clock.now += 10
    made.update()
    document = json.loads((tmp_path / "log.json").read_text())
    assert document["seconds"]["total"] == 4
    assert document["clips_per_second"] == 0.5


def test_without_a_terminal_a_line_comes_now_and_then_and_a_failure_at_once():
    made, clock, screen = reporter()
    made.update()
    assert screen.getvalue() == ""
    made.sets[0].failed("clip_00003", "rgb: [missing]")
    assert screen.getvalue() == "clip_00003 failed: rgb: [missing]\n"
    clock.now += LINE_EVERY_SECONDS
    made.update()
    made.update()
    assert screen.getvalue().count("0 encoded, 0 skipped, 1 failed of 4; 0.00 clips/s") == 1


def test_on_a_terminal_there_is_a_bar():
    made, _, screen = reporter(terminal=True)
    made.tally.encoded.add("clip_00000")
    made.update()
    made.finish()
    assert "1/4" in screen.getvalue()
    assert "Finished: 1 encoded, 0 skipped, 0 failed of 4" in screen.getvalue()


def test_clips_that_are_asked_for_and_not_there_are_named():
    made = Reporter([RECIPE], [DeviceTally("cpu")], None, Console(quiet=True), wanted=Indexes.parse("1-4,8"))
    made.sets[0].found(["clip_00002", "clip_00008"])
    assert made.document()["absent"] == "1,3-4"
    made.sets[0].forget("clip_00008")
    assert made.document()["absent"] == "1,3-4,8"


def test_stopped_is_the_last_word(tmp_path):
    made, _, screen = reporter(tmp_path / "log.json", terminal=True)
    made.stopped()
    made.update()
    assert json.loads((tmp_path / "log.json").read_text())["state"] == "stopped"
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is back


def test_a_log_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    (tmp_path / "file").write_text("")
    made, _, screen = reporter(tmp_path / "file" / "log.json")
    made.update()
    assert "log.json: cannot be written (" in screen.getvalue()


def test_of_very_many_failures_the_reasons_are_cut_so_that_whoever_asks_takes_the_answer():
    made, _, _ = reporter()
    reason = "cannot be claimed: /clips/.clipfarm/claims/é: No space left on device"
    for number in range(100_000):
        made.tally.failures[f"clip_{number:05d}"] = reason
    answer = _json(made.document())
    assert len(answer) < 8 * 2**20
    assert json.loads(answer)["failures"][99_999] == {"clip": "clip_99999", "reason": reason[:31]}
    few, _, _ = reporter()
    few.tally.failures["clip_00000"] = "rgb: \udcff.png is torn"
    assert json.loads(_json(few.document()))["failures"][0]["reason"] == "rgb: \udcff.png is torn"
