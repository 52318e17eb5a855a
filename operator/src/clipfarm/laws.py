"""Laws of factors as a run file gives them; :mod:`clipfarm.laws_in_cel` has what the API server checks of them.

What a law means stands in :mod:`clipfarm_contract.experiments.laws`; which factors there are, with their bounds, in
:mod:`clipfarm_contract.experiments`.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from clipfarm.cel import Rule, number, ordered
from clipfarm.model import Finite, Model, Positive, without_nulls
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.laws import FORMS
from clipfarm_contract.text import any_of

MOST_FACTORS = 32
MOST_VALUES = 64
MOST_EXCLUSIONS = 16
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]


NAMES = tuple(dict.fromkeys(name for each in EXPERIMENTS.values() for factor in each.factors for name in factor.names))
"""What the values of some factor may be."""


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"expected {any_of(NAMES)}")
    return name


def _is_no_name(value: object) -> object:
    if isinstance(value, str) and value in NAMES:
        raise ValueError("expected a number; names are given as names: [...]")
    return value


Number = Annotated[Finite, BeforeValidator(_is_no_name)]
Name = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(NAMES)})]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=len(NAMES), strict=False)]


class LogRange(Model):
    """Values from ``min`` to ``max`` whose logarithm is uniform: each factor of ten gets as many clips."""

    rules = (ordered("min", "max"),)

    min: Positive
    """The smallest value."""
    max: Positive
    """The largest value."""


def _reversed(law: Any) -> str | None:
    if law.min is None or law.max is None or law.min <= law.max:
        return None
    return f"max: found {number(law.max)}, expected min ({number(law.min)}) or more"


ORDERED = Rule(_reversed, "!has(self.min) || !has(self.max) || self.min <= self.max", "expected min or more", ".max")


def _forms(law: "Law") -> str | None:
    given = [law.min is not None or law.max is not None, law.log is not None, bool(law.values), law.value is not None]
    given.append(bool(law.names))
    whole = (law.min is None) == (law.max is None)
    return None if sum(given) == 1 and whole else f"min: expected one of {FORMS}"


class Law(Model):
    """Law of a factor, in one of its forms: min and max, log, values, value, or names."""

    shape = f"one of {FORMS}"
    rules = (
        Rule(
            _forms,
            cel="has(self.min) == has(self.max)"
            " && [has(self.min), has(self.log), has(self.values), has(self.value), has(self.names)]"
            ".filter(f, f).size() == 1",
            message=f"expected one of {FORMS}",
            field=".min",
        ),
        ORDERED,
    )

    min: Finite | None = None
    """The smallest value; any value from min to max is as likely."""
    max: Finite | None = None
    """The largest value."""
    log: LogRange | None = None
    """Values whose logarithm is uniform."""
    values: tuple[Number, ...] | None = Field(default=None, min_length=1, max_length=MOST_VALUES, strict=False)
    """Values of which each is as likely."""
    value: Finite | None = None
    """A constant."""
    names: Names | None = None
    """Names of which each is as likely, such as materials of the floor."""


Laws = Annotated[dict[str, Law], Field(max_length=MOST_FACTORS), BeforeValidator(without_nulls)]


def _conditions(span: "Span") -> str | None:
    given = [span.min is not None or span.max is not None, bool(span.values), span.value is not None, bool(span.names)]
    return None if sum(given) == 1 else "min: expected min or max or both, values, value, or names"


class Span(Model):
    """Values of a factor: from min to max, either of which may be left out, or certain ones."""

    rules = (
        Rule(
            _conditions,
            cel="[has(self.min) || has(self.max), has(self.values), has(self.value), has(self.names)]"
            ".filter(f, f).size() == 1",
            message="expected min or max or both, values, value, or names",
            field=".min",
        ),
        ORDERED,
    )

    min: Finite | None = None
    """The smallest value."""
    max: Finite | None = None
    """The largest value."""
    values: tuple[Number, ...] | None = Field(default=None, min_length=1, max_length=MOST_VALUES, strict=False)
    """Certain values."""
    value: Finite | None = None
    """A certain value."""
    names: Names | None = None
    """Certain names."""


class Exclusion(Model):
    """A combination that no clip shows: all of its conditions at once."""

    rules = (
        Rule(
            lambda exclusion: (
                None if exclusion.objects or exclusion.factors else "objects: expected objects or factors"
            ),
            cel="has(self.objects) || has(self.factors) && self.factors.size() > 0",
            message="expected objects or factors",
            field=".objects",
        ),
    )

    objects: tuple[ObjectName, ...] | None = Field(default=None, min_length=1, max_length=MOST_VALUES, strict=False)
    """Objects; default: any."""
    factors: Annotated[dict[str, Span], Field(max_length=MOST_FACTORS), BeforeValidator(without_nulls)] | None = None
    """Values of factors."""


Exclusions = Annotated[tuple[Exclusion, ...], Field(min_length=1, max_length=MOST_EXCLUSIONS, strict=False)]
