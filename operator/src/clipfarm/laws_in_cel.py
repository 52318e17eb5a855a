"""What the API server checks of laws: rules in CEL, made from the declarations of the built-in experiments.

The run file is checked by the same declarations, so both sides refuse the same.
"""

import re
from collections.abc import Callable

from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.declaration import Factor
from clipfarm_contract.experiments.scene import SHORTHANDS


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
