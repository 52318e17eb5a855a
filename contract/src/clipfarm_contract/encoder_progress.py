"""What an encoder has done so far: its answer at ``/progress``, and the file ``encode.json`` of a run on one machine.

Both are the same JSON. The file is replaced by rename at most five times a second, so that a reader never sees half of
it::

    {"model": "vjepa2_vitl16",
     "weights": {"source": "vitl.pt", "sha256": "...", "key": "target_encoder"},   # and a note where random
     "device": "cuda", "dtype": "float16",
     "state": "running",                     # finished; stopped: by a signal, or because the parent is gone
     "clips": {"found": 9, "waiting": 3, "encoding": 2, "encoded": 2, "skipped": 1, "failed": 1},
     "sets": [{"name": "vjepa2_vitl16", "model": "vjepa2_vitl16", "context": "clip",      # each feature set
               "clips": {"found": 9, "waiting": 3, "encoding": 2, "encoded": 2, "skipped": 1, "failed": 1}}],
     "foreign": 1,                           # clips of another run
     "absent": "9-16999",                    # of the clips that were asked for; null where all are
     "failures": [{"clip": "clip_00003", "reason": "rgb: missing"}],
     "seconds": {"io": 1.2, "preprocess": 0.3, "encode": 9.8, "save": 0.1, "total": 10.4},
     "clips_per_second": 0.192,
     "devices": [{"name": "cuda:0", "clips": 2, "batch_size": 2, "tokens_per_second": 836.0,
                  "model_flop_utilisation": 0.41, "memory_held_bytes": 3221225472}]}

An encoder that cuts videos adds ``videos`` (:mod:`clipfarm_contract.video_listing`).

``found`` counts complete clips of the run seen so far, and is the sum of the other five; ``skipped`` are those that
had features already or got them from another encoder. ``absent`` are clips that ``--clips`` asks for and that are not
found: not made yet, removed, or of another run. With several feature sets, ``clips`` and ``failures`` are of all
together: a clip is done when it has every set, and ``clips_per_second`` counts it in parts, one a set; model, weights
and type are the first set's. Stages overlap, so their seconds may add up to more than
``total``, which is wall time without the waiting for new clips; ``clips_per_second`` is ``encoded / total``. Of a
device, rates are over the time that it was computing; ``model_flop_utilisation`` is null where its peak is not known.

Readers ignore keys that they do not know: a later version may add some. An earlier one may lack all but ``clips`` and
``failures``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from clipfarm_contract import regular
from clipfarm_contract.encoder_counts import Counts, SetProgress
from clipfarm_contract.fields import ContractError, Fields, load
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import clip_index
from clipfarm_contract.result import take_seconds
from clipfarm_contract.video_listing import Listing

MOST_RANGES = 100_000
"""Of clips that are absent: a Job has no more indexes."""
MOST_NAME = 100
"""Characters of a clip's name: a longer one is none of a clip."""


class State(Enum):
    """Where an encoder stands."""

    RUNNING = "running"
    FINISHED = "finished"
    """Nothing is left for it to do."""
    STOPPED = "stopped"
    """By a signal, or because its parent is gone."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that could not be encoded."""

    clip: str
    """Its folder's name."""
    reason: str

    @property
    def index(self) -> int | None:
        """The clip's number; None if its name is none of a clip."""
        return clip_index(self.clip) if len(self.clip) <= MOST_NAME else None

    @classmethod
    def parse(cls, value: object, where: str) -> "Failure":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object.
        """
        fields = Fields(value, where)
        return cls(fields.take("clip", str), fields.take("reason", str))

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"clip": self.clip, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class EncoderProgress:
    """The whole document. What is None was not reported."""

    clips: Counts
    failures: tuple[Failure, ...]
    """By name."""
    sets: tuple[SetProgress, ...] = ()
    """Of each feature set; empty if an earlier version reports."""
    absent: Indexes | None = None
    """Clips that are asked for and not found; None also if all that are there are asked for."""
    foreign: int | None = None
    """Clips of another run."""
    videos: Listing | None = None
    """Of an encoder that was given a folder of videos."""
    state: State | None = None
    """None also if it is one of a later version."""
    model: str | None = None
    weights: Mapping[str, Any] | None = None
    device: str | None = None
    dtype: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By stage, and ``total``."""
    clips_per_second: float | None = None
    devices: tuple[Mapping[str, Any], ...] = ()
    """For people: no program reads them."""

    @classmethod
    def read(cls, path: Path) -> "EncoderProgress":
        """Read the file that an encoder keeps.

        Raises:
            OSError: it cannot be read.
            ContractError: it is no such document.
        """
        return cls.parse(load(regular.read(path, path.name), path.name), path.name)

    @classmethod
    def parse(cls, value: object, where: str = "progress") -> "EncoderProgress":
        """Parse the JSON form.

        Raises:
            ContractError: it is no such document, or has numbers that cannot be; the message names the field.
        """
        fields = Fields(value, where)
        state, videos = fields.maybe("state", str), fields.maybe("videos", dict)
        return cls(
            clips=fields.take_object("clips", Counts.parse),
            failures=fields.take_list("failures", Failure.parse),
            sets=fields.take_list("sets", SetProgress.parse) if fields.has("sets") else (),
            absent=_absent(fields),
            foreign=fields.maybe("foreign", int),
            videos=None if videos is None else Listing.parse(videos, fields.path("videos")),
            state=State(state) if state in {each.value for each in State} else None,
            model=fields.maybe("model", str),
            weights=fields.maybe("weights", dict),
            device=fields.maybe("device", str),
            dtype=fields.maybe("dtype", str),
            seconds=take_seconds(fields),
            clips_per_second=fields.maybe("clips_per_second", float),
            devices=tuple(fields.take("devices", list, [])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "model": self.model,
            "weights": self.weights,
            "device": self.device,
            "dtype": self.dtype,
            "state": self.state.value if self.state else None,
            "clips": self.clips.to_json(len(self.failures)),
            "sets": [each.to_json() for each in self.sets],
            "foreign": self.foreign,
            "absent": None if self.absent is None else str(self.absent),
            "failures": [failure.to_json() for failure in self.failures],
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "clips_per_second": None if self.clips_per_second is None else round(self.clips_per_second, 3),
            "devices": list(self.devices),
        } | ({} if self.videos is None else {"videos": self.videos.to_json()})


def _absent(fields: Fields) -> Indexes | None:
    text = fields.maybe("absent", str)
    if text is None:
        return None
    where, ranges = fields.path("absent"), text.count(",") + 1
    if ranges > MOST_RANGES:
        raise ContractError(f"{where}: found {ranges} ranges, expected at most {MOST_RANGES}")
    try:
        return Indexes.parse(text)
    except ValueError as error:
        raise ContractError(f"{where}: {error}") from error
