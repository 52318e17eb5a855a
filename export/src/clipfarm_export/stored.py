"""A clip as an export holds it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm_export.video import Frame


@dataclass(frozen=True, slots=True)
class Stored:
    """What an export has of a clip, beside its row and its ``clip.json``."""

    frames: Iterator[Frame]
    tables: Mapping[str, Any] = field(default_factory=dict)
    """Actions and states, (frames, values); those that it has."""
    layers: Mapping[str, Any] = field(default_factory=dict)
    """An array of all frames for each layer that was exported."""
