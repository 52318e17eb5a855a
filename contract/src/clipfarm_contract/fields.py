"""Strict reading of JSON objects: every error names the field, what was found and what was expected."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")
_LARGEST = 10**300
"""Whole numbers from here on are not read as floats, which end at 1.8e308."""


class ContractError(ValueError):
    """A JSON document does not keep the contract; the message names the field."""


class Fields:
    """One JSON object whose fields are taken one by one, and none may be left over."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ContractError(f"{where}: found {show(value)}, expected an object")
        self._left: dict[str, Any] = dict(value)
        self._where = where

    def path(self, name: str) -> str:
        """Return the full name of a field, as messages show it."""
        return f"{self._where}.{name}" if self._where else name

    def has(self, name: str) -> bool:
        """Return whether a field is there that was not taken yet."""
        return name in self._left

    def take(self, name: str, kind: type[T], default: T | None = None) -> T:
        """Take a field of one type; whole numbers serve where a float is asked for, booleans never do.

        Raises:
            ContractError: the field is missing without a default, or has another type.
        """
        if name not in self._left:
            if default is not None:
                return default
            raise ContractError(f"{self.path(name)}: missing, expected {_NAMES[kind]}")
        value = self._left.pop(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < _LARGEST else value
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ContractError(f"{self.path(name)}: found {show(value)}, expected {_NAMES[kind]}")
        return value

    def maybe(self, name: str, kind: type[T]) -> T | None:
        """Take a field of one type that may be left out, or null.

        Raises:
            ContractError: the field has another type.
        """
        if self._left.get(name) is None:
            self._left.pop(name, None)
            return None
        return self.take(name, kind)

    def take_object(self, name: str, parse: Callable[[object, str], T]) -> T:
        """Take a nested object and parse it."""
        return parse(self.take(name, dict), self.path(name))

    def take_list(self, name: str, parse: Callable[[object, str], T]) -> tuple[T, ...]:
        """Take a list and parse each of its items."""
        items = cast("list[object]", self.take(name, list))
        return tuple(parse(item, f"{self.path(name)}[{i}]") for i, item in enumerate(items))

    @property
    def left(self) -> dict[str, Any]:
        """All fields that were not taken yet, as they are; they stay to be taken."""
        return dict(self._left)

    def rest(self) -> dict[str, Any]:
        """Take all fields that are left, as they are."""
        left, self._left = self._left, {}
        return left

    def done(self) -> None:
        """Raise ContractError if a field is left that was not taken."""
        for name in self._left:
            raise ContractError(f"{self.path(name)}: unknown field")


def parse_text(value: object, where: str) -> str:
    """Parse a string; for :meth:`Fields.take_list`."""
    if not isinstance(value, str):
        raise ContractError(f"{where}: found {show(value)}, expected a string")
    return value


def load(text: str | bytes, where: str) -> object:
    """Parse JSON.

    Raises:
        ContractError: the text is not JSON; the message begins with ``where``.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{where}: not JSON ({error})") from error


def _refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity, which are no JSON and would fail only later, when they are written."""
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is larger than any number")
    return value


def dump(value: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys, indented: the same value always gives the same bytes."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def show(value: object) -> str:
    """Return a value as messages show it: in JSON, and not too long."""
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        return "something nested deeply"
    return text if len(text) <= 60 else text[:57] + "..."


_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
