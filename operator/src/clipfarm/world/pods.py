"""Pods of a run, in a cluster, or its processes on one machine."""

from dataclasses import dataclass
from typing import Literal, get_args

from clipfarm.world.gpus import GpuId
from clipfarm_contract.exit_codes import ExitCode

PodState = Literal["Gated", "Released", "Bound", "Starting", "Working", "Ending", "Lost"]
"""Stages of a pod.

``Gated``: clipfarm's scheduling gate is on. ``Released``: the gate is off, and the pod has no node yet. ``Bound``: it
has a node, whose kubelet has not started on it. ``Starting``: the kubelet pulls its image, mounts its volumes, creates
its containers. ``Working``: the renderer, or encoder, runs. ``Ending``: it is being deleted, or its work is over and
another container lives on. ``Lost``: it is being deleted, and its node has not answered for so long that the operator
gives it up.
"""
POD_STATES: tuple[PodState, ...] = get_args(PodState)


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a pod, or of a process."""

    state: PodState
    since: float
    reason: str = ""
    """Why it does not get on, in the scheduler's or the kubelet's own word; empty if they name none."""
    message: str = ""
    """The same as a sentence."""


@dataclass(frozen=True, slots=True)
class Running:
    """A pod that runs, or that was released."""

    index: int
    """Its index in the Job; on one machine, its clip."""
    node: str
    gpu: GpuId | None
    """The GPU that it was sent to; None if its node gives out GPUs itself, or it uses none."""
    started_at: float | None
    """When its renderer began; None: not yet."""
    pod: str = ""
    """Its name, in a cluster."""
    standing: Standing = Standing("Working", 0.0)
    elsewhere: bool = False
    """It may only go to a node that was not there when it was released."""

    @property
    def state(self) -> PodState:
        """Its state."""
        return self.standing.state

    @property
    def since(self) -> float:
        """When it entered that state."""
        return self.standing.since

    @property
    def waits(self) -> str:
        """Why the scheduler finds no room for it; empty if it has a node, or the scheduler has not said."""
        return self.standing.message if self.state == "Released" else ""


@dataclass(frozen=True, slots=True)
class Departed:
    """A pod that has ended, and whose GPU memory readings may still show."""

    node: str
    gpu: GpuId | None
    started_at: float
    ended_at: float
    out_of_vram: bool = False
    """It ended because GPU memory ran out."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An index whose last attempt did not complete it."""

    index: int
    """Its index in the Job; on one machine, its clip."""
    exit_code: ExitCode
    reason: str
    at: float
    attempts: int
    """Attempts so far, this one included."""
    final: bool = False
    """There will be no other attempt, whatever the rules say."""
    clips: int = 1
    """Clips that are known to have failed for this reason: several if a pod makes several, 0 if it is not known."""
    named: tuple[tuple[int, str], ...] = ()
    """Those clips of several by number, with their reasons; empty if the pod did not report which."""
    done: int = 0
    """Clips of the index that are complete all the same."""
