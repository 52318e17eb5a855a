"""Combinations of values that a run holds out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm_contract.experiments.laws import Value
from clipfarm_contract.fields import ContractError, Fields, parse_text, show


@dataclass(frozen=True, slots=True)
class Span:
    """Values of one factor: those from ``min`` to ``max``, both included, or some; or some names."""

    min: float | None = None
    max: float | None = None
    values: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    def holds(self, value: Value) -> bool:
        """Return whether a value is among them."""
        if isinstance(value, str) or self.names:
            return value in self.names
        if self.values:
            return value in self.values
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    @classmethod
    def parse(cls, value: object, where: str) -> "Span":
        """Read ``{"min": 0.5}``, ``{"values": [1, 2]}``, ``{"value": 1}`` or ``{"names": ["planks"]}``.

        Raises:
            ContractError: it is none.
        """
        fields = Fields(value, where)
        low, high = fields.maybe("min", float), fields.maybe("max", float)
        values = fields.take_list("values", _number) if fields.has("values") else ()
        names = fields.take_list("names", parse_text) if fields.has("names") else ()
        constant = fields.maybe("value", float)
        fields.done()
        given = [low is not None or high is not None, bool(values), constant is not None, bool(names)]
        if sum(given) != 1:
            raise ContractError(f"{where}: found {show(value)}, expected min or max or both, values, value, or names")
        if low is not None and high is not None and low > high:
            raise ContractError(f"{where}: min {low:g} is above max {high:g}")
        return cls(low, high, values if constant is None else (constant,), names)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        if self.values or self.names:
            return {"values": list(self.values)} if self.values else {"names": list(self.names)}
        return {name: bound for name, bound in (("min", self.min), ("max", self.max)) if bound is not None}


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What no clip may show: every one of its conditions at once."""

    objects: tuple[str, ...] = ()
    """Names of objects; none stands for any object."""
    factors: Mapping[str, Span] = field(default_factory=dict)

    def holds(self, values: Mapping[str, Value], objects: Collection[str] = ("object",)) -> bool:
        """Return whether a clip with these values is held out; ``objects`` are the factors that are objects."""
        shown = [values[name] for name in objects if name in values]
        return (not self.objects or any(name in self.objects for name in shown)) and all(
            span.holds(values[name]) for name, span in self.factors.items()
        )

    @classmethod
    def parse(cls, value: object, where: str) -> "Exclusion":
        """Read ``{"objects": ["cone"], "factors": {"friction": {"min": 0.5}}}``.

        Raises:
            ContractError: it is none.
        """
        fields = Fields(value, where)
        objects = fields.take_list("objects", parse_text) if fields.has("objects") else ()
        spans = fields.take("factors", dict) if fields.has("factors") else {}
        fields.done()
        if not objects and not spans:
            raise ContractError(f"{where}: found no condition, expected objects, factors, or both")
        return cls(objects, {name: Span.parse(each, f"{where}.factors.{name}") for name, each in spans.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        factors = {name: span.to_json() for name, span in self.factors.items()}
        return ({"objects": list(self.objects)} if self.objects else {}) | ({"factors": factors} if factors else {})


def _number(value: object, where: str) -> float:
    fields = Fields({"value": value}, where)
    return fields.take("value", float)
