"""One request that carries a part of a plan out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clipfarm.cluster.api.client import Manifest
from clipfarm.cluster.reporting.events import Notice

SEEN_SECONDS = 30.0
"""An object that was made is seen by a watch within this; after it, it is believed to be gone again."""


@dataclass(frozen=True, slots=True)
class Change:
    """One request."""

    verb: Literal["create", "patch", "delete", "clear", "evict", "give up"]
    path: str
    """Of the list, or of the object."""
    kind: str
    name: str
    body: Manifest | list[Manifest] = field(repr=False)
    """The object; or a patch: a list is a JSON patch, else it is a merge patch; or the UID of what is deleted; or the
    labels of what is cleared."""
    event: Notice | None = None
    """The Event that reports it once it is done."""
    optional: bool = False
    """Whether the run is none the worse if it is refused."""
    needs: "Change | None" = None
    """What is done first; if it fails, this is not done."""
    lowers: int | None = None
    """How many pods the Job comes down to by it; None: to no fewer."""
    raises: int = 0
    """How many pods more the Job gets by it."""
    avoids: tuple[str, str] | None = None
    """A node that no pod is narrowed to for some time, and why."""


@dataclass(frozen=True, slots=True)
class Recently:
    """What was made, or refused, not long ago."""

    made: Mapping[str, float]
    """When, by the object's kind."""
    seen_at: Mapping[str, float]
    """When watches last showed an object, by its kind."""
    now: float

    def too_early(self, change: Change) -> bool:
        """Return whether what was made just now may not be there for the watches yet, or was refused just now."""
        since = self.made.get(change.kind) if change.verb == "create" or change.optional else None
        if since is None or self.seen_at.get(change.kind, float("-inf")) >= since:
            return False
        return self.now < since + SEEN_SECONDS

    def due(self, *changes: Change | None) -> Iterator[Change]:
        """Yield those of some changes that are to be carried out now."""
        yield from (change for change in changes if change is not None and not self.too_early(change))
