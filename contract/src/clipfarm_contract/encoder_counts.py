"""How many clips an encoder has waiting, under way and done: of all feature sets together, and of each.

They are parts of what it reports (:mod:`~clipfarm_contract.encoder_progress`).
"""

from dataclasses import dataclass
from typing import Any

from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.fields import ContractError, Fields

_COUNTS = ("waiting", "encoding", "encoded", "skipped")


@dataclass(frozen=True, slots=True)
class Counts:
    """Clips of the run that an encoder has found, by what became of them; those that failed are listed by name."""

    waiting: int
    encoding: int
    encoded: int
    skipped: int
    """With features that it did not make."""
    found: int | None = None
    """All of them."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Counts":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object, or has numbers that cannot be.
        """
        fields = Fields(value, where)
        waiting, encoding, encoded, skipped = (_count(fields, name) for name in _COUNTS)
        return cls(waiting, encoding, encoded, skipped, fields.maybe("found", int))

    def to_json(self, failed: int) -> dict[str, int | None]:
        """Return the JSON form, with the number of clips that failed."""
        return {"found": self.found, **{name: getattr(self, name) for name in _COUNTS}, "failed": failed}


@dataclass(frozen=True, slots=True)
class SetProgress:
    """Clips of one feature set, by what became of them."""

    name: str
    clips: Counts
    failed: int
    model: str | None = None
    context: str | None = None

    @property
    def done(self) -> int:
        """Clips that have the set."""
        return self.clips.encoded + self.clips.skipped

    @classmethod
    def parse(cls, value: object, where: str) -> "SetProgress":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object, or has numbers that cannot be.
        """
        fields = Fields(value, where)
        clips = fields.take("clips", dict)
        return cls(
            fields.take("name", str),
            Counts.parse(clips, fields.path("clips")),
            _count(Fields(clips, fields.path("clips")), "failed"),
            fields.maybe("model", str),
            fields.maybe("context", str),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        named = {"name": self.name, "model": self.model, "context": self.context}
        return named | {"clips": self.clips.to_json(self.failed)}


def _count(fields: Fields, name: str) -> int:
    found = fields.take(name, int)
    if not 0 <= found <= LAST_CLIP + 1:
        raise ContractError(f"{fields.path(name)}: found {str(found)[:20]}, expected 0 to {LAST_CLIP + 1}")
    return found
