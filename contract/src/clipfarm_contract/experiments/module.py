"""An experiment of the user's own: a Python file that a run brings along.

The file holds the declaration and the story. Only the renderer runs it. All other parts know its hash, which belongs to
the recipe of each clip, and hand the laws of its factors on unread.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clipfarm_contract.experiments.declaration import OBJECTS, Declaration, Factor
from clipfarm_contract.experiments.laws import UNREAD
from clipfarm_contract.fields import ContractError, Fields, show

NAME = "^[a-z][a-z0-9-]*$"
"""Of an experiment, and so of a module."""
MOST_SOURCE = 65_536
"""Characters of a module. A run that is applied with kubectl holds it once more in an annotation, and annotations take
256 KiB in all."""


@dataclass(frozen=True, slots=True)
class Module:
    """The file, or its hash alone."""

    sha256: str
    """Of the file's bytes, in hexadecimal."""
    source: str = ""
    """Its text; empty where only its hash is known, as in a clip's recipe."""

    @classmethod
    def of(cls, source: str) -> "Module":
        """Return the module with a text."""
        return cls(hashlib.sha256(source.encode()).hexdigest(), source)

    @classmethod
    def parse(cls, value: object, where: str) -> "Module":
        """Read ``{"sha256": "12..."}``, with ``source`` or without.

        Raises:
            ContractError: a field is of the wrong type, or the source has another hash.
        """
        fields = Fields(value, where)
        parsed = cls(fields.take("sha256", str), fields.take("source", str, ""))
        fields.done()
        if parsed.source and (found := cls.of(parsed.source).sha256) != parsed.sha256:
            raise ContractError(f"{where}.sha256: found {show(parsed.sha256)}, expected {found}, that of the source")
        if len(parsed.sha256) != 64 or not set(parsed.sha256) <= set("0123456789abcdef"):
            raise ContractError(f"{where}.sha256: found {show(parsed.sha256)}, expected 64 hexadecimal digits")
        return parsed

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form without the text, which recipes have."""
        return {"sha256": self.sha256}


def unread(name: str, document: Mapping[str, Any]) -> Declaration:
    """Return what stands for the declaration of a module that is not run here: the factors that a run names.

    Args:
        name: of the experiment.
        document: the experiment as a run has it, or a clip.
    """
    names = dict.fromkeys(named for part in _parts(document) for named in _named(part))
    factors = (Factor(each, "", UNREAD) for each in names if each != "object")
    return Declaration(name, "", (*factors, Factor("object", "", OBJECTS)))


def _parts(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    phases = document.get("phases")
    for part in (document, document.get("phase"), *(phases if isinstance(phases, list) else ())):
        if isinstance(part, Mapping):
            yield part


def _named(part: Mapping[str, Any]) -> Iterator[str]:
    exclude, twins = part.get("exclude"), part.get("twins")
    yield from (name for name in ("friction", "mass") if name in part)
    for holder in (part, *(exclude if isinstance(exclude, list) else ())):
        if isinstance(holder, Mapping) and isinstance(named := holder.get("factors"), Mapping):
            yield from named
    if isinstance(twins, Mapping) and isinstance(vary := twins.get("vary"), list):
        yield from (name for name in vary if isinstance(name, str))
