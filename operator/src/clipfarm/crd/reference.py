"""``python -m clipfarm.crd.reference FILE...``: bring the tables that are made from code in documents up to date.

A table stands between two comments: in docs/run.md that of all fields, made from the same schema as the resource's
definition; in docs/troubleshooting.md that of all rules that hold clips back; in docs/experiments.md those of all
factors.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clipfarm.crd.generate import custom_resource_definition
from clipfarm.crd.rules import IMMUTABLE
from clipfarm.decide.rules.table import Reason
from clipfarm.units import CPUS_PATTERN, DURATION_PATTERN, QUANTITY_PATTERN
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.declaration import Declaration

BEGIN = "<!-- begin: made by `make docs`, do not edit -->\n"
END = "<!-- end -->\n"
PATTERNS = {DURATION_PATTERN: "duration", QUANTITY_PATTERN: "quantity", CPUS_PATTERN: "CPUs"}
DIGITS = {"^[0-9a-f]{64}$": "64 hexadecimal digits", "^[0-9a-f]{40}$": "40 hexadecimal digits"}
HEAD = ("| field | type | default | meaning |", "| --- | --- | --- | --- |")


def updated(document: str, table: str) -> str:
    """Return a document with a table between the comments.

    Raises:
        ValueError: there is no place for the table.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"found no table, expected the lines {BEGIN.strip()} and {END.strip()}")
    return before + begin + "\n" + table + "\n" + end + after


def fields() -> str:
    """Return the table of all fields of ``spec``, in its order, and a line on those that cannot be changed."""
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = [*HEAD, *_rows(schema["properties"]["spec"], "")]
    fixed = [rule["fieldPath"][1:] for rule in IMMUTABLE]
    names = ", ".join(f"`{name}`" for name in sorted(fixed))
    return "\n".join([*rows, "", f"Once the run is there these cannot be changed: {names}.", ""])


def rules() -> str:
    """Return the table of all rules, in the order in which they are asked."""
    rows = (f"| `{reason}` | {reason.rule.means} | {reason.rule.remedy} |" for reason in Reason)
    return "\n".join(("| reason | what it means | what to do |", "| --- | --- | --- |", *rows, ""))


def factors() -> str:
    """Return a table of factors for each experiment, in the order in which a clip draws them."""
    return "\n".join(line for declaration in EXPERIMENTS.values() for line in _factors(declaration))


def _factors(declaration: Declaration) -> Iterator[str]:
    yield from (f"### `{declaration.name}`", "", f"{declaration.meaning}.", "")
    yield from ("| factor | default | bounds | meaning |", "| --- | --- | --- | --- |")
    for factor in declaration.factors:
        if factor.is_object:
            yield f"| `{factor.name}` | `[cube]` | [`objects`](#laws) | {factor.meaning}. |"
        else:
            yield f"| `{factor.name}` | {factor.span(factor.default)} | {factor.bounds} | {factor.meaning}. |"
    yield ""


TABLES: dict[str, Callable[[], str]] = {"run.md": fields, "troubleshooting.md": rules, "experiments.md": factors}
"""By the document's name."""


def _rows(schema: dict[str, Any], path: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, each in schema["properties"].items():
        inner = each.get("items", each)
        text = each.get("description", "").replace("|", "\\|")
        default = "required" if name in required else _default(each)
        yield f"| `{path}{name}` | {_type(each)} | {default} | {text} |"
        if "properties" in inner:
            yield from _rows(inner, f"{path}{name}{'[]' if 'items' in each else ''}.")


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        inner = schema["items"]
        return "list" if "properties" in inner else f"list of {_type(inner)}"
    if "additionalProperties" in schema:
        return "map of strings"
    pattern = schema.get("pattern", "")
    if pattern in PATTERNS | DIGITS:
        return (PATTERNS | DIGITS)[pattern]
    name: str = schema["type"]
    return {"integer": "whole number"}.get(name, name) + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    said = []
    if low is not None:
        said.append(f"above {low}" if schema.get("exclusiveMinimum") else f"from {low}")
    if high is not None:
        said.append(f"below {high}" if schema.get("exclusiveMaximum") else f"to {high}")
    return "".join(f" {part}" for part in said)


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    # Of an object its fields say it.
    if default in (None, []) or "properties" in schema:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`[{', '.join(default)}]`"
    return f"`{default}`"


def main() -> None:
    """Rewrite the documents that the command line names."""
    for path in map(Path, sys.argv[1:]):
        path.write_text(updated(path.read_text(), TABLES[path.name]()))


if __name__ == "__main__":
    main()
