"""From an export back to the folder of a clip, as far as the export has its files.

``python -m clipfarm_export.restore EXPORT`` lists the numbers of its clips; with ``NUMBER FOLDER`` it writes
``FOLDER/clip_00042``: ``clip.json`` and ``ground_truth.json`` as they were in the run, and frames, actions, states and
layers with the same values. ``clipfarm clip`` and ``clipfarm verify`` use it.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_export import tables
from clipfarm_export.errors import ExportError
from clipfarm_export.existing import REPORT, SUMS
from clipfarm_export.video import Frame, pixels_sha256


def indexes(root: Path) -> list[int]:
    """Return the numbers of the clips in an export."""
    found: list[int] = pq.read_table(root / tables.CLIPS, columns=["index"])["index"].to_pylist()
    return found


def restore(root: Path, index: int, into: RunFolder) -> Clip:
    """Write a clip's folder.

    Raises:
        ExportError: the export does not have the clip, or its frames are not those that it records.
        OSError: a file cannot be read or written.
    """
    report = _report(root)
    row, origin = (_row(root / name, index) for name in (tables.CLIPS, tables.PROVENANCE))
    if row is None or origin is None:
        raise ExportError(f"{root}: has no clip {index}")
    clip = into.clip(index)
    clip.folder.mkdir(parents=True)
    clip.manifest.write_text(origin["clip_json"], encoding="utf-8")
    if origin["ground_truth"] is not None:
        clip.ground_truth.write_text(origin["ground_truth"], encoding="utf-8")
    stored = importlib.import_module(f"clipfarm_export.formats.{report['format']}").stored(root, row)
    clip.rgb.mkdir()
    found = pixels_sha256(_written(clip, stored.frames))
    if report["options"]["video"] != "h264" and found != row["pixels_sha256"]:
        raise ExportError(f"{root}: the frames of clip {index} are not those that it records; clipfarm verify {root}")
    for path, name in ((clip.actions, "actions"), (clip.states, "states")):
        if name in stored.tables:
            path.parent.mkdir(exist_ok=True)
            np.save(path, stored.tables[name])
    for name, values in stored.layers.items():
        for i, value in enumerate(values):
            path = clip.layer(name, i)
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(value).save(path) if path.suffix == ".png" else np.save(path, value)
    return clip


def _written(clip: Clip, frames: Iterator[Frame]) -> Iterator[Frame]:
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(clip.frame(i))
        yield frame


def _report(root: Path) -> dict[str, Any]:
    try:
        found = load((root / REPORT).read_bytes(), REPORT)
    except (FileNotFoundError, ContractError):
        found = None
    if not isinstance(found, dict) or not (root / SUMS).exists():
        raise ExportError(f"{root}: not a complete export")
    return found


def _row(path: Path, index: int) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = pq.read_table(path, filters=[("index", "==", index)]).to_pylist()
    return rows[0] if rows else None


@click.command()
@click.argument("export", type=click.Path(path_type=Path))
@click.argument("index", type=click.IntRange(0), required=False)
@click.argument("into", type=click.Path(path_type=Path), required=False)
def command(export: Path, index: int | None, into: Path | None) -> None:
    """Write clip INDEX of EXPORT as a folder in INTO; without them, list the clips."""
    try:
        if index is None or into is None:
            _report(export)
            click.echo("\n".join(map(str, indexes(export))))
        else:
            restore(export, index, RunFolder(into))
    except (ExportError, OSError, pa.ArrowInvalid) as error:
        click.echo(" ".join(str(error).split()), err=True)
        sys.exit(1)


if __name__ == "__main__":
    command()
