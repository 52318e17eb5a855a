"""What an encoder has found in a folder of somebody else's videos: ``videos`` of its answer at ``/progress``.

::

    {"found": 12, "clips": 340, "passed_over": 2,
     "reasons": [{"video": "noise.webm", "reason": "Invalid data found when processing input"}]}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.fields import ContractError, Fields

MOST_REASONS = 100
"""Videos whose reasons an encoder reports."""
MOST_TEXT = 300
"""Characters of a path, and of a reason."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A video that gives no clip."""

    video: str
    """Path from the videos' folder."""
    reason: str

    @classmethod
    def parse(cls, value: object, where: str) -> "PassedOver":
        """Parse the JSON form.

        Raises:
            ContractError: it is no such object.
        """
        fields = Fields(value, where)
        return cls(fields.take("video", str)[:MOST_TEXT], fields.take("reason", str)[:MOST_TEXT])


@dataclass(frozen=True, slots=True)
class Listing:
    """Videos that were found, and the clips that they were cut into."""

    found: int
    """Videos, also those that were passed over."""
    clips: int
    """Clips that are there, of all videos."""
    passed_over: int = 0
    """Videos that give no clip."""
    reasons: tuple[PassedOver, ...] = ()
    """Why, of the first of them by name."""

    @classmethod
    def of(cls, found: int, clips: int, refused: Mapping[str, str]) -> "Listing":
        """Return the listing of so many videos, some of which were refused, by their paths."""
        reasons = (
            PassedOver(name[:MOST_TEXT], reason[:MOST_TEXT]) for name, reason in sorted(refused.items())[:MOST_REASONS]
        )
        return cls(found, clips, len(refused), tuple(reasons))

    @classmethod
    def parse(cls, value: object, where: str) -> "Listing":
        """Parse the JSON form.

        Raises:
            ContractError: it is no such object, or has numbers that cannot be.
        """
        fields = Fields(value, where)
        made = cls(
            fields.take("found", int),
            fields.take("clips", int),
            fields.take("passed_over", int),
            fields.take_list("reasons", PassedOver.parse)[:MOST_REASONS],
        )
        for name in ("found", "clips", "passed_over"):
            if not 0 <= (number := getattr(made, name)) <= LAST_CLIP + 1:
                raise ContractError(f"{where}.{name}: found {str(number)[:20]}, expected 0 to {LAST_CLIP + 1}")
        return made

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        reasons = [{"video": each.video, "reason": each.reason} for each in self.reasons]
        return {"found": self.found, "clips": self.clips, "passed_over": self.passed_over, "reasons": reasons}
