"""Groups of clips: twins, which share what they draw, and quadruplets of possible and impossible clips.

A group is made of consecutive clips, counted from clip 0: of groups of four, clips 4 to 7 are the second. The first
clip of a group draws as it would alone. Each clip depends on its own number alone, so any clip can be made by itself.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.laws import Choice, Law
from clipfarm_contract.fields import ContractError, Fields, parse_text, show
from clipfarm_contract.text import any_of

QUADRUPLET = 4
"""Clips of a group with a violation: two possible ones, and the two that change from one to the other."""
MOST_TWINS = 64
Kind = Literal["teleport", "vanish", "shape", "colour", "pass-through", "perpetual", "no-reaction"]
KINDS: Mapping[Kind, str] = {
    "teleport": "The object is suddenly elsewhere.",
    "vanish": "The object is suddenly gone, or there from nowhere.",
    "shape": "The object suddenly has another shape.",
    "colour": "The object suddenly has another colour.",
    "pass-through": "The moving object passes through the one that it meets, or is thrown back by nothing.",
    "perpetual": "The object suddenly loses its friction and never slows down again, or slows down from nothing.",
    "no-reaction": "The object that is hit does not move, or an immovable one does.",
}
"""What happens in the impossible clips."""
SHIFTED: Mapping[Kind, tuple[tuple[str, ...], ...]] = {
    "teleport": (("x", "y"), ("way",)),
    "shape": (("object",),),
    "colour": (("hue",),),
}
"""Factors in which the second clip of a group differs; the first of these alternatives that the experiment has."""
ONLY: Mapping[Kind, tuple[str, ...]] = {
    "pass-through": ("collide",),
    "perpetual": ("push", "collide"),
    "no-reaction": ("collide",),
}
"""Experiments that have a kind; any other kind, all of them have."""
AT_THE_HIT: tuple[Kind, ...] = ("pass-through", "no-reaction")
"""Kinds that begin in the frame that shows the hit, whatever ``at`` says."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Clips that differ in some factors alone."""

    of: int
    """Clips of a group."""
    vary: tuple[str, ...]
    """Names of the factors that each clip draws for itself."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Twins":
        """Read ``{"of": 4, "vary": ["friction"]}``."""
        fields = Fields(value, where)
        parsed = cls(fields.take("of", int), fields.take_list("vary", parse_text))
        fields.done()
        if not 2 <= parsed.of <= MOST_TWINS:
            raise ContractError(f"{where}.of: found {parsed.of}, expected 2 to {MOST_TWINS}")
        if not parsed.vary:
            raise ContractError(f"{where}.vary: found [], expected at least one factor")
        return parsed

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"of": self.of, "vary": list(self.vary)}


@dataclass(frozen=True, slots=True)
class Violations:
    """Impossible events, and when they happen."""

    kinds: tuple[Kind, ...]
    """Of which each group gets one, drawn at random."""
    least: int
    most: int
    """The first frame that shows what is impossible, drawn from ``least`` to ``most``."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Violations":
        """Read ``{"kinds": ["teleport"], "at": {"min": 4, "max": 8}}``."""
        fields = Fields(value, where)
        kinds = fields.take_list("kinds", parse_text)
        least, most = fields.take_object("at", _frames)
        fields.done()
        if not kinds:
            raise ContractError(f"{where}.kinds: found [], expected {any_of(KINDS)}")
        for kind in kinds:
            if kind not in get_args(Kind):
                raise ContractError(f"{where}.kinds: found {show(kind)}, expected {any_of(KINDS)}")
        return cls(kinds, least, most)  # type: ignore[arg-type]  # checked above

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kinds": list(self.kinds), "at": {"min": self.least, "max": self.most}}


def shifted(kind: Kind, declaration: Declaration) -> tuple[str, ...]:
    """Return the factors in which the second clip of a group of this kind differs from the first."""
    return next((names for names in SHIFTED.get(kind, ()) if names[0] in declaration.by_name), ())


def twins_problem(twins: Twins, declaration: Declaration) -> str | None:
    """Return what is wrong with twins of an experiment, as ``twins.vary: found "x", ...``; None if nothing is."""
    odd = next((name for name in twins.vary if name not in declaration.by_name), None)
    return f"twins.vary: found {show(odd)}, expected {any_of(declaration.by_name)}" if odd else None


def violations_problem(
    violations: Violations, experiment: str, factors: Container[str] | None, frames: int
) -> str | None:
    """Return what is wrong with violations in clips of so many frames; None if nothing is.

    Args:
        violations: what is asked for.
        experiment: its name.
        factors: names of its factors; None if they are not known here.
        frames: of a clip.
    """
    if not 1 <= violations.least <= violations.most <= frames - 1:
        return (
            f"violations.at: found {violations.least} to {violations.most}, expected a range from 1 to {frames - 1},"
            f" the last of the {frames} frames"
        )
    for kind in violations.kinds:
        if kind in ONLY and experiment not in ONLY[kind]:
            return f"violations.kinds: found {show(kind)}, which {experiment} does not have; {_having(kind)} does"
        ways = SHIFTED.get(kind, ())
        if ways and factors is not None and not any(names[0] in factors for names in ways):
            lacks = any_of(" and ".join(names) for names in ways)
            return f"violations.kinds: found {show(kind)}, which {experiment} cannot have without the factor {lacks}"
    return None


def law_problem(violations: Violations, declaration: Declaration, laws: Mapping[str, Law]) -> str | None:
    """Return which kind a phase's laws rule out, as ``violations: found ...``; None if they rule out none."""
    for kind in violations.kinds:
        names = shifted(kind, declaration)
        if names and all(_is_constant(laws[name]) for name in names):
            return f"violations: found one value of {' and '.join(names)}, expected more, of which {kind} takes two"
        if names and all(_is_constant(laws[name]) or _repeats(laws[name]) for name in names):
            listed = " and ".join(names)
            return f"violations: found a value of {listed} twice, expected each once, so that {kind} takes two"
        if kind == "perpetual":
            if laws["friction"].extremes[0] <= 0:
                return "violations: found no friction, expected some, which perpetual takes away"
            if "wallFriction" in laws and laws["wallFriction"].extremes[1] > 0:
                return "violations: found wallFriction, expected none for perpetual"
            objects = next(laws[name] for name in declaration.object_factors())
            if isinstance(objects, Choice) and "sphere" in objects.values:
                return "violations: found sphere among the objects, which rolls, expected others for perpetual"
    return None


def clips_problem(start: int, end: int, of: int) -> str | None:
    """Return why clips ``start`` to ``end`` are no whole groups, None if they are."""
    if start % of == 0 and (end + 1) % of == 0:
        return None
    whole = (start - start % of, end - (end + 1) % of + (of if (end + 1) % of else 0))
    return f"found {start} to {end}, expected whole groups of {of} clips, such as {whole[0]} to {whole[1]}"


def _having(kind: Kind) -> str:
    return " or ".join(ONLY[kind])


def _is_constant(law: Law) -> bool:
    return len(set(law.values)) < 2 if isinstance(law, Choice) else law.min == law.max


def _repeats(law: Law) -> bool:
    return isinstance(law, Choice) and len(set(law.values)) < len(law.values)


def _frames(value: object, where: str) -> tuple[int, int]:
    fields = Fields(value, where)
    bounds = fields.take("min", int), fields.take("max", int)
    fields.done()
    return bounds
