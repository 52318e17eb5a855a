"""What to do if clips cannot be rendered: ``retry`` of a run file."""

from typing import Annotated

from pydantic import Field

from clipfarm.model import Model, Seconds


class Retry(Model):
    """What to do if clips cannot be rendered."""

    limit: int = Field(default=1, ge=0, le=100)
    """Further attempts at a clip whose renderer ran out of GPU memory (exit code 2), and at clips of a pod that ended
    early because its first ones failed alike."""
    delay: Annotated[Seconds, Field(ge=0)] = 30.0
    """Minimum time between the end of an attempt and the next one."""
    stop_after: int = Field(default=20, ge=0, le=10_000)
    """Number of clips that fail alike before the run ends as Failed, if none is complete by then; 0: all are tried.
    Reasons are alike if they differ only in words that contain a digit."""
    lost_after: Annotated[Seconds, Field(ge=0)] = 300.0
    """In a cluster, time without an answer from a node, after which its pods that are being deleted are given up and
    their clips made elsewhere."""

    @property
    def tries_once(self) -> bool:
        """Whether no clip gets a second attempt."""
        return self.limit == 0
