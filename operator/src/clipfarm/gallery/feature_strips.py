"""Features as pictures: the three directions in which tokens differ most, as red, green and blue.

The directions are found once, from tokens of a sample of clips, and kept beside the pictures. So the same colour means
the same in all clips, also in those that come later.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipfarm.data import feature_files
from clipfarm.gallery import places, strips
from clipfarm_contract import regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip

SAMPLE_CLIPS, SAMPLE_TOKENS = 100, 20_000
"""Clips and tokens that directions are found from."""
ENDS = (1.0, 99.0)
"""Percentiles of a direction's values that are shown as none and as all of a colour."""


class StripError(ValueError):
    """Features cannot be shown; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Basis:
    """How a token becomes a colour."""

    mean: NDArray[np.float32]
    """(width,)"""
    directions: NDArray[np.float32]
    """(width, 3)"""
    low: NDArray[np.float32]
    """(3,), the value that has none of a colour."""
    high: NDArray[np.float32]
    """(3,), the value that has all of it."""

    def colours(self, tokens: NDArray[np.floating]) -> NDArray[np.uint8]:  # type: ignore[type-arg]
        """Return the colours of tokens, (..., width) to (..., 3)."""
        values = (tokens.astype(np.float32) - self.mean) @ self.directions
        part = (values - self.low) / np.maximum(self.high - self.low, np.finfo(np.float32).tiny)
        # A token with values that are no numbers is black.
        colours: NDArray[np.uint8] = np.round(255 * np.nan_to_num(part.clip(0, 1))).astype(np.uint8)
        return colours


def fit(tokens: NDArray[np.float32]) -> Basis:
    """Find the three directions of largest variance, by the eigenvectors of the covariance.

    Args:
        tokens: (tokens, width).
    """
    mean = tokens.mean(axis=0)
    centred = (tokens - mean).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, ::-1][:, :3]
    if directions.shape[1] < 3:
        directions = np.pad(directions, ((0, 0), (0, 3 - directions.shape[1])))
    # An eigenvector's sign is arbitrary: the largest entry of each is made positive.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.where(directions[largest, range(3)] < 0, -1, 1)
    low, high = np.percentile(centred @ directions, ENDS, axis=0)
    return Basis(mean, *(each.astype(np.float32) for each in (directions, low, high)))


def make_all(
    name: str, clips: Sequence[tuple[int, Clip]], folder: Path, threads: int, done: Callable[[], None]
) -> dict[int, str]:
    """Make pictures of a set's features for clips that have none, or older ones than their features.

    Args:
        name: of the set, or ``SET/TENSOR``.
        clips: their numbers and folders.
        folder: of the gallery.
        threads: at work at the same time.
        done: called after each clip.

    Returns:
        Why a clip has none, by its number.

    Raises:
        StripError: no clip has such features, or they have no places.
    """
    basis = _basis(name, clips, folder)
    problems: dict[int, str] = {}

    def one(each: tuple[int, Clip]) -> None:
        index, clip = each
        path = places.feature_strip(folder, name, index)
        try:
            file = feature_files.find(clip, name)
            if not strips.is_current(path, file.path):
                strips.write(path, picture(file, basis))
        except ContractError as error:
            problems[index] = str(error)
        except OSError as error:
            problems[index] = regular.describe(error)
        done()

    strips.for_each(clips, one, {places.feature_strip(folder, name, index).parent for index, _ in clips}, threads)
    return problems


def picture(file: feature_files.FeatureFile, basis: Basis) -> Image.Image:
    """Return the time steps of a clip side by side, each token a square.

    Raises:
        ContractError: the features have another width than the basis.
    """
    steps, _, width = file.shape
    if width != len(basis.mean):
        raise ContractError(f"{file.path.name}: found width {width}, expected {len(basis.mean)} as in the other clips")
    rows, columns = file.grid
    shown = places.chosen(steps)
    strip = Image.new("RGB", (strips.SIDE * len(shown), strips.SIDE), strips.AROUND)
    for i, step in enumerate(shown):
        colours = basis.colours(file.read(step, 1)[0]).reshape(rows, columns, 3)
        size = (strips.SIDE * columns // max(rows, columns), strips.SIDE * rows // max(rows, columns))
        tile = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)
        strip.paste(tile, (i * strips.SIDE + (strips.SIDE - size[0]) // 2, (strips.SIDE - size[1]) // 2))
    return strip


def _basis(name: str, clips: Sequence[tuple[int, Clip]], folder: Path) -> Basis:
    """Return how the set's tokens become colours: as it was found before, or from a sample of the clips."""
    path = places.basis(folder, name)
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Basis(*(kept[field] for field in Basis.__slots__))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # there is none, or it is damaged
    sample, why = [], f"no features {name} yet"
    every = max(1, len(clips) // SAMPLE_CLIPS)
    random = np.random.default_rng(0)
    found = []
    for _, clip in clips:
        try:
            found.append(feature_files.find(clip, name))
        except (OSError, ContractError) as error:
            why = str(error)
    if not found:
        raise StripError(f"--features: no clip has {name}: {why}")
    if found[0].shape[1] == 1:
        raise StripError(f"--features: {name} has one token a time step, so there is no picture to show")
    for file in found[::every]:
        if file.shape[2] != found[0].shape[2]:
            continue
        tokens = file.read(0, file.shape[0]).reshape(-1, file.shape[2]).astype(np.float32)
        tokens = tokens[np.isfinite(tokens).all(axis=1)]
        most = SAMPLE_TOKENS // len(found[::every]) + 1
        sample.append(tokens[random.permutation(len(tokens))[:most]])
    tokens = np.concatenate(sample)
    if not len(tokens):
        raise StripError(f"--features: {name} has values that are no numbers in every token")
    basis = fit(tokens)
    content = io.BytesIO()
    np.savez(content, **{field: getattr(basis, field) for field in Basis.__slots__})
    write_atomically(path, content.getvalue())
    return basis
