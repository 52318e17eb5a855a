"""What a plain word of YAML means to kubectl: YAML 1.1, as the Go library behind kubectl reads it.

It differs from YAML 1.2 and from PyYAML: ``y`` is true, ``017`` is 15, ``08`` and ``1e1`` are 8 and 10, and ``20:30``
and dates are strings.
"""

import base64
import binascii
import math
import re

Scalar = str | int | float | bool | None

TAG = "tag:yaml.org,2002:"
"""What ``!!`` stands for."""
MERGE_TAG = f"{TAG}merge"
LARGEST_INTEGER, SMALLEST_INTEGER = 2**63 - 1, -(2**63)
"""Kubernetes holds whole numbers in 64 bits; others are floats."""

_WORDS: dict[str, Scalar] = (
    dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True)
    | dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False)
    | dict.fromkeys(("", "~", "null", "Null", "NULL"), None)
    | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
    | dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf)
    | dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf)
)
_BASES = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?[0-9]+"), 10),
)
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_FRACTION = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_DATE = re.compile(
    r"[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])"
    r"([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]*)?(Z|[-+][0-9:]+)?)?"
)


class ScalarError(ValueError):
    """A word cannot be read; the message says why."""


def scalar(text: str, tag: str | None, *, plain: bool) -> Scalar:
    """Return what a word means.

    Args:
        text: the word, without quotes.
        tag: its tag, written out; None if it has none.
        plain: whether it stands without quotes, or has a tag that leaves its type open.

    Raises:
        ScalarError: it is not what its tag says, or no value of JSON.
    """
    if tag is None:
        return json_value(_resolved(text)) if plain else text
    kind = tag.removeprefix(TAG)
    if kind == "binary" and tag != kind:
        return _decoded(text)
    if tag == kind or kind not in ("bool", "int", "float", "null", "timestamp"):
        return text  # a string, or a type of the author's own
    if kind == "timestamp" and _DATE.fullmatch(text):
        return text
    found = _resolved(text)
    if kind == "float" and type(found) is int and found <= LARGEST_INTEGER:
        found = float(found)
    if _kind(found) != kind:
        raise ScalarError(f"found {_shown(text)}, expected a value for its tag !!{kind}")
    return json_value(found)


def json_value(value: Scalar) -> Scalar:
    """Return a value as it is after its way through JSON: a float without a fraction is a whole number.

    Raises:
        ScalarError: JSON has no such value.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ScalarError(f"found {value}, expected a finite number")
        return int(value) if value.is_integer() and SMALLEST_INTEGER <= value <= LARGEST_INTEGER else value
    if type(value) is int and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        return float(value)
    return value


def _resolved(text: str) -> Scalar:
    """Return the value of a plain word; one of no other type is a string."""
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "")
    if text[0] == ".":
        return _finite(digits, text) if _FRACTION.fullmatch(text) else text
    if text[0] not in "+-0123456789":
        return text
    number = _whole(digits)
    if number is not None:
        return number
    return _finite(digits, text) if _FLOAT.fullmatch(digits) else text


def _whole(digits: str) -> int | None:
    """Return the whole number in a word, None if there is none or it does not fit 64 bits."""
    for pattern, base in _BASES:
        if not pattern.fullmatch(digits):
            continue
        if base == 10 and not _DECIMAL.fullmatch(digits):
            return None  # 08 and 09 are no octal numbers; they are read as floats
        if len(digits) > 70:
            return None  # more than 64 binary digits, a sign and a prefix
        prefix = 2 if base in (2, 16) or digits.lstrip("+-")[1:2] in ("o", "O") else 0
        unsigned = digits.lstrip("+-")
        number = int(unsigned[prefix:], base) * (-1 if digits[0] == "-" else 1)
        largest = 2**64 - 1 if unsigned == digits else LARGEST_INTEGER
        return number if SMALLEST_INTEGER <= number <= largest else None
    return None


def _finite(digits: str, text: str) -> Scalar:
    """Return the float in a word; one that is too large is a string."""
    value = float(digits)
    return value if math.isfinite(value) else text


def _kind(value: Scalar) -> str:
    return {bool: "bool", int: "int", float: "float", type(None): "null"}.get(type(value), "str")


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode()
    except (binascii.Error, ValueError):
        raise ScalarError(f"found {_shown(text)}, expected base64 of a text in UTF-8 for its tag !!binary") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
