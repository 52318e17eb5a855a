"""Feature sets as safetensors files of one to two gigabytes, copied from the clips without being in memory.

The format is a head of JSON and then the values (https://huggingface.co/docs/safetensors). A clip's array keeps its
bytes; its tensor is named after the clip, and after the clip and its own name where a set has several arrays a clip.
"""

import hashlib
import json
import os
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from clipfarm_contract import regular
from clipfarm_contract.clip import FEATURES
from clipfarm_contract.features import array_problem, input_difference, read_heads
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip
from clipfarm_export.errors import ExportError, LeftOutError
from clipfarm_export.job import Job, shard_name
from clipfarm_export.parts import Made, Part, Tick
from clipfarm_export.survey import Candidate, LeftOut
from clipfarm_export.truth import text

_DTYPES = {"e": "F16", "f": "F32", "d": "F64", "B": "U8"}
_CHUNK = 2**20
_CHANGED = "features changed while they were exported; the same command continues"
_MISSING = "has no features "
_OF_A_CLIP = ("input", "sha256", "frames", "shape", "grid", "frame_of_token", "compute", "clipfarm")
"""What of a sidecar differs from clip to clip of a set, also by the device that encoded it."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array in a file of a clip."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """The features of a clip, verified."""

    path: Path
    tensors: list[Tensor]
    state: tuple[int, ...]
    """Of the file whose bytes were hashed."""


def parts(job: Job, name: str, left_out: frozenset[str]) -> list[Part]:
    """Return the parts of one feature set; clips that were left out have none."""
    sizes = {}
    for clip in job.survey.clips:
        path = _path(job.run.clip(clip.index), name)
        if path is not None and clip.name not in left_out:
            sizes[clip] = path.stat().st_size
    groups: list[list[Candidate]] = [[]]
    left = job.options.features_shard_bytes
    for clip, size in sizes.items():
        if groups[-1] and size > left:
            groups.append([])
            left = job.options.features_shard_bytes
        groups[-1].append(clip)
        left -= size
    if not sizes:
        return []
    first = _first(job, name, sizes)
    return [_part(job, name, number, len(groups), group, first) for number, group in enumerate(groups)]


def _first(job: Job, name: str, clips: Iterable[Candidate]) -> dict[str, Any]:
    """Return how the features of the first clip were made, which is how all must be.

    A clip whose sidecar is damaged is left out; the others are not compared with it.
    """
    return next(filter(None, (_sidecar(job.run.clip(clip.index), name) for clip in clips)), {})


def look_again(job: Job, clip: Candidate, name: str, left_out: Collection[str]) -> None:
    """Look again at features of a set that were left out.

    Args:
        job: the export.
        clip: whose features.
        name: of the set.
        left_out: names of the clips that were left out themselves, so that no features are compared with theirs.

    Raises:
        LeftOutError: they cannot be exported now either.
    """
    have = (each for each in job.survey.clips if each.name not in left_out and _path(job.run.clip(each.index), name))
    _looked_at(job.run.clip(clip.index), name, _first(job, name, have))


def set_of(job: Job, reason: str) -> str | None:
    """Return the set of whose features a reason speaks; None if it speaks of the clip itself."""
    return next((name for name in job.options.features if reason.startswith(_of_set(name))), None)


def is_missing(reason: str) -> bool:
    """Return whether a reason says that a clip has no features of a set: if it gets them, the fingerprint changes."""
    return reason.startswith(_MISSING)


def _of_set(name: str) -> str:
    return f"features {name}: "


def missing(job: Job, name: str, left_out: frozenset[str]) -> list[LeftOut]:
    """Return the exported clips that do not have a feature set."""
    return [
        LeftOut(clip.name, f"{_MISSING}{name}")
        for clip in job.survey.clips
        if clip.name not in left_out and _path(job.run.clip(clip.index), name) is None
    ]


def index(made: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the content of the index, in the form of a model's: which tensor is in which file."""
    weight_map = {tensor: Path(file).name for file, tensors in files.items() for tensor in tensors}
    return {"metadata": dict(made), "weight_map": weight_map}


def _part(job: Job, name: str, number: int, of: int, clips: Sequence[Candidate], first: dict[str, Any]) -> Part:
    file = shard_name(f"features/{name}", "features", number, of, "safetensors")

    def make(folder: Path, tick: Tick) -> Made:
        found: list[tuple[Candidate, Source]] = []
        left_out: list[LeftOut] = []
        for clip in clips:
            try:
                found.append((clip, _looked_at(job.run.clip(clip.index), name, first)))
            except LeftOutError as error:
                left_out.append(LeftOut(clip.name, f"{_of_set(name)}{error}"))
            tick()
        tensors = _write(folder / file, found) if found else []
        return Made(left_out, {"set": name, "file": file, "tensors": tensors, "made": first})

    return Part(f"features-{name}-{number:05d}", len(clips), make)


def _looked_at(clip: Clip, name: str, first: dict[str, Any]) -> Source:
    """Return a clip's features, every byte hashed.

    Raises:
        LeftOutError: they are not what their sidecar says, or were made in another way than those of the first clip.
    """
    path = _path(clip, name)
    if path is None:
        raise LeftOutError("gone")
    try:
        sidecar = load(regular.read(path.with_suffix(".json"), f"{name}.json"), f"{name}.json")
        if not isinstance(sidecar, dict):
            raise LeftOutError(f"{name}.json: expected an object")
        if _made(sidecar) != first:
            raise LeftOutError("made in another way than those of the first clip")
        heads = read_heads(path)
        if problem := array_problem(heads, sidecar) or input_difference(heads, sidecar, clip):
            raise LeftOutError(problem)
        tensors = [
            Tensor(
                f"{clip.folder.name}/{key}" if key else clip.folder.name,
                _DTYPES[head.item],
                head.shape,
                head.start,
                head.value_bytes,
            )
            for key, head in heads.items()
        ]
        with regular.opened(path, path.name) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sidecar.get("sha256"):
                raise LeftOutError(f"sha256 is not the one in {name}.json")
            return Source(path, tensors, _state(file))
    except ContractError as error:
        raise LeftOutError(str(error)) from None
    except OSError as error:
        raise LeftOutError(f"cannot be read: {regular.describe(error)}") from None


def _state(file: BufferedReader) -> tuple[int, ...]:
    """Return what differs when a file was replaced or written to."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _write(path: Path, clips: Sequence[tuple[Candidate, Source]]) -> list[str]:
    """Write a safetensors file; return the names of its tensors.

    Raises:
        ExportError: features are others than those that were verified; their sizes are in the file's head already.
    """
    head: dict[str, Any] = {"__metadata__": {"format": "np"}}
    position = 0
    for _, source in clips:
        for tensor in source.tensors:
            head[tensor.name] = {
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "data_offsets": [position, position + tensor.size],
            }
            position += tensor.size
    content = json.dumps(head, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)  # values begin at a multiple of 8
    path.parent.mkdir(parents=True)
    with path.open("xb") as output:
        output.write(struct.pack("<Q", len(content)) + content)
        for clip, source in clips:
            with regular.opened(source.path, source.path.name) as file:
                if _state(file) != source.state:
                    raise ExportError(f"{clip.name}: {_CHANGED}")
                for tensor in source.tensors:
                    file.seek(tensor.begin)
                    left = tensor.size
                    while left and (data := file.read(min(_CHUNK, left))):
                        output.write(data)
                        left -= len(data)
                    if left:
                        raise ExportError(f"{clip.name}: {_CHANGED}")
    return [name for name in head if name != "__metadata__"]


def _sidecar(clip: Clip, name: str) -> dict[str, Any]:
    try:
        found = load(regular.read(clip.features_sidecar(name), f"{name}.json"), f"{name}.json")
    except (OSError, ContractError):
        return {}
    return _made(found) if isinstance(found, dict) else {}


def _made(sidecar: dict[str, Any]) -> dict[str, Any]:
    """Return how features were made: a sidecar without what belongs to one clip."""
    return {key: value for key, value in sidecar.items() if key not in _OF_A_CLIP}


def _path(clip: Clip, name: str) -> Path | None:
    folder = clip.folder / FEATURES
    return next((path for end in ("npy", "safetensors") if (path := folder / f"{name}.{end}").is_file()), None)


def metadata(made: Mapping[str, Any]) -> dict[str, str]:
    """Return how features were made as the index has it: texts alone."""
    return {key: value if isinstance(value, str) else text(value) for key, value in sorted(made.items())}
