"""``experiment.module`` of a run: an experiment of the user's own, as the text of a Python file.

On this machine a run file may name the file; its text takes the place of the name before anything else looks at the
run. The operator and the API server see the text alone, and never run it.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from clipfarm.cel import Rule
from clipfarm.model import FileName, Model
from clipfarm_contract import regular
from clipfarm_contract.experiments.module import MOST_SOURCE
from clipfarm_contract.experiments.module import Module as ContractModule
from clipfarm_contract.fields import ContractError

PLACE = "spec.experiment.module"


def _no_source(module: "Module") -> str | None:
    if module.source is not None:
        return None
    return "source: missing, expected the module's text, or file in a run file on this machine"


def _both(module: "Module") -> str | None:
    if module.source is None or module.file is None:
        return None
    return "file: found beside source, expected one of the two"


class Module(Model):
    """A Python file with a declaration and a story; docs/extending.md shows one."""

    shape = "an object, as {file: ...} or {source: ...}"

    file: FileName | None = None
    """Path of the file from the run file's folder, on one machine; `clipfarm inline` puts the text in its place."""
    source: Annotated[str, Field(min_length=1, max_length=MOST_SOURCE)] | None = None
    """Text of the file. Only the renderer runs it."""

    rules = (
        Rule(
            _no_source,
            cel="has(self.source)",
            message="expected source, the text of the file: clipfarm inline RUN_FILE | kubectl apply -f -",
            field=".source",
        ),
        Rule(
            _both,
            cel="!has(self.source) || !has(self.file)",
            message="expected file on one machine, or source",
            field=".file",
        ),
    )

    def contract(self) -> ContractModule:
        """Return the module as the renderer reads it."""
        assert self.source is not None  # by the rule
        return ContractModule.of(self.source)


def _part(document: Any, name: str) -> dict[str, Any]:
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}


def with_source(document: Any, folder: Path) -> Any:
    """Return a run, as read from a file, with the text of its module in place of its file's name.

    Args:
        document: the run; anything that is none is returned as it is, for validation to refuse.
        folder: that the name is relative to.

    Raises:
        ContractError: the file cannot be read.
    """
    spec = _part(document, "spec")
    experiment = _part(spec, "experiment")
    module = _part(experiment, "module")
    name = module.get("file")
    if not isinstance(name, str) or not name or "\0" in name or module.get("source") is not None:
        return document
    where = f"{PLACE}.file"
    try:
        text = regular.read_given(folder / name, f"{where}: {name}", MOST_SOURCE * 4).decode()
    except UnicodeDecodeError:
        raise ContractError(f"{where}: found {name}, expected a text in UTF-8") from None
    except OSError as error:
        raise ContractError(f"{where}: {name}: {error.strerror}") from None
    others = {each: value for each, value in module.items() if each != "file"}
    return document | {"spec": spec | {"experiment": experiment | {"module": others | {"source": text}}}}
