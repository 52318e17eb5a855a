"""The objects that a file begins with if they are JSON, as kubectl reads them."""

import json
import math
from typing import Any

from clipfarm.yaml_budget import Budget, DocumentError
from clipfarm.yaml_scalars import LARGEST_INTEGER, Scalar, json_value


def json_documents(text: str, budget: Budget) -> tuple[list[Any], int]:
    """Return the objects that a file begins with if they are JSON, and where they end.

    Most JSON is YAML, too; characters beyond U+FFFF in escapes and tabs are not.
    """

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        budget.take(2 * len(pairs))
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            raise DocumentError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
        return made

    found: list[Any] = []
    if not text.lstrip().startswith("{"):
        return found, 0
    decoder = json.JSONDecoder(
        object_pairs_hook=mapping, parse_int=_json_number, parse_float=_json_number, parse_constant=_no_json
    )
    end = 0
    while True:
        start = len(text) - len(text[end:].lstrip())
        if start == len(text):
            return found, start
        try:
            document, end = decoder.raw_decode(text, start)
        except DocumentError:
            raise
        except RecursionError:
            raise DocumentError("nested too deeply") from None
        except ValueError as error:
            if len(found) < 2:  # the rest may be YAML
                return found, start
            raise DocumentError(" ".join(str(error).split())) from None
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DocumentError("found half a character in an escape such as \\ud800, expected both halves") from None
        found.append(document)


def _json_number(text: str) -> Scalar:
    whole = text.lstrip("-").isdigit() and len(text) <= len(str(-LARGEST_INTEGER))
    value = int(text) if whole else float(text)
    if not math.isfinite(value):
        raise DocumentError(f"{text[:20]} is larger than any number")
    return json_value(value)


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
