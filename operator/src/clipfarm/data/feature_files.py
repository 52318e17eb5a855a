"""Where the features of a clip lie in their file, so that a part of them is read without the rest.

A set NAME is ``feature_maps/NAME.npy``, or ``feature_maps/NAME.safetensors`` with a tensor for each layer, which is
then called ``NAME/layer_08``. The JSON file beside it gives the set's grid: time steps, rows and columns.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipfarm_contract import features, npy, regular, safetensors
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip

_DTYPES = {"f": "<f4", "e": "<f2", "d": "<f8"}
"""NumPy's names of the types that heads of files have."""


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
    grid: tuple[int, int]
    """Rows and columns of a time step's tokens."""

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
            found += [f"{path.stem}/{tensor}" for tensor in sorted(safetensors.read_heads(path))]
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
        return array(plain, npy.read_head(plain), sidecar)
    if not packed.exists():
        raise ContractError(f"no features {name} yet")
    heads = safetensors.read_heads(packed)
    if not tensor and len(heads) == 1:
        [tensor] = heads
    if tensor not in heads:
        listed = ", ".join(f"{stem}/{each}" for each in sorted(heads))
        raise ContractError(f"{packed.name}: found {name}, expected one of {listed}")
    return array(packed, heads[tensor], sidecar)


def array(path: Path, head: npy.Head, sidecar: Any) -> FeatureFile:
    """Return an array of features.

    Args:
        path: of its file.
        head: what the file says of it; tokens of all time steps are in one dimension, or not.
        sidecar: how the set was made.

    Raises:
        ContractError: it cannot be one of features.
    """
    dtype, shape = _DTYPES.get(head.item), head.shape
    if dtype is None or len(shape) not in (2, 3):
        raise ContractError(f"{path.name}: found shape {shape}, expected (tokens, width) of floating point numbers")
    steps, all_tokens = _steps(shape, sidecar), math.prod(shape[:-1])
    if not steps or all_tokens % steps:
        raise ContractError(f"{path.name}: found {all_tokens} tokens, expected a multiple of {steps} time steps")
    tokens = all_tokens // steps
    stride = _stride(steps, sidecar.get("frames"), sidecar)
    return FeatureFile(path, head.start, dtype, (steps, tokens, shape[-1]), stride, _grid(tokens, sidecar))


def even_grid(tokens: int) -> tuple[int, int]:
    """Return rows and columns of a time step's tokens: a square, or the most even rectangle."""
    rows = next(each for each in range(math.isqrt(tokens), 0, -1) if tokens % each == 0)
    return rows, tokens // rows


def _grid(tokens: int, sidecar: Any) -> tuple[int, int]:
    grid = sidecar.get("grid")
    if isinstance(grid, list) and len(grid) == 3 and all(isinstance(each, int) for each in grid):
        rows, columns = grid[1:]
        if rows * columns == tokens:
            return rows, columns
    return even_grid(tokens) if tokens else (0, 0)


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
    """Return the frames from one time step to the next: as the set says, or by the last frames that steps know.

    Of features of a whole clip all steps know the last frame, so there frames are shared out evenly.
    """
    given, last = sidecar.get("stride"), sidecar.get("frame_of_token")
    if isinstance(given, int) and given > 0:
        return given
    if isinstance(last, list) and len(last) > 1 and all(isinstance(each, int) for each in last[:2]):
        apart: int = last[1] - last[0]
        if apart > 0:
            return apart
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
