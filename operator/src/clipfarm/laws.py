"""Laws of factors as a run file gives them, and what run file and API server check of them by the declarations.

What a law means stands in :mod:`clipfarm_contract.experiments.laws`; which factors there are, with their bounds, in
:mod:`clipfarm_contract.experiments`. Rules in CEL are made from these, so that both sides refuse the same.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from clipfarm.cel import Rule, number, ordered
from clipfarm.model import Finite, Model, Positive, without_nulls
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.declaration import Factor
from clipfarm_contract.experiments.laws import FORMS
from clipfarm_contract.experiments.scene import SHORTHANDS
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


def _table(entry: Callable[[Factor], str | None], experiment: str) -> str:
    """Return a map in CEL of an experiment's factors to numbers; a factor without an entry is left out."""
    experiments = []
    for name, declaration in EXPERIMENTS.items():
        entries = {factor.name: entry(factor) for factor in declaration.factors if not factor.is_object}
        inner = ", ".join(f"'{factor}': {value}" for factor, value in entries.items() if value is not None)
        inner = inner or "'': 0.0"  # an empty map has no type
        experiments.append(f"'{name}': {{{inner}}}")
    return f"{{{', '.join(experiments)}}}[{experiment}.name]"


_VALUES = " + ".join(
    (
        "(has(m.factors[k].min) ? [m.factors[k].min] : [])",
        "(has(m.factors[k].max) ? [m.factors[k].max] : [])",
        "(has(m.factors[k].log) ? [m.factors[k].log.min, m.factors[k].log.max] : [])",
        "(has(m.factors[k].value) ? [m.factors[k].value] : [])",
        "(has(m.factors[k].values) ? m.factors[k].values : [])",
    )
)
"""In CEL, the numbers in the law of a factor ``k``."""


def _of_each(table: str, test: str, experiment: str = "self") -> str:
    """Return a rule in CEL that a test holds for each factor ``k`` with a law; ``t`` is the table."""
    return _built_in(
        f"[{table}].all(t, {_of_parts(f'!has(m.factors) || m.factors.all(k, {test})', experiment)})", experiment
    )


def _built_in(rule: str, experiment: str = "self") -> str:
    """Return a rule that holds for any module, whose factors only the renderer knows."""
    return f"has({experiment}.module) || {rule}"


def _of_parts(test: str, experiment: str) -> str:
    """Return a rule that a test holds for ``m``, which is an experiment and then each of its phases.

    Written twice: the API server thinks a list that holds an experiment far too costly.
    """
    everywhere = re.sub(r"\bm\.", f"{experiment}.", test)
    return f"({everywhere}) && {experiment}.phases.all(m, {test})"


def _of_each_value(entry: Callable[[Factor], str | None], test: str, experiment: str = "self") -> str:
    """Return such a rule about each number ``v`` of a law whose factor has an entry, ``t[k]``."""
    return _of_each(_table(entry, experiment), f"!(k in t) || ({_VALUES}).all(v, {test})", experiment)


def _least(factor: Factor) -> str | None:
    if factor.least is None:
        return None
    return "1e-300" if factor.above and factor.least == 0 else repr(float(factor.least))


def _most(factor: Factor) -> str | None:
    return None if factor.most is None else repr(float(factor.most))


def _is_whole(factor: Factor) -> str | None:
    return "1.0" if factor.whole else None


def _has_names(factor: Factor) -> str | None:
    return "1.0" if factor.names else None


def _frames_after(factor: Factor) -> str | None:
    return None if factor.frames_after is None else repr(float(factor.frames_after + 1))


_EXCLUDED = "!has(m.exclude) || m.exclude.all(e, !has(e.factors) || e.factors.all(k, k in t))"
_NAMES = _table(lambda _: "0.0", "self")
KNOWN = (
    _of_each(_NAMES, "k in t"),
    _built_in(
        f"[{_NAMES}].all(t, (!has(self.impulse) || 'impulse' in t) && self.phases.all(p, "
        + " && ".join(f"(!has(p.{name}) || '{name}' in t)" for name in SHORTHANDS)
        + "))"
    ),
    _built_in(f"[{_NAMES}].all(t, {_of_parts(_EXCLUDED, 'self')})"),
)
"""Rules of an experiment: it has the factors that are named."""
LAWFUL = (
    _of_each_value(_least, "v >= t[k]"),
    # CEL cannot compare larger numbers as whole ones, and none of them has a fraction.
    _of_each_value(_is_whole, "v > 9.0e15 || v < -9.0e15 || v == double(int(v))"),
    _of_each(_table(_is_whole, "self"), "!(k in t) || !has(m.factors[k].log)"),
    _of_each_value(_frames_after, "v <= double(self.frames) - t[k]"),
    _of_each(_table(_has_names, "self"), "(k in t) == has(m.factors[k].names)"),
)
"""Rules of an experiment: no renderer is asked for what cannot be."""
WITHIN = _of_each_value(_most, "v <= t[k]", "self.experiment")
"""Rule of a run: the built-in renderer can make what is asked for."""
