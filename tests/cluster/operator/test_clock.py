"""The operator's wall clock is set back while a run goes on: Debian's libfaketime does so for its process alone."""

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpers.cluster import Namespace
from helpers.kubelet import End, Kubelet, failures, index
from helpers.local import wait_until
from helpers.operators import Runs, Witness, is_gated

HOUR_BACK = "-3600"
DELAY_SECONDS = 20


@pytest.fixture
def offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what is added to the wall clock of processes that are started from now on, seconds."""
    if not shutil.which("faketime"):
        if os.environ.get("CI"):
            pytest.fail("faketime is missing: apt-get install faketime")
        pytest.skip("faketime is missing: apt-get install faketime")
    # The command knows where its library is.
    shown = subprocess.run(
        ["faketime", "-m", "now", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    )
    file = tmp_path / "offset"
    file.write_text("+0")
    monkeypatch.setenv("LD_PRELOAD", shown.stdout.strip())
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    return file


def test_a_clock_that_is_set_back_holds_nothing_up(
    definition, driven: Namespace, start_operator, offset: Path, monkeypatch: pytest.MonkeyPatch
):
    operator = start_operator(driven)
    monkeypatch.undo()  # nothing else that the test starts has another clock
    runs = Runs(driven)

    def end(pod) -> End:
        return End(2 if index(pod) == 3 and not failures(pod) else 0, seconds=0.5)

    with Witness(driven) as witness, Kubelet(driven, end):
        runs.create(clips=12, workers=2, retry={"limit": 1, "delay": f"{DELAY_SECONDS}s"})
        wait_until(lambda: phases(runs, 3) == ["Failed"], "a clip to run out of GPU memory")
        failed = time.monotonic()
        offset.write_text(HOUR_BACK)
        wait_until(lambda: len(phases(runs, 3)) == 2, "another try of it", 40)
        assert time.monotonic() - failed >= DELAY_SECONDS - 1  # and not at once, nor in an hour
        status = runs.finished()
    assert (status["phase"], status["rendered"], witness.most) == ("Succeeded", 12, 2)
    # The clock was set back for certain: the end is written as an hour ago.
    completed = datetime.fromisoformat(status["completionTime"])
    assert 3000 < (datetime.now(UTC) - completed).total_seconds() < 4200
    assert set(runs.attempts().values()) == {1, 2}
    assert operator.running


def phases(runs: Runs, clip: int) -> list[str]:
    return [pod["status"]["phase"] for pod in runs.pods() if index(pod) == clip and not is_gated(pod)]
