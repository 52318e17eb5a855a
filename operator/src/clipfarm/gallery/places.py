"""Where strips of small pictures lie in the gallery's folder, and which pictures they show."""

from pathlib import Path

MOST = 12
"""Pictures in a strip."""
FEATURES = "features"
"""The folder of features as pictures, with one for each set."""


def strip(folder: Path, index: int) -> Path:
    """Return where a clip's strip lies: at most 1,000 in a folder, which file managers and hubs can list."""
    return folder / "strips" / f"{index // 1000:03d}" / f"{index}.webp"


def chosen(count: int) -> list[int]:
    """Return which of so many pictures a strip shows: the first, the last, and others evenly in between."""
    if count <= MOST:
        return list(range(count))
    return [round(i * (count - 1) / (MOST - 1)) for i in range(MOST)]


def feature_folder(name: str) -> str:
    """Return where a set's strips lie, relative to the gallery; a layer's name has a slash."""
    return f"{FEATURES}/{name.replace('/', '-')}"


def feature_strip(folder: Path, name: str, index: int) -> Path:
    """Return where the strip of a clip's features lies."""
    return folder / feature_folder(name) / f"{index // 1000:03d}" / f"{index}.webp"


def basis(folder: Path, name: str) -> Path:
    """Return where it is kept how a set's tokens become colours."""
    return folder / feature_folder(name) / "basis.npz"
