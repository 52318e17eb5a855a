"""One clip, read and verified: its hashes are computed before any of it is exported."""

import hashlib
import io
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipfarm_contract import regular
from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.examining import damage
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip
from clipfarm_export.errors import LeftOutError
from clipfarm_export.survey import Candidate, tables_of
from clipfarm_export.truth import Columns, text
from clipfarm_export.video import Frame

MOST_FILE_BYTES = 2**30
"""A file of a clip that is larger is a mistake."""
_DEPTH_AT = 24
"""Where a PNG says its bits a channel: after its signature, and length, type, width and height of its first chunk."""


@dataclass(frozen=True, slots=True)
class VerifiedClip:
    """A clip whose files were all found to be what ``clip.json`` says."""

    candidate: Candidate
    place: Clip
    manifest: ClipManifest
    clip_json: str
    ground_truth: str | None
    """The file as it is; None where the renderer wrote none."""
    truth: dict[str, Any]
    frames: tuple[str, ...]
    """Paths of its frames inside the folder, in order."""

    def pictures(self) -> Iterator[Frame]:
        """Return the frames, decoded one by one.

        Raises:
            LeftOutError: one is no PNG of 8 bits a channel, or of another size than the first.
        """
        shape: tuple[int, ...] | None = None
        for name in self.frames:
            frame = _frame(self.read(name), name)
            if shape and frame.shape != shape:
                raise LeftOutError(
                    f"{name}: {frame.shape[1]} x {frame.shape[0]} pixels, others {shape[1]} x {shape[0]}"
                )
            shape = frame.shape
            yield frame

    def read(self, name: str) -> bytes:
        """Return a file of the clip.

        Raises:
            LeftOutError: it cannot be read, or has changed since it was verified.
        """
        try:
            data = regular.read(self.place.folder / name, name, MOST_FILE_BYTES)
        except OSError as error:  # its own words name the folder of the run, which is not for others to read
            raise LeftOutError(f"{name}: {regular.describe(error)}") from None
        except ContractError as error:
            raise LeftOutError(str(error)) from None
        if sha256(data) != self.manifest.files[name].sha256:
            raise LeftOutError(f"{name}: changed while it was exported")
        return data

    def tables(self) -> dict[str, NDArray[Any] | None]:
        """Return actions and states, (frames, values) each; None where the clip has none.

        Raises:
            LeftOutError: one is no array of numbers.
        """
        return {name: self._table(path) for name, path in tables_of(self.place).items()}

    def layer(self, name: str) -> NDArray[Any]:
        """Return a layer of all frames in one array, (frames, height, width, ...).

        Raises:
            LeftOutError: the clip does not have it, or not in one form for all frames.
        """
        found: list[NDArray[Any]] = []
        for i in range(len(self.frames)):
            path = self.place.layer(name, i)
            inside = f"{path.parent.name}/{path.name}"
            if inside not in self.manifest.files:
                raise LeftOutError(f"has no {inside}")
            data = self.read(inside)
            values = _pixels(data, inside) if path.suffix == ".png" else _loaded(data, inside)
            if found and (values.shape, values.dtype) != (found[0].shape, found[0].dtype):
                raise LeftOutError(f"{inside}: {_form(values)}, others {_form(found[0])}")
            found.append(values)
        return np.stack(found)

    def facts(self, columns: Columns) -> dict[str, Any]:
        """Return the row of a table that describes the clip, without its pictures and series."""
        candidate, seed = self.candidate, self.truth.get("seed")
        drawn = seed.get("clip") if isinstance(seed, dict) else None
        recipe = self.manifest.recipe.to_json()
        return {
            "clip_id": candidate.name,
            "index": candidate.index,
            "phase": candidate.phase,
            "split": candidate.split,
            "num_frames": len(self.frames),
            "fps": candidate.fps,
            # As text: a seed may have 64 bits and more, of which other programs keep 53.
            "seed_run": str(recipe["seed"]),
            "seed_clip": None if drawn is None else str(drawn),
            **columns.values(self.truth),
            "recipe": text(recipe),
        }

    def _table(self, name: str) -> NDArray[Any] | None:
        if name not in self.manifest.files:
            return None
        found = _loaded(self.read(name), name)
        if found.dtype.kind not in "biuf" or not found.ndim or not found.size:
            raise LeftOutError(f"{name}: {_form(found)}, expected numbers of each frame")
        return found


def verified(candidate: Candidate, place: Clip) -> VerifiedClip:
    """Compute every hash of a clip, and return it.

    Raises:
        LeftOutError: it is damaged, cannot be read, or has no frames.
    """
    if problems := damage(place):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise LeftOutError(f"{problems[0]}{more}")
    try:
        content = regular.read(place.manifest, place.manifest.name)
        manifest = ClipManifest.read(place.manifest)
        written: str | None = None
        truth: object = {}
        if place.ground_truth.name in manifest.files:
            written = regular.read(place.ground_truth, place.ground_truth.name).decode()
            truth = load(written, place.ground_truth.name)
    except OSError as error:
        raise LeftOutError(f"cannot be read: {regular.describe(error)}") from None
    except (ContractError, UnicodeDecodeError) as error:
        raise LeftOutError(str(error)) from None
    if sha256(content) != candidate.sha256:
        raise LeftOutError("was replaced while the export was made")
    frames = sorted(name for name in manifest.files if name.startswith("rgb/") and name.lower().endswith(".png"))
    if not frames:
        raise LeftOutError("has no frames in rgb/")
    return VerifiedClip(
        candidate, place, manifest, content.decode(), written, truth if isinstance(truth, dict) else {}, tuple(frames)
    )


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _frame(data: bytes, name: str) -> Frame:
    """Return the pixels of a frame, RGB.

    Raises:
        LeftOutError: it is no PNG, or has more than the 8 bits a channel that videos and hashes of pixels are of.
    """
    with _opened(data, name) as picture:
        if (depth := data[_DEPTH_AT]) > 8:
            raise LeftOutError(f"{name}: {depth} bits a channel, expected 8")
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _pixels(data: bytes, name: str) -> NDArray[Any]:
    with _opened(data, name) as picture:
        return np.asarray(picture)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """Open a PNG; what is wrong with it, also when it is decoded, is a LeftOutError."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            yield picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        # Pillow's own words name its file object, which differs from call to call.
        raise LeftOutError(f"{name}: damaged, or not a PNG picture") from None


def _loaded(data: bytes, name: str) -> NDArray[Any]:
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError, tokenize.TokenError) as error:
        raise LeftOutError(f"{name}: {' '.join(str(error).split())}") from None
    if not isinstance(found, np.ndarray):
        raise LeftOutError(f"{name}: several arrays, expected one")
    return found


def _form(values: NDArray[Any]) -> str:
    return f"{values.dtype} of shape {values.shape}"
