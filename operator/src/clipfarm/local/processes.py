"""Starting and ending processes of this machine: renderers here, encoders in :mod:`clipfarm.local.encoders`."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipfarm.local.job import Job
from clipfarm.local.serving import Server
from clipfarm.world import GpuId
from clipfarm_contract import environment, regular
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import clip_name
from clipfarm_contract.text import printable

LAST_BYTES = 65_536
"""What is read of a log to find its last line."""
STOP_GRACE = 4.0
"""Seconds that processes get between SIGTERM and SIGKILL; the whole end has to take less than 5."""


@dataclass(frozen=True)
class Worker:
    """A renderer's supervisor at work on one clip."""

    clip: int
    gpu: GpuId | None
    started_at: float
    process: subprocess.Popen[bytes]
    errors: Path
    """What the supervisor itself prints."""
    server: Server | None = None
    """The same supervisor, if it makes one clip after the other."""

    @property
    def holds_since(self) -> float:
        """Since when the clip's process, at the earliest, has had GPU memory."""
        return self.started_at if self.server is None else self.server.holds_since

    def poll(self) -> int | None:
        """Return how the supervisor has ended, or would have ended if it were of this clip alone; None: not yet."""
        status = self.process.poll()
        answer = self.server.answer() if self.server else None
        return status if answer is None else answer.exit_code


def start_worker(job: Job, clip: int, gpu: GpuId | None, now: float, lock: int | None) -> Worker:
    """Start a supervisor for a clip; on a GPU, the built-in renderer's makes others after it.

    It gets a process group of its own, so that Ctrl-C in the terminal reaches the executor alone, and ends by itself
    when the executor is killed. Until then it holds the folder's lock, too, whose descriptor is ``lock``.
    """
    render = job.run.spec.render
    serves = render.device != "cpu" and not render.command
    command = [
        *(sys.executable, "-m", "clipfarm_render"),
        *("--output", str(job.folder.root)),
        *("--seed", str(job.run.spec.seed)),
        *(["--serve"] if serves else ["--index", str(clip)]),
        *("--experiment", str(job.experiment_file)),
        *("--device", render.device),
        *("--timeout", str(render.timeout)),
        *("--exit-with-parent", "--parent", str(os.getpid())),
    ]
    if render.command:
        command += ["--", *render.command]
    variables = environment.thread_environment(render.threads)
    if gpu is not None:
        # By UUID: CUDA's own order of GPUs is by speed, the driver's is by bus.
        variables["CUDA_VISIBLE_DEVICES"] = gpu.uuid or str(gpu.index)
    _forget_result(job, clip)
    # One that serves may outlive the next attempt at its first clip.
    token = f".{secrets.token_hex(4)}" if serves else ""
    errors = _logs(job) / f"{clip_name(clip)}{token}.log"
    process = start(command, variables, errors, lock, serves=serves)
    if not serves:
        return Worker(clip, gpu, now, process, errors)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    server = Server(process, gpu, now, errors)
    server.give(clip)
    return Worker(clip, gpu, now, process, errors, server)


def give_another(job: Job, clip: int, server: Server, now: float) -> Worker | None:
    """Have a supervisor that waits make another clip; return None if it has ended."""
    _forget_result(job, clip)
    if not server.kept:
        server.holds_since = now
    if not server.give(clip):
        return None
    return Worker(clip, server.gpu, now, server.process, server.errors, server)


def remove_logs(job: Job) -> None:
    """Remove what supervisors of a run that was killed have printed."""
    for path in _logs(job).glob("*.log"):
        path.unlink(missing_ok=True)


def _logs(job: Job) -> Path:
    return job.folder.state / "workers"


def _forget_result(job: Job, clip: int) -> None:
    """Remove the result of an earlier attempt, which must not be taken for this one's."""
    job.folder.result(clip).unlink(missing_ok=True)


def last_line(path: Path) -> str:
    """Return the last line of a log that is not empty, without its end."""
    try:
        lines = regular.read_end(path, LAST_BYTES).decode("utf-8", "replace").splitlines()
    except (OSError, ContractError):
        return ""
    return printable(next((line.strip() for line in reversed(lines) if line.strip()), ""))


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes: SIGTERM to all, and SIGKILL to the groups of those that are left after a grace."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return  # it ended by itself meanwhile


def start(
    command: Sequence[str], variables: Mapping[str, str], errors: Path, lock: int | None, *, serves: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, that prints into a file and holds a lock with us.

    It reads nothing; one that ``serves`` reads from us, and answers.
    """
    errors.parent.mkdir(parents=True, exist_ok=True)
    errors.unlink(missing_ok=True)  # a process of before may still write there
    with errors.open("xb") as log:
        return subprocess.Popen(
            command,
            env=os.environ | variables,
            stdin=subprocess.PIPE if serves else subprocess.DEVNULL,
            stdout=subprocess.PIPE if serves else log,
            stderr=log,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
