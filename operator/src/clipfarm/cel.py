"""Rules of a run that types cannot express: each in Python for run files and in CEL for the API server, side by side.

A test holds both against the same bad runs (``tests/helpers/bad_runs.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

VALIDATIONS = "x-kubernetes-validations"
Validation = dict[str, Any]


def validation(rule: str, message: str, field: str = "") -> Validation:
    """Return a rule as the API server takes it.

    Args:
        rule: in CEL, about ``self``.
        message: a fixed text. One that is computed would cost more than the API server lets a rule cost.
        field: of the object, as a path with a dot before it: where the message points to.
    """
    made: Validation = {"rule": rule, "message": message, "reason": "FieldValueInvalid"}
    return made | ({"fieldPath": field} if field else {})


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A rule about one value, for the ``Annotated`` of its field."""

    expected: str
    """What comes after "expected" in both messages."""
    holds: Callable[[Any], bool]
    cel: str
    hint: Callable[[Any], str] = lambda _: ""
    """Returns what a message adds about a value, such as a correct one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {VALIDATIONS: [validation(self.cel, f"expected {self.expected}")]}

    def _checked(self, value: Any) -> Any:
        if not self.holds(value):
            raise ValueError(f"expected {self.expected}{self.hint(value)}")
        return value


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about an object, for the ``rules`` of its type."""

    problem: Callable[[Any], str | None]
    """Returns what is wrong with the object, beginning with the field, as ``end: found 3, expected 9 or more``."""
    cel: str
    message: str
    field: str
    """Where the API server's message points to, as ``.end``."""

    def validation(self) -> Validation:
        """Return the rule as the API server takes it."""
        return validation(self.cel, self.message, self.field)


def ordered(low: str, high: str) -> Rule:
    """Return the rule that a field is at least as large as another one."""

    def problem(part: Any) -> str | None:
        least, found = getattr(part, low), getattr(part, high)
        return None if least <= found else f"{high}: found {number(found)}, expected {low} ({number(least)}) or more"

    return Rule(problem, f"self.{low} <= self.{high}", f"expected {low} or more", f".{high}")


def number(value: float) -> str:
    """Return a number as people write it; of a whole number every digit."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(field: str) -> str:
    """Return a duration in CEL, whose own function knows no days but adds up hours: ``1d`` is ``10h10h1h1h1h1h``.

    A product would do, too, but the API server cannot tell how long its text is, and thinks it too costly.
    """
    text = f"self.{field}"
    days, rest = f"{text}.substring(0, {text}.indexOf('d'))", f"{text}.substring({text}.indexOf('d') + 1)"
    hours = " + ".join(f"{days} + '{unit}'" for unit in ("0h", "0h", "h", "h", "h", "h"))
    return f"duration({text}.contains('d') ? {hours} + {rest} : {text})"
