"""Starting and ending processes of this machine: renderers here, encoders in :mod:`clipfarm.local.encoders`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipfarm.local.job import Job
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


def start_worker(job: Job, clip: int, gpu: GpuId | None, now: float, lock: int | None) -> Worker:
    """Start a supervisor for one clip.

    It gets a process group of its own, so that Ctrl-C in the terminal reaches the executor alone, and ends by itself
    when the executor is killed. Until then it holds the folder's lock, too, whose descriptor is ``lock``.
    """
    render = job.run.spec.render
    command = [
        *(sys.executable, "-m", "clipfarm_render"),
        *("--output", str(job.folder.root)),
        *("--seed", str(job.run.spec.seed)),
        *("--index", str(clip)),
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
    # A result of an earlier attempt must not be taken for this one's.
    job.folder.result(clip).unlink(missing_ok=True)
    errors = job.folder.state / "workers" / f"{clip_name(clip)}.log"
    return Worker(clip, gpu, now, start(command, variables, errors, lock), errors)


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
    command: Sequence[str], variables: Mapping[str, str], errors: Path, lock: int | None
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, that reads nothing, prints into a file and holds a lock with us."""
    errors.parent.mkdir(parents=True, exist_ok=True)
    errors.unlink(missing_ok=True)  # a process of before may still write there
    with errors.open("xb") as log:
        return subprocess.Popen(
            command,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
