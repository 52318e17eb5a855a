"""Reading a BenchmarkRun from a YAML file; :mod:`clipfarm.run_mistakes` says what is wrong with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from clipfarm.module import with_source
from clipfarm.run import KIND, Run
from clipfarm.run_mistakes import error_lines, unknown_metadata
from clipfarm.yaml_budget import DocumentError
from clipfarm.yaml_documents import MOST_BYTES, documents
from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError

Overrides = Mapping[tuple[str, ...], Any]
"""Values from the command line, by their place in the document: ``("spec", "seed"): 7``."""


class RunFileError(ValueError):
    """A run file that cannot be used; ``lines`` holds one line for each thing that is wrong."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def read_run(path: Path, overrides: Overrides | None = None) -> Run:
    """Read the one BenchmarkRun in a YAML file; other documents of the file are left alone.

    Raises:
        RunFileError: the file cannot be read, is not YAML, holds no or several runs, or the run makes no sense.
    """
    return parse_run(_content(path), str(path), overrides, path.parent)


def read_objects(path: Path) -> list[dict[str, Any]]:
    """Return all objects of a YAML file as they stand there; its one BenchmarkRun with the text of its module.

    Raises:
        RunFileError: as for :func:`read_run`, but what the run says is not looked at.
    """
    content = _content(path)
    run = run_document(content, str(path), path.parent)
    return [run if each.get("kind") == KIND else each for each in _unlisted(documents(content))]


def _content(path: Path) -> bytes:
    try:
        return regular.read_given(path, str(path), MOST_BYTES)
    except OSError as error:
        raise RunFileError([f"{path}: {error.strerror}"]) from error
    except ContractError as error:
        raise RunFileError([str(error)]) from error


def parse_run(content: bytes | str, where: str, overrides: Overrides | None = None, folder: Path | None = None) -> Run:
    """Parse the one BenchmarkRun in a YAML text, also one that stands in a list, as ``kubectl get -o yaml`` prints it.

    Args:
        content: the text.
        where: what messages call it.
        overrides: values in place of the text's.
        folder: of the file, to which the file of a module is relative; None: there is none.

    Raises:
        RunFileError: as for :func:`read_run`.
    """
    document = run_document(content, where, folder)
    for place, value in (overrides or {}).items():
        document = _put(document, place, value)
    try:
        return Run.model_validate(document)
    except ValidationError as error:
        raise RunFileError([f"{where}: {line}" for line in error_lines(error)]) from error


def run_document(content: bytes | str, where: str, folder: Path | None = None) -> dict[str, Any]:
    """Return the one BenchmarkRun in a YAML text as it stands there, with the text of its module.

    Raises:
        RunFileError: it is not YAML, holds no or several runs, or the module cannot be read.
    """
    try:
        found = documents(content.encode() if isinstance(content, str) else content)
    except DocumentError as error:
        raise RunFileError([f"{where}: {error}"]) from error
    runs = [document for document in _unlisted(found) if document.get("kind") == KIND]
    if len(runs) != 1:
        raise RunFileError([f"{where}: found {len(runs)} documents of kind {KIND}, expected one"])
    document = {name: value for name, value in runs[0].items() if name != "status"}
    if unknown := unknown_metadata(document.get("metadata")):
        raise RunFileError([f"{where}: {line}" for line in unknown])
    if folder is None:
        return document
    try:
        return cast("dict[str, Any]", with_source(document, folder))
    except ContractError as error:
        raise RunFileError([f"{where}: {error}"]) from error


def _unlisted(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the objects among documents, and those in lists among them, in place of the lists."""
    objects, waiting = [], list(reversed(found))
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            items = each.get("items")
            if isinstance(items, list) and str(each.get("kind")).endswith("List"):
                waiting += reversed(items)
            else:
                objects.append(each)
    return objects


def _put(document: Any, place: tuple[str, ...], value: Any) -> Any:
    """Return a document with a value at a place; the same object may stand at others, where it stays as it was."""
    if not place:
        return value
    if document is None:
        document = {}
    if not isinstance(document, dict):
        return document  # validation says so, with the field's name
    return document | {place[0]: _put(document.get(place[0]), place[1:], value)}
