"""Clips as ``clipfarm export --format hf`` writes them: tables of all clips, and files with the features of many.

Features are mapped, as those of a run. Actions and states of all clips are read once, some 500 bytes a clip with one
body. Videos are in other columns of the same files, which are not read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipfarm.data import feature_files
from clipfarm.data.errors import DataError
from clipfarm.data.feature_files import FeatureFile
from clipfarm.data.sources import Rows
from clipfarm_contract import safetensors
from clipfarm_contract.fields import ContractError

REPORT, INDEX = "export.json", "index.json"
LONGEST_HEAD = 2**26
"""Bytes. A gigabyte of features that are means over the tokens has 30,000 clips, which take 4 MB."""
CLIPS_AT_ONCE = 100
COLUMNS = ("clip_id", "phase", "split", "num_frames", "actions", "states", "actions_shape", "states_shape")


@dataclass(frozen=True, slots=True)
class ExportedClip:
    """A clip of an export."""

    name: str
    splits: frozenset[str]
    """Its phase, and the same as a split of the export is called."""
    place: str
    """The export, for messages."""
    files: Mapping[str, FeatureFile]
    """Its features, by set; a layer of a set with several has the name ``SET/layer_08``."""
    tables: tuple[Rows, Rows] | None
    """Actions and states of all frames."""

    def sets(self) -> list[str]:
        """Return the names of its feature sets, a set with several layers as one for each."""
        return sorted(self.files)

    def find(self, name: str) -> FeatureFile:
        """Return where a feature set lies.

        Raises:
            ContractError: it has no such set.
        """
        found = self.files.get(name)
        if found is not None:
            return found
        layers = [each for each in self.sets() if each.startswith(f"{name}/")]
        if layers:
            raise ContractError(f"{name}: found several layers, expected one of {', '.join(layers)}")
        raise ContractError(f"no features {name} in this export")

    def frames(self) -> int | None:
        """Return the number of its frames; None if it has not both states and actions."""
        return None if self.tables is None else len(self.tables[1])

    def rows(self, frames: slice) -> tuple[Rows, Rows]:
        """Return actions and states of some frames, as copies."""
        assert self.tables is not None, "asked of clips with states alone"
        actions, states = self.tables
        return actions[frames].copy(), states[frames].copy()


def is_export(folder: Path) -> bool:
    """Tell whether a folder is an export, of any format."""
    return (folder / REPORT).is_file()


def of_export(folder: Path) -> list[ExportedClip]:
    """Return the clips of an export.

    Raises:
        DataError: it has another format, it is damaged, or pyarrow is missing.
    """
    report = _json(folder / REPORT)
    if report.get("format") != "hf":
        raise DataError(
            f"{folder}: found an export as {report.get('format')}, expected one with --format hf, or the run"
        )
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(f"{folder}: exports are read with pyarrow: pip install 'clipfarm[data]'") from None
    features: dict[str, dict[str, FeatureFile]] = {}
    clips = []
    try:
        tables = [row for path in sorted((folder / "data").glob("*.parquet")) for row in _rows(parquet, path)]
        frames = {row["clip_id"]: row["num_frames"] for row in tables}
        for index in sorted((folder / "features").glob(f"*/{INDEX}")):
            for clip, found in _features(index, frames).items():
                features.setdefault(clip, {}).update(found)
        for row in sorted(tables, key=lambda row: str(row["clip_id"])):
            splits = frozenset((row["phase"], row["split"]))
            own = features.get(row["clip_id"], {})
            clips.append(ExportedClip(row["clip_id"], splits, str(folder), own, row["tables"]))
    except (ArrowException, OSError, ContractError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: a damaged export: {' '.join(str(error).split())}") from error
    return clips


def _rows(parquet: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Return what is needed of each clip of a file; numbers become arrays at once, as lists they take eight times more.

    Args:
        parquet: pyarrow's module.
        path: of the file.
    """
    with parquet.ParquetFile(path) as file:
        there = [name for name in COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(CLIPS_AT_ONCE, columns=there):
            for row in batch.to_pylist():
                arrays = [_series(row, name) for name in ("actions", "states") if row.get(name) is not None]
                tables = (arrays[0], arrays[1]) if len(arrays) == 2 else None
                yield {name: row[name] for name in ("clip_id", "phase", "split", "num_frames")} | {"tables": tables}


def _series(row: Mapping[str, Any], name: str) -> Rows:
    """Return actions or states in the shape that the clip had; earlier exports do not name it."""
    values = np.array(row[name], np.float32)
    shape = row.get(f"{name}_shape")
    return values if shape is None else values.reshape(shape)


def _features(index: Path, frames: Mapping[str, int]) -> dict[str, dict[str, FeatureFile]]:
    """Return the arrays of a set, by clip and name."""
    document = _json(index)
    made = {name: _parsed(value) for name, value in document.get("metadata", {}).items()}
    name = index.parent.name
    files: dict[str, list[str]] = {}
    for tensor, file in document["weight_map"].items():
        files.setdefault(file, []).append(tensor)
    found: dict[str, dict[str, FeatureFile]] = {}
    for file, tensors in files.items():
        path = index.parent / file
        heads = safetensors.read_heads(path, LONGEST_HEAD)
        for tensor in tensors:
            clip, _, layer = tensor.partition("/")
            sidecar = made | {"frames": frames.get(clip)}
            place = feature_files.array(path, heads[tensor], sidecar)
            found.setdefault(clip, {})[f"{name}/{layer}" if layer else name] = place
    return found


def _parsed(value: Any) -> Any:
    """Return what an index has as text: numbers, lists and objects are JSON, words are themselves."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected an object")
    return found
