"""One run, and what the parts of the operator know of it. Each part writes its own and reads the rest."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm.cluster.api.owners import COUNT, RunKey
from clipfarm.cluster.api.times import read_time
from clipfarm.cluster.api.views import RunView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.work import Answers, EncoderReports, Releases, Sweeping, Work
from clipfarm.decide.vram.learned import LearnedMemory
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Owner
from clipfarm.run import Run
from clipfarm.world import ClipMemory, GpuId, WatermarkState
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import split_uuid
from clipfarm_contract.video_listing import Listing, PassedOver

STUCK = ("Ready", "Stuck")
"""Type and reason of the condition that says why a run does not continue."""
ENCODER_STUCK = ("EncoderReady", "Stuck")
"""The same of its encoders alone."""


@dataclass
class Tracked:
    """One run. All of it can be lost: a restart finds it again in the run's status and its pods."""

    asked: Asked
    status: dict[str, Any]
    """As the API server has it. The applier writes it, when it has written it there."""
    max_default_workers: int | None = None
    """The most workers that are settled on, where the run does not say."""
    created: str = ""
    """When the run was created, as the API server writes it: of runs with equal shares the oldest comes first."""
    memory: Memory = field(init=False)
    """What is remembered from the last look. The loop replaces it, once a look."""
    releases: Releases = field(default_factory=Releases)
    work: Work = field(default_factory=Work)
    answers: Answers = field(default_factory=Answers)
    encoding: EncoderReports = field(init=False)
    sweeping: Sweeping = field(default_factory=Sweeping)
    clip_memory: LearnedMemory = field(default_factory=LearnedMemory)
    """GPU memory that clips took."""
    kept_memory: LearnedMemory = field(default_factory=LearnedMemory)
    """The same, of those alone whose pods are deleted."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Clips that could run and are held, by reason, as the loop last decided."""
    clips_per_hour: float | None = None
    """How fast clips are completed, as the loop last saw it; None: not known yet."""
    fatal: str = field(init=False)
    """Why the run ended as a whole, by the status that this process found."""
    fault: str = ""
    """What kept the loop from looking at the run at the last attempt."""
    gone: bool = False
    """The run is no more, or another operator's."""

    def __post_init__(self) -> None:
        if read_time(self.status.get("completionTime")) is None:
            self.status = {name: value for name, value in self.status.items() if name != "completionTime"}
        status, owner = self.status, self.owner
        taken_in = status.get("encodeAttempt", "") == owner.encode_attempt
        ended = status.get("completionTime") and taken_in and status.get("renderAttempt", "") == owner.attempt
        self.encoding = EncoderReports(
            encoded=status.get("encoded", 0),
            sets={each["name"]: each["encoded"] for each in status.get("features", ())},
            left=0 if ended else None,
            failed=_encode_failures(status, self.run) if taken_in else {},
            stuck=_message(status, ENCODER_STUCK)
            if ended and status.get("observedGeneration") == self.asked.generation
            else "",
            # A run that no operator has begun has no encoders with a past.
            looked=status.get("phase", "Pending") == "Pending",
            listing=_listing(status) if taken_in else None,
        )
        self.encoding.ask_for(_sets(self.run))
        self.memory = Memory(
            Blocks.of(self.run, owner.only),
            watermarks=_watermarks(status),
            workers=status.get("workers"),
            encode_attempt=owner.encode_attempt,
        )
        self.answers.slow.update(_slow(status))
        self.fatal = _fatal(status, self.asked.generation, owner.attempt)

    @property
    def run(self) -> Run:
        """The run's document."""
        return self.asked.run

    @property
    def owner(self) -> Owner:
        """The run as the API server knows it."""
        return self.asked.owner

    @property
    def key(self) -> RunKey:
        """The run's namespace and name."""
        return self.asked.key

    @property
    def error(self) -> str:
        """What is in the operator's way, in one line; empty if nothing is."""
        return self.work.problem or self.fault or next((each.why for each in self.releases.refused.values()), "")

    def update(self, asked: Asked) -> None:
        """Take in a change of the run: what a person has fixed is tried anew."""
        before, self.asked = self.asked, asked
        self.encoding.renew(failed=asked.owner.encode_attempt != before.owner.encode_attempt)
        self.encoding.ask_for(_sets(asked.run))
        if (asked.generation, asked.owner.attempt) != (before.generation, before.owner.attempt):
            self.fatal = ""
        self.fault = ""
        self.work.renew()
        self.releases.renew()

    def restore(self, memory: ClipMemory) -> None:
        """Go on from what an earlier process knew of GPU memory that clips took."""
        self.clip_memory.restore(memory)
        self.kept_memory.restore(memory)


def tracked_run(view: RunView, max_default_workers: int | None) -> Tracked:
    """Return a run as it is asked for, of which nothing is known yet.

    Raises:
        ValueError: it makes no sense; a ValidationError is one.
    """
    document = view.document
    run = Run.model_validate({name: document[name] for name in ("apiVersion", "kind", "metadata", "spec")})
    owner = Owner(view.run[0], view.uid, view.labels, view.only, view.attempt, view.encode_attempt)
    return Tracked(
        Asked(run, owner, view.generation),
        document.get("status", {}),
        max_default_workers=max_default_workers,
        created=document["metadata"].get("creationTimestamp", ""),
    )


def is_current(tracked: Tracked, view: RunView) -> bool:
    """Return whether a run still asks for what was taken in."""
    owner = tracked.owner
    taken_in = (tracked.asked.generation, owner.labels, owner.only, owner.attempt, owner.encode_attempt)
    return taken_in == (view.generation, view.labels, view.only, view.attempt, view.encode_attempt)


def _sets(run: Run) -> list[str]:
    """Return the names of the feature sets that a run lists."""
    return [each.name for each in run.spec.encode.features] if run.spec.encode.enabled else []


def _watermarks(status: Mapping[str, Any]) -> dict[GpuId, WatermarkState]:
    """Return gates as a status has them: between its two marks a gate stays as it was, also over a restart."""
    found = {}
    for entry in status.get("gpus", ()):
        uuid, instance = split_uuid(entry.get("uuid", ""))
        if COUNT.fullmatch(entry["gpu"]):
            gpu = GpuId(entry["node"], int(entry["gpu"]), uuid, instance)
            found[gpu] = WatermarkState(gpu, entry["gate"] == "Closed", None)
    return found


def _slow(status: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return what is slow on which node, as a status has it: the pods that said so may be gone."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in status.get("slow", ()):
        for node in entry["nodes"]:
            found[node] = (*found.get(node, ()), entry["message"])
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


def _listing(status: Mapping[str, Any]) -> Listing | None:
    """Return what encoders have found of videos, as a status has it; None: none has listed them."""
    found = status.get("videos")
    if found is None or "total" not in status:
        return None
    reasons = tuple(PassedOver(each["video"], each["reason"]) for each in found.get("reasons", ()))
    return Listing(found["found"], status["total"], found["passedOver"], reasons)


def _encode_failures(status: Mapping[str, Any], run: Run) -> dict[int, str]:
    """Return clips that could not be encoded, with reasons, as a status has them: encoders may be gone by now."""
    found: dict[int, str] = {}
    clips = run.spec.numbers
    for entry in status.get("failures", ()):
        if entry["stage"] == "encode":
            with contextlib.suppress(ValueError):  # a status is a text that others may write
                told = Indexes.parse(entry["clips"].removesuffix(",..."))
                found |= dict.fromkeys(told.both(clips), entry["reason"])
    return found
