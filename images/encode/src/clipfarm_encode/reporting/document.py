"""The document that an encoder keeps and serves, by what it has counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipfarm_contract.encoder_counts import Counts, SetProgress
from clipfarm_contract.encoder_progress import EncoderProgress, Failure, State
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import clip_index
from clipfarm_contract.video_listing import Listing
from clipfarm_encode.files.recipe import Recipe
from clipfarm_encode.reporting.tally import DeviceTally, Tally

MOST_REASONS = 3 * 2**20
"""Characters of all reasons together: who asks takes 8 MiB, and 100,000 clips may fail."""
SHORTEST_REASON = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What a document is made of."""

    state: State
    sets: Sequence[tuple[Recipe, Tally]]
    whole: Tally
    """Of all sets together."""
    foreign: int
    """Clips of another run."""
    wanted: Indexes | None
    """Clips that are asked for; None: all that are there."""
    listing: Listing | None
    """Of the videos that clips are cut from; None: there are none."""
    seconds: Mapping[str, float]
    """By stage, and ``total``."""
    clips_per_second: float
    devices: Sequence[DeviceTally]


def progress(facts: Facts) -> EncoderProgress:
    """Return the document."""
    recipe, _ = facts.sets[0]
    return EncoderProgress(
        model=recipe.model,
        weights=dict(recipe.weights),
        device=facts.devices[0].name.partition(":")[0],
        dtype=recipe.dtype,
        state=facts.state,
        clips=_counts(facts.whole),
        sets=tuple(
            SetProgress(recipe.set_name, _counts(tally), len(tally.failures), recipe.model, recipe.extraction.context)
            for recipe, tally in facts.sets
        ),
        foreign=facts.foreign,
        absent=_absent(facts),
        failures=_failures(facts.whole.failures),
        videos=facts.listing,
        seconds=facts.seconds,
        clips_per_second=facts.clips_per_second,
        devices=tuple(device.to_json() for device in facts.devices),
    )


def _counts(tally: Tally) -> Counts:
    return Counts(
        found=len(tally.found),
        waiting=tally.waiting,
        encoding=tally.encoding,
        encoded=len(tally.encoded),
        skipped=len(tally.skipped),
    )


def _absent(facts: Facts) -> Indexes | None:
    if facts.wanted is None:
        return None
    numbers = (clip_index(name) for name in facts.whole.found)
    return facts.wanted.without(Indexes.of(number for number in numbers if number is not None))


def _failures(failures: Mapping[str, str]) -> tuple[Failure, ...]:
    """Return the clips that failed, by name; of very many the reasons are cut."""
    most = max(SHORTEST_REASON, MOST_REASONS // max(1, len(failures)))
    return tuple(Failure(name, reason[:most]) for name, reason in sorted(failures.items()))
