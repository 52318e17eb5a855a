"""Videos in a folder to folders of clips, each with a ``video.json`` that says which frames it has."""

import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from clipfarm_contract.excerpt import Cut, Excerpt
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder, clip_index
from clipfarm_encode.videos import film
from clipfarm_encode.videos.error import VideoError
from clipfarm_encode.videos.pictures import pictures
from clipfarm_encode.videos.sampling import beginnings, sampled

PROBES = 8
"""Files whose heads are read at a time: on a network's volume each waits."""


@dataclass
class Outcome:
    """What became of the videos."""

    videos: int = 0
    """Videos that were found."""
    clips: int = 0
    """Their clips, with those that were there."""
    numbers: set[int] = field(default_factory=set)
    """Of all clips that are excerpts of videos, also of those that are gone."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a video gives no clip, by its path."""


def cut_all(root: Path, names: Iterable[str], output: RunFolder, cut: Cut) -> Outcome:
    """Make the clips of all videos; those that are there stay, with their numbers.

    Several programs may do this at a time: a folder gets its name whole, and once.

    Raises:
        OSError: the output cannot be written.
        ContractError: a clip's ``video.json`` is none.
    """
    # Before a look at the clips: those that another program makes after this are met on the way to a free number.
    number = 1 + max((clip_index(path.name) or 0 for path in output.root.glob("clip_*")), default=-1)
    there, numbers = _there(output)
    outcome = Outcome(numbers=numbers)
    with ThreadPoolExecutor(PROBES, "probe") as pool:
        for name, made in pool.map(
            lambda name: (name, _cut_unless_there(root, name, cut, there.get(name, []))), list(names)
        ):
            outcome.videos += 1
            if isinstance(made, str):
                outcome.refused[name] = made
                continue
            outcome.clips += len(made)
            parts = {each.part for each in there.get(name, ()) if each in made}
            for excerpt in made:
                if excerpt.part not in parts:
                    number, passed = _place(output, number, excerpt)
                    numbers.update(range(number - 1 - len(passed), number))
                    for each in passed:
                        there[each.video].append(each)
                        parts |= {each.part} if each in made else set()
    return outcome


def is_utf8(name: str) -> bool:
    """Tell whether a path can be written into a file of JSON: Linux allows any bytes as a name."""
    return name.encode(errors="replace").decode() == name


def _there(output: RunFolder) -> tuple[defaultdict[str, list[Excerpt]], set[int]]:
    """Return the clips that are there, by their videos; and their numbers.

    Raises:
        ContractError: a clip's ``video.json`` is none.
    """
    found: defaultdict[str, list[Excerpt]] = defaultdict(list)
    numbers = set()
    for index in output.clips():
        clip = output.clip(index)
        if clip.excerpt.exists():
            try:
                excerpt = Excerpt.read(clip)
            except ContractError as error:
                raise ContractError(f"{clip.folder}: {error}; remove this folder to have the clip cut again") from None
            found[excerpt.video].append(excerpt)
            numbers.add(index)
    return found, numbers


def _cut_unless_there(root: Path, name: str, cut: Cut, there: list[Excerpt]) -> list[Excerpt] | str:
    """Return a video's clips, or why there are none; a video that has clips is not opened again."""
    path = root / name
    if not is_utf8(name):
        return "its name is not UTF-8, expected one that video.json can hold"
    try:
        if not (path.is_dir() or path.is_file() or not path.exists()):
            return "it is no file"  # opening a FIFO waits for ever
        size = len(pictures(path)) if path.is_dir() else path.stat().st_size
        if any(each.size != size for each in there):
            return "it has changed since it was cut; remove its clips, or put it back"
        return _cut_on(there[0], cut) if there else _cut(path, name, size, cut)
    except VideoError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _cut(path: Path, name: str, size: int, cut: Cut) -> list[Excerpt] | str:
    if path.is_dir():
        count, fps = size, None
    else:
        stored, rate = film.length(path)
        fps = cut.fps or rate
        count = sampled(stored, rate, fps)
    starts = beginnings(count, cut.frames, cut.stride)
    if not starts:
        has = "1 frame" if count == 1 else f"{count} frames"
        return f"it has {has}{f' at {fps:g} a second' if fps else ''}, and a clip {cut.frames}"
    return [Excerpt(name, size, i, len(starts), first, cut.frames, fps) for i, first in enumerate(starts)]


def _cut_on(one: Excerpt, cut: Cut) -> list[Excerpt]:
    """Return all clips of a video of which one is there: a program of another version may read another rate of it."""
    return [replace(one, part=i, first=i * cut.stride) for i in range(one.parts)]


def _place(output: RunFolder, number: int, excerpt: Excerpt) -> tuple[int, list[Excerpt]]:
    """Make a clip's folder under the first number that is free, unless another program was faster.

    Returns:
        The next number, and the clips of other programs that were passed on the way: one that has found a video which
        this program has not, or the other way round, gives clips other numbers.
    """
    attempt = output.attempt(number, secrets.token_hex(4))
    attempt.mkdir(parents=True)
    passed: list[Excerpt] = []
    try:
        (attempt / "video.json").write_text(excerpt.to_json())
        while True:
            clip = output.clip(number)
            try:
                attempt.rename(clip.folder)
            except OSError:
                if not clip.excerpt.exists():
                    raise
                found = Excerpt.read(clip)
                number += 1
                if found == excerpt:
                    return number, passed
                passed.append(found)
            else:
                return number + 1, passed
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
