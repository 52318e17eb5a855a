"""Starting the encoders of this machine, each with its share of what computes."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipfarm.local.job import Job
from clipfarm.local.processes import start
from clipfarm.vram.nvml import NvmlSource
from clipfarm.world import GpuId
from clipfarm_contract.indexes import compress


@dataclass
class Encoder:
    """An encoder at work."""

    process: subprocess.Popen[bytes]
    errors: Path
    """What it prints."""
    log: Path
    """Its running summary, JSON."""
    started_at: float
    failed: Mapping[int, str] | None = None
    """Clips that it could not encode, with reasons; None before it has said anything."""
    finished: bool = False
    """Whether it has said that nothing is left for it to do."""


def start_encoder(job: Job, number: int, cpus: int, node: str, now: float, lock: int | None) -> Encoder:
    """Start one of the run's encoders, which follows the folder until no more clips will come.

    Args:
        number: which of them, from 0.
        cpus: CPUs that this machine gives the run.
        node: this machine's name.
        now: the time, seconds.
        lock: of the folder, a descriptor for the encoder to hold, too.
    """
    encode = job.run.spec.encode
    log = job.folder.encode_log(number)
    command = [
        # Renderers come first: the encoder takes what CPU time they leave, and all of it when they are done.
        *("nice", "-n", "10"),
        *(sys.executable, "-m", "clipfarm_encode"),
        *("--data-dir", str(job.folder.root)),
        *("--clips", compress(job.clips)),
        *("--in-place", "--watch", "--exit-with-parent", "--parent", str(os.getpid())),
        *encode.options(),
        *("--log-json", str(log)),
        *("--seed", str(job.run.spec.seed)),
        *("--experiment", str(job.experiment_file)),
    ]
    variables: dict[str, str] = {}
    if encode.replicas > 1:
        if not os.environ.get("OMP_NUM_THREADS", "").strip():  # empty is unset
            command += ["--threads", str(max(1, cpus // encode.replicas))]
        if gpus := share(NvmlSource(node).look(0.0).gpus, number, encode.replicas):
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.uuid or str(gpu.index) for gpu in gpus)
    if job.renderer:
        command += ["--", *job.renderer]
    # What an earlier encoder could not do must not be taken for this one's.
    log.unlink(missing_ok=True)
    errors = job.folder.state / "workers" / f"encoder-{number}.log"
    return Encoder(start(command, variables, errors, lock), errors, log, now)


def share(gpus: Sequence[GpuId], number: int, replicas: int) -> Sequence[GpuId]:
    """Return the GPUs of one of several encoders: all are dealt out; where there are too few, some have one together.

    An encoder uses every GPU that it sees. One that all of them saw would hold all their models.
    """
    return gpus[number::replicas] or (gpus[number % len(gpus)],) if gpus else ()
