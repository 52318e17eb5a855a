"""Where the features of a clip lie in their file, so that a part of them is read without the rest.

A set NAME is ``feature_maps/NAME.npy``, or ``feature_maps/NAME.safetensors`` with a tensor for each layer, which is
then called ``NAME/layer_08``. The JSON file beside it gives the set's grid: time steps, rows and columns.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipfarm_contract import features, npy, regular
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip

_DTYPES = {"f": "<f4", "e": "<f2", "d": "<f8", "F32": "<f4", "F16": "<f2", "F64": "<f8"}
"""NumPy's names of the types in heads of .npy and safetensors files."""
MOST_HEAD_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """One array on the disk; small, and the same in every process."""

    path: Path
    start: int
    """Where its values begin, bytes."""
    dtype: str
    shape: tuple[int, int, int]
    """(time steps, tokens of a step, width)"""
    stride: int
    """Frames from one time step to the next."""

    def read(self, first: int, steps: int) -> NDArray[np.floating[Any]]:
        """Return time steps from ``first`` on, (steps, tokens, width): a copy, of which nothing stays mapped.

        Raises:
            OSError: the file is gone, or cannot be read.
        """
        mapped = np.memmap(self.path, self.dtype, "r", self.start, self.shape)
        return np.array(mapped[first : first + steps])


def names(clip: Clip) -> list[str]:
    """Return the sets that a clip has, in order; sets with several layers as one name for each layer."""
    folder = clip.features("any").parent
    found: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.suffix == ".npy":
            found.append(path.stem)
        elif path.suffix == ".safetensors":
            found += [f"{path.stem}/{tensor}" for tensor in sorted(tensors(path))]
    return found


def find(clip: Clip, name: str) -> FeatureFile:
    """Return where a set lies, by the heads of its files.

    Args:
        clip: whose set.
        name: of the set, or ``SET/TENSOR`` for one tensor of a set with several layers.

    Raises:
        ContractError: there is no such set, or its file is damaged; the message says so without the clip's name.
        OSError: a file cannot be read.
    """
    stem, _, tensor = name.partition("/")
    plain = clip.features(stem)
    packed = plain.with_suffix(".safetensors")
    sidecar = _sidecar(clip, stem)
    if not tensor and plain.exists():
        head = npy.read_head(plain)
        return array(plain, head.start, head.item, head.shape, sidecar)
    if not packed.exists():
        raise ContractError(f"no features {name} yet")
    heads = tensors(packed)
    if not tensor and len(heads) == 1:
        [tensor] = heads
    if tensor not in heads:
        listed = ", ".join(f"{stem}/{each}" for each in sorted(heads))
        raise ContractError(f"{packed.name}: found {name}, expected one of {listed}")
    dtype, shape, start = heads[tensor]
    return array(packed, start, dtype, shape, sidecar)


def array(path: Path, start: int, item: str, shape: tuple[int, ...], sidecar: Any) -> FeatureFile:
    """Return an array of features.

    Args:
        path: of its file.
        start: where its values begin, bytes.
        item: type of a value, as the head of the file calls it.
        shape: as in the head, tokens of all time steps in one dimension or not.
        sidecar: how the set was made.

    Raises:
        ContractError: it cannot be one of features.
    """
    dtype = _DTYPES.get(item)
    if dtype is None or len(shape) not in (2, 3):
        raise ContractError(f"{path.name}: found shape {shape}, expected (tokens, width) of floating point numbers")
    steps = _steps(shape, sidecar)
    tokens = math.prod(shape[:-1])
    if not steps or tokens % steps:
        raise ContractError(f"{path.name}: found {tokens} tokens, expected a multiple of {steps} time steps")
    frames = sidecar.get("frames")
    return FeatureFile(path, start, dtype, (steps, tokens // steps, shape[-1]), _stride(steps, frames, sidecar))


def _steps(shape: tuple[int, ...], sidecar: Any) -> int:
    """Return the number of time steps: by the set's grid, or for sets of before that by their frames."""
    grid = sidecar.get("grid")
    if isinstance(grid, list) and grid and isinstance(grid[0], int):
        return grid[0]
    frames = sidecar.get("frames")
    if isinstance(frames, int):
        return frames // features.TUBELET
    return shape[0] if len(shape) == 3 else 0


def _stride(steps: int, frames: object, sidecar: Any) -> int:
    last = sidecar.get("frame_of_token")
    if isinstance(last, list) and len(last) > 1 and all(isinstance(each, int) for each in last[:2]):
        return max(1, int(last[1] - last[0]))
    return max(1, frames // steps) if isinstance(frames, int) else features.TUBELET


def _sidecar(clip: Clip, stem: str) -> Any:
    path = clip.features_sidecar(stem)
    try:
        found = load(regular.read(path, path.name), path.name)
    except OSError as error:
        if not regular.is_gone(error):
            raise
        found = {}
    return found if isinstance(found, dict) else {}


def tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Return type, shape and place of each tensor in a safetensors file, by the format's head.

    Raises:
        ContractError: it is no such file, or not whole.
    """
    with regular.opened(path, path.name) as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= MOST_HEAD_BYTES else b""
        size = file.seek(0, 2)
    try:
        head = json.loads(text)
        head.pop("__metadata__", None)
        found = {
            name: (str(entry["dtype"]), tuple(map(int, entry["shape"])), 8 + length + int(entry["data_offsets"][0]))
            for name, entry in head.items()
        }
        end = max((8 + length + int(entry["data_offsets"][1]) for entry in head.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise ContractError(f"{path.name}: its head is damaged") from None
    if size != end:
        raise ContractError(f"{path.name}: {size} bytes, expected {end}")
    return found
