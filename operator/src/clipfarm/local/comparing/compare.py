"""The verdict on two makings of a clip, in words."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from clipfarm.local.comparing.bounds import Bound, allowed
from clipfarm.local.comparing.content import UnmeasurableError
from clipfarm.local.comparing.distance import Distance, measured
from clipfarm_contract.experiment import Picture
from clipfarm_contract.layout import Clip
from clipfarm_contract.machine import Machine

EXACT = "every byte the same"


class Verdict(Enum):
    """What a comparison comes to."""

    IDENTICAL = "identical"
    WITHIN = "equal within a bound"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two makings of a clip, compared."""

    verdict: Verdict
    summary: str
    """The verdict for people."""
    findings: tuple[str, ...] = ()
    """What differs, one line each."""
    machines: str = ""
    """What made the two, if bytes differ and it was not the same."""


def compare(
    clip: Clip, again: Clip, differing: Collection[str], picture: Picture, first: Machine | None, now: Machine | None
) -> Comparison:
    """Compare two makings of a clip by clipfarm's own renderer.

    Args:
        clip: as it is in the run.
        again: as it was made again.
        differing: their files whose bytes differ, by their paths inside the clip.
        picture: what both show.
        first: what made the clip in the run; None: not known.
        now: what made it again.
    """
    if not differing:
        return Comparison(Verdict.IDENTICAL, "every byte is the same")
    machines = _machines(first, now)
    try:
        distances, others = measured(clip, again, differing, picture)
    except UnmeasurableError as error:
        names = tuple(f"{name} differs" for name in sorted(differing))
        return Comparison(Verdict.DIFFERENT, f"different, and it cannot be measured: {error}", names, machines)
    bound = allowed(first, now)
    if bound and not others and all(distance.within(bound) for distance in distances):
        found = tuple(map(str, distances)) or ("the last digits of numbers differ",)
        return Comparison(Verdict.WITHIN, f"equal within the bound of {bound.cause}", found, machines)
    found = tuple(_finding(distance, bound) for distance in distances)
    found += tuple(f"{name} differs; expected {'other last digits at most' if bound else EXACT}" for name in others)
    return Comparison(Verdict.DIFFERENT, "different", found, machines)


def of_another_renderer(differing: Collection[str]) -> Comparison:
    """Compare two makings of a clip by a renderer of the user's own: only its author knows what may differ."""
    if not differing:
        return Comparison(Verdict.IDENTICAL, "every byte is the same")
    return Comparison(Verdict.DIFFERENT, "different", tuple(f"{name} differs" for name in differing))


def _finding(distance: Distance, bound: Bound | None) -> str:
    if bound is None:
        return f"{distance}; expected {EXACT}"
    return str(distance) if distance.within(bound) else f"{distance}; expected {distance.expected(bound)}"


def _machines(first: Machine | None, now: Machine | None) -> str:
    if now is None or first == now:
        return ""
    if first is None:
        counts = "" if now.gpu else ", which counts as another processor (if it was a GPU, use --device gpu)"
        return f"made on a machine that is not recorded{counts}, and again on {now}"
    return f"made on {first}, and again on {now}"
