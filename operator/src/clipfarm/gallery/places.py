"""Where a clip's strip of small pictures lies in the gallery's folder, and which pictures it shows."""

from pathlib import Path

MOST = 12
"""Pictures in a strip."""


def strip(folder: Path, index: int) -> Path:
    """Return where a clip's strip lies: at most 1,000 in a folder, which file managers and hubs can list."""
    return folder / "strips" / f"{index // 1000:03d}" / f"{index}.webp"


def chosen(count: int) -> list[int]:
    """Return which of so many pictures a strip shows: the first, the last, and others evenly in between."""
    if count <= MOST:
        return list(range(count))
    return [round(i * (count - 1) / (MOST - 1)) for i in range(MOST)]
