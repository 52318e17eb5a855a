"""Thumbnails: some of a clip's pictures side by side, in one small file that the page plays."""

import secrets
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

from clipfarm.gallery import places
from clipfarm.gallery.rows import frames
from clipfarm_contract import regular
from clipfarm_contract.layout import Clip

SIDE = 128
"""Height and width of a picture in a strip, pixels: twice that of a small card, for dense screens."""
QUALITY = 72
"""Of WebP. A strip of 12 pictures of a rendered clip takes about 15 kB."""
AROUND = (0, 0, 0)
"""Colour beside a picture that is not square."""


def make(clip: Clip) -> Image.Image | None:
    """Return a clip's strip; None if it has no pictures.

    Raises:
        OSError: a picture cannot be read, or is damaged.
    """
    names = frames(clip)
    if not names:
        return None
    shown = [names[i] for i in places.chosen(len(names))]
    strip = Image.new("RGB", (SIDE * len(shown), SIDE), AROUND)
    for i, name in enumerate(shown):
        small = ImageOps.contain(_picture(clip, name), (SIDE, SIDE), Image.Resampling.BOX)
        strip.paste(small, (i * SIDE + (SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return strip


def make_all(clips: Sequence[tuple[int, Clip]], folder: Path, threads: int, done: Callable[[], None]) -> dict[int, str]:
    """Make the strips of clips that have none, or an older one than the clip.

    Args:
        clips: their numbers and folders.
        folder: of the gallery.
        threads: at work at the same time.
        done: called after each clip.

    Returns:
        Why a clip has none, by its number.
    """
    problems: dict[int, str] = {}

    def one(each: tuple[int, Clip]) -> None:
        index, clip = each
        path = places.strip(folder, index)
        try:
            if not is_current(path, clip.rgb):
                _renew(path, make(clip))
        except OSError as error:
            problems[index] = regular.describe(error) if error.errno else str(error)
        done()

    for_each(clips, one, {places.strip(folder, index).parent for index, _ in clips}, threads)
    return problems


def for_each(
    clips: Sequence[tuple[int, Clip]], make_one: Callable[[tuple[int, Clip]], None], folders: Set[Path], threads: int
) -> None:
    """Make pictures of clips side by side, in folders that are made first; what was not begun when one fails is not."""
    for each in folders:
        each.mkdir(parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(make_one, clips):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _picture(clip: Clip, name: str) -> Image.Image:
    try:
        with regular.opened(clip.rgb / name, name) as file, Image.open(file, formats=["PNG"]) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        # Pillow's own words name its file object.
        raise OSError(f"{name}: damaged, or not a PNG picture") from error


def is_current(path: Path, source: Path) -> bool:
    """Return whether a picture is there, and not older than what it is made of."""
    try:
        return path.stat().st_mtime >= source.stat().st_mtime
    except OSError:
        return False


def _renew(path: Path, strip: Image.Image | None) -> None:
    if strip is None:
        path.unlink(missing_ok=True)
    else:
        write(path, strip)


def write(path: Path, strip: Image.Image) -> None:
    """Write a strip by rename, so that a page never sees half of it.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        strip.save(temporary, "WEBP", quality=QUALITY, method=2)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
