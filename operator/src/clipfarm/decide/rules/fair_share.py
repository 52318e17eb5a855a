"""Memory that comes free is kept for the run with the smallest share, if its next clip fits nowhere yet.

Without it a run with large clips would never start beside runs with small ones, which fit into each gap.
"""

from pydantic import Field

from clipfarm.decide.rules.rule import PlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.vram.place import Place
from clipfarm.model import Model


class Options(Model):
    """The field of the run's spec."""

    priority: int = Field(default=1, ge=1, le=1000)
    """Weight of the run among those that share GPUs or nodes: a run with 2 gets twice the share of one with 1."""


def _holds(place: Place, situation: Situation) -> str | None:
    if not place.kept_for or not situation.run.spec.vram.enabled:
        return None
    where = place.gpu or place.node.name
    return f"{where}: memory that comes free is kept for {place.kept_for}, which has a smaller share of the GPUs"


RULE = PlaceRule(
    word="FairShare",
    means=(
        "Another run has a smaller share of the GPUs, by its `priority`, and its next clip fits nowhere yet. Memory "
        "that comes free on one GPU is kept for it."
    ),
    remedy="Nothing: clips start there again once that run has started one. `spec.priority` sets the shares.",
    passes=True,
    about_vram=True,
    holds=_holds,
)
