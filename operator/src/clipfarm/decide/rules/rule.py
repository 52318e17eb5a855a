"""What a rule is, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.decide.vram.place import Place


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a clip does not start now."""

    reason: StrEnum
    """In one word, for programs: of a rule (``Reason``), or of a pod that does not start (``PodReason``)."""
    message: str
    """In a sentence, for people: what was found, and what to do if a person has to act."""
    capacity: bool = False
    """Whether one more node would take the clip; else it waits for memory, time or a person."""
    frees_worker: bool = False
    """Whether the clip leaves its worker to the next one, because it could not run now anyway."""
    about_vram: bool = False
    """Whether GPU memory is the cause."""
    until: float | None = field(default=None, compare=False)
    """When it ends by itself, on the world's clock; None: unknown. Clips that differ in it alone are held alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Decides one reason for which a clip does not start."""

    word: str
    """The reason in one word, as status and docs/troubleshooting.md have it."""
    means: str
    """What the reason means, in Markdown: for its row in docs/troubleshooting.md, which `make docs` writes."""
    remedy: str
    """What to do, for the same row."""
    passes: bool
    """Whether its holds end without a person: other clips end, memory comes free, time passes."""
    about_vram: bool = False
    """Whether GPU memory is the cause: the condition VRAMHeld lists such holds."""
    more_nodes_help: bool = False
    """Whether one more node would end its holds: an autoscaler may be asked for one."""
    frees_worker: bool = False
    """Whether a clip that it holds leaves its worker to the next one, because it could not run now anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRule(Rule):
    """A rule that looks at a clip, wherever it would start."""

    holds: Callable[[Candidate, Situation], str | None]
    """Returns the message if the rule holds the clip, else None."""
    until: Callable[[Candidate, Situation], float | None] = lambda _candidate, _situation: None
    """Returns when a hold will end, on the clock of ``world.now``: the time left counts from there. None: unknown."""
    takes_back: Callable[[Situation], str | None] = lambda _situation: None
    """Returns why pods that were released and have no node yet go back behind their gates; None: they need not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRule(Rule):
    """A rule that looks at a place, whichever clip would start there.

    If it holds once, it holds for the rest of the tick: places only fill up.
    """

    holds: Callable[[Place, Situation], str | None]
    """Returns the message if the rule holds clips back from the place, else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPlaceRule(Rule):
    """A rule for a run that has no place at all."""

    message: Callable[[Situation], str]
    """Returns why there is none."""
