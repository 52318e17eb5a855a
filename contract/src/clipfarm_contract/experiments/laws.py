"""Laws: how the value of a factor is drawn.

A law turns one uniform number into a value. So a clip draws as many numbers as its experiment has factors, whatever the
laws are: another law for one factor leaves the values of all others as they were.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipfarm_contract.fields import ContractError, Fields, parse_text, show

Value = float | int | str
"""Of a factor: a number, a whole number, or the name of an object or of a look."""


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A law of all values between two."""

    min: float
    max: float

    def __post_init__(self) -> None:
        # 12 and 12.0 are the same law, and have to be the same bytes in a recipe.
        object.__setattr__(self, "min", float(self.min))
        object.__setattr__(self, "max", float(self.max))

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.min, self.max


@dataclass(frozen=True, slots=True)
class Uniform(_Bounded):
    """Any value from ``min`` to ``max`` is as likely; equal bounds make a constant."""

    def at(self, u: float) -> float:
        """Return the value for a number ``u`` from 0 to 1; the same bits as NumPy's ``Generator.uniform``."""
        return self.min + (self.max - self.min) * u

    def whole_at(self, u: float) -> int:
        """Return the whole number for ``u``; both bounds are among them."""
        return int(self.min) + min(int(u * (self.max - self.min + 1)), int(self.max - self.min))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"min": self.min, "max": self.max}


@dataclass(frozen=True, slots=True)
class Log(_Bounded):
    """From ``min`` to ``max``, and the logarithm is uniform: each factor of ten gets as many clips."""

    def at(self, u: float) -> float:
        """Return the value for a number ``u`` from 0 to 1."""
        low, high = math.log(self.min), math.log(self.max)
        return min(max(math.exp(low + (high - low) * u), self.min), self.max)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"log": {"min": self.min, "max": self.max}}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values, each as likely."""

    values: tuple[Value, ...]

    def at(self, u: float) -> Any:
        """Return the value for a number ``u`` from 0 to 1."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value, of numbers."""
        numbers = [value for value in self.values if not isinstance(value, str)]
        return min(numbers), max(numbers)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"names" if self.is_of_names else "values": list(self.values)}

    @property
    def is_of_names(self) -> bool:
        """Whether its values are names, and no numbers."""
        return any(isinstance(value, str) for value in self.values)


Law = Uniform | Log | Choice
UNREAD = Choice(())
"""The law of a factor that only its module knows (:mod:`clipfarm_contract.experiments.module`)."""
FORMS = "{min: ..., max: ...}, {log: {min: ..., max: ...}}, {values: [...]}, {value: ...} or {names: [...]}"
"""Of a law, as a run file has it."""


def parse(value: object, where: str) -> Law:
    """Read a law: one of ``FORMS``. A constant is the uniform law with equal bounds.

    Raises:
        ContractError: it is none.
    """
    fields = Fields(value, where)
    law: Law
    if fields.has("names"):
        law = Choice(fields.take_list("names", parse_text))
        if not law.values:
            raise ContractError(f"{where}.names: found [], expected at least one")
    elif fields.has("values"):
        law = Choice(fields.take_list("values", _number))
        if not law.values:
            raise ContractError(f"{where}.values: found [], expected at least one")
    elif fields.has("log"):
        low, high = fields.take_object("log", _bounds)
        if low <= 0:
            raise ContractError(f"{where}.log.min: found {low:g}, expected more than 0")
        law = Log(low, high)
    elif fields.has("value"):
        constant = fields.take("value", float)
        law = Uniform(constant, constant)
    elif fields.has("min") or fields.has("max"):
        law = Uniform(fields.take("min", float), fields.take("max", float))
        _refuse_reversed(law.min, law.max, where)
    else:
        raise ContractError(f"{where}: found {show(value)}, expected {FORMS}")
    fields.done()
    return law


def parse_range(value: object, where: str) -> Uniform:
    """Read ``{"min": 0.5, "max": 0.9}``, and no other law.

    Raises:
        ContractError: it is none.
    """
    return Uniform(*_bounds(value, where))


def choice(values: Sequence[Value]) -> Choice:
    """Return the law that takes one of the values."""
    return Choice(tuple(values))


def _bounds(value: object, where: str) -> tuple[float, float]:
    fields = Fields(value, where)
    low, high = fields.take("min", float), fields.take("max", float)
    fields.done()
    _refuse_reversed(low, high, where)
    return low, high


def _refuse_reversed(low: float, high: float, where: str) -> None:
    if low > high:
        raise ContractError(f"{where}: min {low:g} is above max {high:g}")


def _number(value: object, where: str) -> float:
    fields = Fields({"value": value}, where)
    return fields.take("value", float)
