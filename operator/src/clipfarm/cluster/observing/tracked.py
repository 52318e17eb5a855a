"""What the operator knows of one run between two looks, beside what the API server tells."""

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.times import read_time
from clipfarm.cluster.api.views import COUNT, PodView, split_uuid
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.series import Series
from clipfarm.decide.admission import To
from clipfarm.decide.vram.learned import LearnedMemory
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Owner
from clipfarm.run import Run
from clipfarm.world import ClipMemory, Departed, EarlyEnd, Encoder, GpuId, PodState, Running, Turn, WatermarkState
from clipfarm_contract.indexes import Indexes

SEEN_SECONDS = 2.0
"""How much later a pod's end is seen than it came: the kubelet looks each second, and then tells."""
STUCK = ("Ready", "Stuck")
"""Type and reason of the condition that says why a run goes on no more."""
ENCODER_STUCK = ("EncoderReady", "Stuck")
"""The same of its encoders alone."""
WINDOW = 64
"""Completions that the moving window of the ETA holds."""


MOST_ASIDE = 16
"""The most pods that others are made for because their release is refused: a policy may refuse all pods of a run."""
MOST_ENDS = 1024
"""Ends of pods that are remembered."""


def _window() -> deque[float]:
    return deque(maxlen=WINDOW)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a dry run of one of the Job's pods has shown; with neither text, that the API server takes pods."""

    refusal: str = ""
    """Why the API server takes none, and what to do."""
    unknown: str = ""
    """Why it could not be asked."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server's answer to an attempt to take a pod's gate off."""

    why: str
    times: int
    """How often in a row."""
    until: float
    """When the next attempt is due, on this process's own clock; until then other pods come first."""


@dataclass
class Rendering:
    """Of one Job: another Job starts with none of it."""

    job: str
    """The Job's UID."""
    released: dict[str, To] = field(default_factory=dict)
    """Pods, by UID, whose gate was taken off, until a watch shows it; and where they are to go, empty: anywhere."""
    unreleased: dict[str, Refusal] = field(default_factory=dict)
    """Pods, by UID, whose gate the API server refuses to take off."""
    unschedulable: Mapping[str, float] = field(default_factory=dict)
    """Since when pods, by UID, find no room on the node that they were narrowed to."""
    evicted: set[str] = field(default_factory=set)
    """Pods, by UID, that were evicted because they could not get to a node."""
    avoided: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Until when no pod is narrowed to a node, and why."""
    silent: dict[str, float] = field(default_factory=dict)
    """Nodes of this run's pods that do not answer, and since when, on this process's own clock."""
    given_up: set[str] = field(default_factory=set)
    """Pods, by UID, that were given up with their node."""
    lost_on: Counter[str] = field(default_factory=Counter)
    """Such pods by node, for as long as the node is there and does not answer."""
    at_work: dict[str, tuple[PodView, Running]] = field(default_factory=dict)
    """Pods that were let go, by UID, as the last look saw them, and what it made of each."""
    left: OrderedDict[str, Departed] = field(default_factory=OrderedDict)
    """Pods, by UID, that have ended not long ago, the oldest first."""
    finished: dict[GpuId | str, PodView] = field(default_factory=dict)
    """Of each GPU the latest pod that is done and was not asked what it took; by UID where the GPU is not known."""
    failed_at: dict[str, float] = field(default_factory=dict)
    """When a failed pod ended, by UID, on this process's own clock."""
    final: dict[int, FailedPod] = field(default_factory=dict)
    """The last pods of indexes that have failed for good."""
    completed: int | None = None
    """Indexes that were complete at the last look; None before the first."""
    completions: deque[float] = field(default_factory=_window)
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_ENDS))
    """When pods ended, the latest ones."""
    began_at: float | None = None
    """When the first pod began, of those that were there at the first look."""
    raised_at: float = float("-inf")
    """When the Job was last given room for more pods."""
    missing_since: float | None = None
    """Since when the Job has fewer pods than it asks for, and none at its gate; None: it has them."""
    trial: Trial = Trial()
    refused: tuple[int, ...] = ()
    """Indexes whose pods the API server refuses."""
    tried_at: float = float("-inf")
    """When the API server was last asked to take a pod."""
    surplus_since: float | None = None
    """Since when the Job has had more pods than it needs; None: it has not."""
    lowered: int | None = None
    """How many pods the Job was last asked to come down to, until it has; None: nothing of the kind is under way."""
    lowered_at: float = float("-inf")
    kept: results.Results | None = None
    """What pods that were deleted have left, as the Job has it; None: not read yet."""
    owed: bool = True
    """Whether some of the pods that are listed there to be deleted may still be there."""
    swept: int | None = None
    """Complete indexes at the last look at which no pod that has succeeded was left; None: before the first."""
    swept_at: float = float("-inf")
    """When pods that have ended were last deleted."""

    def set_aside(self, now: float) -> set[str]:
        """Return the pods, by UID, whose release was refused lately and is not due again yet."""
        return {uid for uid, refusal in self.unreleased.items() if now < refusal.until}

    def aside(self, now: float) -> int:
        """Return how many such pods the Job has others for, so that their clips are not in the way of the rest."""
        return min(MOST_ASIDE, len(self.set_aside(now)))


@dataclass
class Encoding:
    """What the run's encoders report."""

    encoded: int = 0
    """The run's clips with its features."""
    left: int | None = None
    """Clips that encoders see and that have neither features nor failed; None: none has reported."""
    absent: Indexes = field(default_factory=Indexes)
    """Clips that no encoder finds."""
    answering: int = 0
    """Encoders that answered the last question."""
    failed: dict[int, str] = field(default_factory=dict)
    completions: deque[float] = field(default_factory=_window)
    looked: bool = False
    """Whether encoders' pods were looked at since this operator began, or a new Job did."""
    restarts: dict[str, int] = field(default_factory=dict)
    """Of each encoder's pod, by UID, those that were looked at."""
    silence: str = ""
    """Why none of them answers, where that is so."""
    early_ends: list[EarlyEnd] = field(default_factory=list)
    """Since one last encoded a clip, or the run was changed."""
    stuck: str = ""
    """Why encoding was given up, by the status that this process found."""


@dataclass
class Tracked:
    """One run. All of it can be lost: a restart finds it again in the run's status and its pods."""

    run: Run
    owner: Owner
    generation: int
    status: dict[str, Any]
    """As the API server has it."""
    blocks: Blocks = field(init=False)
    rendering: Rendering = field(default_factory=lambda: Rendering(""))
    encoding: Encoding = field(init=False)
    gates: Mapping[GpuId, WatermarkState] = field(init=False)
    """As the last tick left them."""
    turn: Turn = field(default_factory=Turn)
    """Of encoders and renderers, as the last tick left it."""
    workers: int | None = field(init=False)
    """Clips that may run at a time, once that is settled."""
    max_default_workers: int | None = None
    """The most that it is settled at, where the run does not say."""
    clip_memory: LearnedMemory = field(default_factory=LearnedMemory)
    """GPU memory that clips took."""
    kept_memory: LearnedMemory = field(default_factory=LearnedMemory)
    """The same, of those alone whose pods are deleted."""
    claim: str | None = None
    """The volume claim's phase; ``Missing`` where there is none, None before it was looked up."""
    made: dict[str, float] = field(default_factory=dict)
    """When an object was made, by its kind, until a watch shows it."""
    problem: str = ""
    """What kept the operator from making or changing an object as it planned, in one line."""
    fault: str = ""
    """What kept it from looking at the run at the last attempt."""
    not_before: float = float("-inf")
    """When the next attempt to change something may be made, after one failed."""
    failures: int = 0
    """Attempts in a row that have failed."""
    events: dict[str, Series] = field(default_factory=dict)
    """What people were told of, by reason."""
    status_written_at: float = float("-inf")
    held: Mapping[str, int] = field(default_factory=dict)
    """Clips that could run and are held, by reason."""
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What Events say of pods that start, by UID: reason and message."""
    encoders: dict[str, Encoder] = field(default_factory=dict)
    """Their pods, by UID, as the last look saw them."""
    pods: Counter[PodState] = field(default_factory=Counter)
    """Renderers' pods by state."""
    fatal: str = field(init=False)
    """Why the run ended as a whole, by the status that this process found."""
    encoder_refusal: str = ""
    """Why the API server takes no pod of the encoder's, and what to do; empty if it does, or was not asked."""
    still_since: float | None = None
    """Since when the run stands still for a reason that may last until a person acts; None: it does not."""
    doing: asyncio.Task[None] | None = None
    """Changes under way."""
    gone: bool = False
    """The run is no more."""

    def __post_init__(self) -> None:
        self.blocks = Blocks.of(self.run, self.owner.only)
        if read_time(self.status.get("completionTime")) is None:
            self.status = {name: value for name, value in self.status.items() if name != "completionTime"}
        status, owner = self.status, self.owner
        taken_in = status.get("encodeAttempt", "") == owner.encode_attempt
        ended = status.get("completionTime") and taken_in and status.get("renderAttempt", "") == owner.attempt
        self.encoding = Encoding(
            encoded=status.get("encoded", 0),
            left=0 if ended else None,
            failed=_encode_failures(status, self.run) if taken_in else {},
            stuck=_message(status, ENCODER_STUCK)
            if ended and status.get("observedGeneration") == self.generation
            else "",
            # A run that no operator has begun has no encoders with a past.
            looked=status.get("phase", "Pending") == "Pending",
        )
        self.gates = _gates(self.status)
        self.fatal = _fatal(self.status, self.generation, self.owner.attempt)
        self.workers = self.status.get("workers")

    @property
    def error(self) -> str:
        """What is in the operator's way, in one line; empty if nothing is."""
        return self.problem or self.fault or next((each.why for each in self.rendering.unreleased.values()), "")

    def update(self, run: Run, owner: Owner, generation: int) -> None:
        """Take in a change of the run: what a person has mended is tried anew."""
        if owner.encode_attempt != self.owner.encode_attempt:
            self.encoding.failed = {}
            self.turn = Turn()
        if (generation, owner.attempt) != (self.generation, self.owner.attempt):
            self.fatal = ""
        self.run, self.owner, self.generation = run, owner, generation
        self.encoding.early_ends.clear()
        self.encoding.stuck = ""
        self.problem = self.fault = ""
        self.rendering.unreleased.clear()

    def follow(self, job: str, written: str = "") -> None:
        """Take note of the Job that renders now: of another one nothing is known, and encoders get another chance.

        Args:
            job: the Job's UID; empty: there is none.
            written: what pods of the Job that were deleted have left.
        """
        if job == self.rendering.job:
            return
        if self.rendering.job:
            self.encoding = Encoding(self.encoding.encoded)
            self.turn = Turn()
        self.rendering = Rendering(job)
        # The clips that are left are dealt out when a Job is made, and stay so while it is there.
        self.blocks = Blocks.of(self.run, self.owner.only)
        left = results.read(written)
        self.rendering.final = results.pods(left.failed, job, (self.owner.namespace, self.run.name), self.blocks)
        if left.memory is not None:
            self.restore(left.memory)

    def restore(self, memory: ClipMemory) -> None:
        """Go on from what an earlier process knew of GPU memory that clips took."""
        self.clip_memory.restore(memory)
        self.kept_memory.restore(memory)

    def measured(self, uid: str, before_its_end: float) -> float | None:
        """Return when a pod measured its GPU, or earlier; and take note that its clips had ended by then.

        Args:
            uid: of the pod.
            before_its_end: seconds, by its node's clock.
        """
        left = self.rendering.left.get(uid)
        if left is None:
            return None
        as_of = left.ended_at - before_its_end - SEEN_SECONDS
        self.rendering.left[uid] = replace(left, ended_at=max(left.started_at, as_of))
        return as_of


def _gates(status: Mapping[str, Any]) -> dict[GpuId, WatermarkState]:
    """Return gates as a status has them: between its two marks a gate stays as it was, also over a restart."""
    found = {}
    for entry in status.get("gpus", ()):
        uuid, instance = split_uuid(entry.get("uuid", ""))
        if COUNT.fullmatch(entry["gpu"]):
            gpu = GpuId(entry["node"], int(entry["gpu"]), uuid, instance)
            found[gpu] = WatermarkState(gpu, entry["gate"] == "Closed", None)
    return found


def _fatal(status: Mapping[str, Any], generation: int, attempt: str) -> str:
    """Return why a run has ended as a whole, if this very attempt has: the pods that showed it may be gone by now."""
    ended = (status.get("phase"), status.get("observedGeneration"), status.get("renderAttempt", ""))
    if ended != ("Failed", generation, attempt):
        return ""
    return _message(status, STUCK)


def _message(status: Mapping[str, Any], condition: tuple[str, str]) -> str:
    found = status.get("conditions", ())
    return next((str(each["message"]) for each in found if (each["type"], each["reason"]) == condition), "")


def _encode_failures(status: Mapping[str, Any], run: Run) -> dict[int, str]:
    """Return clips that could not be encoded, with reasons, as a status has them: encoders may be gone by now."""
    found: dict[int, str] = {}
    clips = Indexes.between(run.spec.clips.start, run.spec.clips.end)
    for entry in status.get("failures", ()):
        if entry["stage"] == "encode":
            with contextlib.suppress(ValueError):  # a status is a text that others may write
                told = Indexes.parse(entry["clips"].removesuffix(",..."))
                found |= dict.fromkeys(told.both(clips), entry["reason"])
    return found
