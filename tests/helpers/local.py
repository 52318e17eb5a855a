"""Starting ``clipfarm local`` as a user does, and waiting for what it does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from helpers.runs import document

FAKE = Path(__file__).with_name("fake_renderer.py")
CLIPFARM = (sys.executable, "-m", "clipfarm.cli.main")
LIMIT = 60.0
FIRST_SECONDS, MOST_SECONDS = 0.02, 0.1
"""Between two looks: at first, and after two seconds."""


def wait_until(condition: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
    """Return the condition's first true value; fail when the limit, in seconds, is over."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < limit:
        value = condition()
        if value:
            return value
        # Looking takes CPU, an API server's too, from what is waited for.
        time.sleep(min(max(FIRST_SECONDS, waited / 20), MOST_SECONDS))
    raise AssertionError(f"waited {limit:g} s for: {what}")


def clipfarm(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*CLIPFARM, *map(str, arguments)],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@dataclass
class Event:
    what: str
    clip: int
    pid: int
    gpu: str
    at: float


@dataclass
class Local:
    """A run with the fake renderer in folders of its own."""

    folder: Path
    clips: int = 6
    spec: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.script_folder.mkdir(parents=True)

    @property
    def script_folder(self) -> Path:
        return self.folder / "script"

    @property
    def output(self) -> Path:
        return self.folder / "clips"

    @property
    def yaml(self) -> Path:
        path = self.folder / "run.yaml"
        render = {"command": [sys.executable, str(FAKE)]} | self.spec.get("render", {})
        path.write_text(yaml.safe_dump(document(self.clips, **({"workers": 1} | self.spec | {"render": render}))))
        return path

    def script(self, clip: int, *attempts: str) -> None:
        (self.script_folder / f"{clip}.txt").write_text("\n".join(attempts))

    def signal_file(self, name: str) -> None:
        """Let the attempts go on that ``wait`` for this file."""
        (self.script_folder / name).touch()

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return clipfarm("local", self.yaml, "--output", self.output, *arguments, env=self.environment())

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*CLIPFARM, "local", str(self.yaml), "--output", str(self.output), *map(str, arguments)],
            env=os.environ | self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def events(self, what: str = "start") -> list[Event]:
        log = self.script_folder / "log.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        found = [line.split() for line in lines]
        return [Event(w, int(clip), int(pid), gpu, float(at)) for w, clip, pid, gpu, at in found if w == what]

    def started(self) -> list[int]:
        return [event.clip for event in self.events()]

    def complete(self) -> list[int]:
        return sorted(int(path.parent.name[5:]) for path in self.output.glob("clip_*/clip.json"))

    def half_made(self) -> list[Path]:
        return sorted(self.output.glob(".clip_*"))

    def environment(self) -> dict[str, str]:
        # Claims of other tests' stand-in GPUs are none of ours.
        claims = {"CLIPFARM_VRAM_LEDGER": str(self.folder / "claims")}
        return {"FAKE_FOLDER": str(self.script_folder)} | claims | self.env


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str, float]:
    """Send a signal; return exit status, output, and the seconds it took."""
    begun = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT)
    return process.returncode, output, time.monotonic() - begun


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
