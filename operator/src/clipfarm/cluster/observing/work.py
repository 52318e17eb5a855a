"""What the parts of the operator report of a run to its next look. Each class names its one writer; others only read.

A request that was begun is known here before any watch shows what it did.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.series import Series
from clipfarm.decide.admission import To
from clipfarm.world import EarlyEnd, Standing
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.video_listing import Listing

WINDOW = 64
"""Completions that the moving window of the ETA holds."""
MOST_ASIDE = 16
"""The most pods that others are made for because their release is refused: a policy may refuse all pods of a run."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server's answer to an attempt to take a pod's gate off."""

    why: str
    times: int
    """How often in a row."""
    until: float
    """When the next attempt is due, on this process's own clock; until then other pods come first."""


@dataclass(slots=True)
class Releases:
    """Scheduling gates that are being taken off the pods of one Job. The gatekeeper writes it."""

    released: dict[str, To] = field(default_factory=dict)
    """Pods, by UID, whose gate was taken off, until a watch shows it; and where they are to go, empty: anywhere."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    """Pods, by UID, whose gate the API server refuses to take off."""

    def settle(self, pods: Mapping[str, PodView]) -> None:
        """Drop the pods that a watch shows without their gate, or no more."""
        for known in (self.released, self.refused):
            for uid in [uid for uid in known if not _at_its_gate(pods.get(uid))]:
                del known[uid]

    def renew(self) -> None:
        """Try what was refused anew: the run was changed."""
        self.refused.clear()

    def set_aside(self, now: float) -> set[str]:
        """Return the pods, by UID, whose release was refused lately and is not due again yet."""
        return {uid for uid, refusal in self.refused.items() if now < refusal.until}

    def aside(self, now: float) -> int:
        """Return how many such pods the Job has others for, so that their clips are not in the way of the rest."""
        return min(MOST_ASIDE, len(self.set_aside(now)))


def _at_its_gate(pod: PodView | None) -> bool:
    return pod is not None and pod.gated and not pod.never_to_run


@dataclass(frozen=True, slots=True)
class Lowering:
    """A request for fewer pods."""

    to: int
    """How many the Job is to have."""
    at: float
    """When it was decided, on this process's own clock."""


@dataclass(slots=True)
class JobWork:
    """What was done about the pods of one Job. The applier writes it."""

    evicted: set[str] = field(default_factory=set)
    """Pods, by UID, that were evicted because they could not get to a node."""
    avoided: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Until when no pod is narrowed to a node, and why."""
    given_up: dict[str, str] = field(default_factory=dict)
    """Pods, by UID, that were given up with their node, whose name this is; the latest comes last."""
    raised_at: float = float("-inf")
    """When the Job was last given room for more pods."""
    parallelism: int = 0
    """How many pods it was last asked to have."""
    lowering: Lowering | None = None
    """The last request for fewer pods."""


@dataclass(slots=True)
class Work:
    """What was done for one run. The applier writes it."""

    doing: asyncio.Task[None] | None = None
    """Changes under way."""
    not_before: float = float("-inf")
    """When the next attempt to change something may be made, after one failed."""
    failures: int = 0
    """Attempts in a row that have failed."""
    problem: str = ""
    """What kept the operator from making or changing an object as it planned, in one line."""
    made: dict[str, float] = field(default_factory=dict)
    """When an object was last made, by its kind; or refused, if the run can do without it."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why the API server refused an object that the run can do without, by its kind."""
    status_written_at: float = float("-inf")
    series: dict[str, Series] = field(default_factory=dict)
    """Events of the run, by reason."""
    on_job: JobWork = field(default_factory=JobWork)

    def begin(self) -> None:
        """Forget the pods of the last Job."""
        self.on_job = JobWork()

    def renew(self) -> None:
        """Forget what was in the way: the run was changed."""
        self.problem = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a dry run of one of the Job's pods has shown; with neither text, that the API server takes pods."""

    refusal: str = ""
    """Why the API server takes none, and what to do."""
    unknown: str = ""
    """Why it could not be asked."""


@dataclass(slots=True)
class Answers:
    """What no watch brings. The poller writes it."""

    claim: str | None = None
    """The volume claim's phase; ``Missing`` where there is none, None before it was looked up."""
    trial: Trial = Trial()
    """The last dry run, while pods are missing."""
    tried_at: float = float("-inf")
    """When the API server was last asked to take a pod."""
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What Events say of pods that start, by UID: reason and message."""
    ended_by: dict[str, float] = field(default_factory=dict)
    """When pods had ended, or earlier, by UID: those that measured their GPU after their last clip."""
    asked: set[str] = field(default_factory=set)
    """Pods, by UID, that were asked what their clips took, of those that have ended not long ago."""
    slow: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What makes clips slow on a node, and what to do, as its last pod that was asked has it; of 100 nodes at most."""

    def begin(self) -> None:
        """Forget the pods of the last Job."""
        self.trial, self.tried_at = Trial(), float("-inf")

    def settle(self, left: Collection[str], standings: Mapping[str, Standing], *, missing: bool) -> None:
        """Drop what is over.

        Args:
            left: pods, by UID, that have ended not long ago.
            standings: where pods stand of which Events say something, by UID.
            missing: whether pods are missing.
        """
        self.trial = self.trial if missing else Trial()
        self.asked.intersection_update(left)
        for uid in [uid for uid in self.ended_by if uid not in left]:
            del self.ended_by[uid]
        for uid in [uid for uid, word in self.words.items() if not _shows(standings.get(uid), word)]:
            del self.words[uid]

    def trial_of(self, missing_since: float | None) -> Trial:
        """Return what is known of why pods are missing; nothing where none is."""
        return Trial() if missing_since is None else self.trial


def _shows(standing: Standing | None, word: tuple[str, str]) -> bool:
    """Return whether a pod still starts, and says no other word of its own."""
    if standing is None or standing.state not in ("Bound", "Starting"):
        return False
    return standing.reason in (word[0], "NodeSilent", "NodeLost")


@dataclass(slots=True)
class EncoderReports:
    """What the run's encoders report. :mod:`clipfarm.cluster.process.encoders` writes it."""

    encoded: int = 0
    """The run's clips with its features: with each set, if there are several."""
    sets: dict[str, int] = field(default_factory=dict)
    """The run's clips by feature set that it lists; empty if it lists none."""
    left: int | None = None
    """Clips that encoders see and that have neither features nor failed; None: none has reported."""
    absent: Indexes = field(default_factory=Indexes)
    """Clips that no encoder finds."""
    answering: int = 0
    """Encoders that answered the last question."""
    listing: Listing | None = None
    """Of a run of videos, what was found; None: no encoder has listed them yet."""
    failed: dict[int, str] = field(default_factory=dict)
    completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    looked: bool = False
    """Whether encoders' pods were looked at since this operator began, or a new Job did."""
    restarts: dict[str, int] = field(default_factory=dict)
    """Of each encoder's pod, by UID, those that were looked at."""
    silence: str = ""
    """Why none of them answers; empty: one does."""
    early_ends: list[EarlyEnd] = field(default_factory=list)
    """Since one last encoded a clip, or the run was changed."""
    stuck: str = ""
    """Why encoding was given up, by the status that this process found."""

    def forget_rest(self) -> None:
        """Forget what encoders saw last: none is asked for, and it will not be so for long."""
        self.left, self.absent = None, Indexes()

    def ask_for(self, sets: Sequence[str]) -> None:
        """Count anew, if the run lists other feature sets than those that were counted."""
        if list(self.sets) != list(sets):
            self.encoded, self.left, self.failed = 0, None, {}
            self.sets = dict.fromkeys(sets, 0)

    def renew(self, *, failed: bool) -> None:
        """Give encoders another chance: the run was changed. ``failed``: with the clips that failed, too."""
        if failed:
            self.failed, self.listing = {}, None
        self.early_ends.clear()
        self.stuck = ""


@dataclass(slots=True)
class Sweeping:
    """How far the pods of one Job that have ended are deleted. The sweeper writes it."""

    kept: results.Results | None = None
    """What pods that were deleted have left, as the Job has it; None: not read yet."""
    owed: bool = True
    """Whether some of the pods that are listed there to be deleted may still be there."""
    swept: int | None = None
    """Complete indexes at the last look at which no pod that has succeeded was left; None: before the first."""
    swept_at: float = float("-inf")
    """When pods that have ended were last deleted."""
