"""What the operator remembers of a run from one look to the next: frozen values that a look replaces whole.

All of it can be lost. A restart finds it again in the run's status, its Job and its pods.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.views import DeploymentView, JobView
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.exporting import Exporting
from clipfarm.cluster.observing.work import Lowering
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Owner
from clipfarm.run import Run
from clipfarm.world import Departed, Encoder, GpuId, NodeKind, PodState, Running, Turn, WatermarkState

MOST_ENDS = 1024
"""Ends of pods that are remembered."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """Of one Job: another Job starts with none of it."""

    job: str = ""
    """The Job's UID."""
    unschedulable: Mapping[str, float] = field(default_factory=dict)
    """Since when pods, by UID, find no room on the node that they were narrowed to."""
    silent: Mapping[str, float] = field(default_factory=dict)
    """Nodes of this run's pods that do not answer, and since when, on this process's own clock."""
    lost_on: Mapping[str, int] = field(default_factory=dict)
    """Pods that were given up with their node, by node, for as long as that is there and does not answer."""
    counted: int = 0
    """Of all that were given up, how many are counted."""
    at_work: Mapping[str, tuple[PodView, Running]] = field(default_factory=dict)
    """Pods that were released, by UID, as the last look saw them, and what it made of each."""
    departed: Mapping[str, Departed] = field(default_factory=dict)
    """Pods, by UID, that have ended not long ago, the oldest first."""
    finished: Mapping[GpuId | str, PodView] = field(default_factory=dict)
    """Of those the latest on each GPU that did not fail; by UID where the GPU is not known."""
    failed_at: Mapping[str, float] = field(default_factory=dict)
    """When a failed pod ended, by UID, on this process's own clock."""
    final: Mapping[int, FailedPod] = field(default_factory=dict)
    """The last pods of indexes that have failed for good."""
    idle: int = 0
    """Pods at their gates that are never released: the Job does not know that their indexes have failed for good."""
    starved: bool = False
    """Whether a queue's Job had such pods alone at some look: it gets no others."""
    completed: int | None = None
    """Indexes that were complete at the last look; None before the first."""
    completions: tuple[float, ...] = ()
    """When the latest ones completed, behind the time at which the window begins."""
    ends: tuple[float, ...] = ()
    """When pods ended, the latest ones."""
    began_at: float | None = None
    """When the first pod began, of those that were there at the first look."""
    missing_since: float | None = None
    """Since when the Job has fewer pods than it asks for, and none at its gate; None: it has them."""
    refused: tuple[int, ...] = ()
    """Indexes whose pods the API server refuses."""
    surplus_since: float | None = None
    """Since when the Job has had more pods than it needs; None: it has not."""
    lowering: Lowering | None = None
    """The request for fewer pods that the Job controller may still be at; None: it is done."""
    lowered: Lowering | None = None
    """The last such request that is over."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one run."""

    blocks: Blocks
    job: JobView | None = None
    """The Job that makes the run's clips, as the last look saw it."""
    deployment: DeploymentView | None = None
    """The same of its encoders' Deployment."""
    rendering: Rendering = field(default_factory=Rendering)
    watermarks: Mapping[GpuId, WatermarkState] = field(default_factory=dict)
    """As the last decision left them."""
    turn: Turn = field(default_factory=Turn)
    """Of encoders and renderers, as the last decision left it."""
    workers: int | None = None
    """Clips that may run at a time, once that is fixed."""
    workers_since: float | None = None
    """Since when there is such a number that is not fixed; None: there is none."""
    node_kind: NodeKind = field(default_factory=NodeKind)
    """The nodes that clips may be made on, as the last look chose them."""
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    """Encoders' pods, by UID, as the last look saw them."""
    pods: Mapping[PodState, int] = field(default_factory=Counter)
    """Renderers' pods by state; 0 for a state that none has."""
    seen_at: Mapping[str, float] = field(default_factory=dict)
    """When the run's Job and Deployment were last there, by their kind."""
    encode_attempt: str = ""
    """Which attempt at encoding the turn is of."""
    encoder_refusal: str = ""
    """Why the API server takes no pod of the encoder's, and what to do; empty if it does, or was not asked."""
    exporting: Exporting = field(default_factory=Exporting)
    """The run's export, as the last look saw it."""
    still_since: float | None = None
    """Since when the run stands still for a reason that may last until a person acts; None: it does not."""

    def on(self, job: JobView | None, run: Run, owner: Owner) -> "Memory":
        """Return what is remembered where this Job renders now: of another one nothing is known."""
        if owner.encode_attempt != self.encode_attempt:
            return replace(self, encode_attempt=owner.encode_attempt, turn=Turn()).on(job, run, owner)
        uid, rendering = job.uid if job else "", self.rendering
        if uid == rendering.job:
            return self
        # The clips that are left are dealt out when a Job is made, and stay so while it is there.
        blocks = Blocks.of(run, owner.only, job.clips_per_pod if job else None)
        failed = results.read(job.results if job else "").failed
        final = results.pods(failed, uid, (owner.namespace, run.name), blocks)
        # Encoders get another chance.
        turn = Turn() if rendering.job else self.turn
        return replace(self, blocks=blocks, turn=turn, rendering=Rendering(uid, final=final))
