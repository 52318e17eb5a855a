"""What there is to show of a run folder: a row for each clip, and the clips that failed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipfarm import truth
from clipfarm.truth import Truth
from clipfarm_contract import regular
from clipfarm_contract.encoder_progress import EncoderProgress
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip, RunFolder, clip_index
from clipfarm_contract.result import ClipResult

FEATURE_FILES = (".npy", ".safetensors")


@dataclass(frozen=True, slots=True)
class Row:
    """A complete clip."""

    index: int
    truth: Truth
    frames: int
    """Number of its pictures."""
    features: tuple[str, ...]
    """Names of its feature sets."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that is not there, or cannot be shown, or has no features."""

    index: int
    stage: str
    """``render``, ``encode`` or ``read``."""
    reason: str


def rows(run: RunFolder, clips: Iterable[int]) -> Iterator[Row | Failure]:
    """Read clips, one after the other; one that cannot be read is a failure."""
    for index in clips:
        clip = run.clip(index)
        try:
            if not clip.manifest.exists() and not clip.features("any").parent.is_dir():
                yield Failure(index, "read", f"{clip.manifest.name}: missing")
                continue
            yield Row(index, truth.read(clip), len(frames(clip)), features(clip))
        except ContractError as error:
            yield Failure(index, "read", str(error))
        except OSError as error:
            yield Failure(index, "read", regular.describe(error))


def frames(clip: Clip) -> list[str]:
    """Return the names of a clip's pictures in order, without those that a copy leaves beside them."""
    try:
        names = (path.name for path in clip.rgb.iterdir())
        return sorted(name for name in names if name.endswith(".png") and not name.startswith("."))
    except OSError as error:
        if regular.is_gone(error):
            return []
        raise


def failures(run: RunFolder, complete: Iterable[int]) -> list[Failure]:
    """Return clips that failed to render or to encode, by what supervisors and encoders have written."""
    made = set(complete)
    found: dict[tuple[int, str], Failure] = {}
    folder = run.result(0).parent
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        index = clip_index(path.stem)
        if index is None or index in made:
            continue
        try:
            result = ClipResult.read(path)
        except (OSError, ContractError):
            continue
        if result.exit_code is not ExitCode.OK:
            found[index, "render"] = Failure(index, "render", result.reason)
    # On one machine encoders write beside the results, in a cluster each pod into a folder of its run.
    for path in sorted([*run.state.glob("encode*.json"), *run.state.glob("encode/*/*.json")], key=_written):
        try:
            progress = EncoderProgress.read(path)
        except (OSError, ContractError):
            continue
        sets = {each.name for each in progress.sets}
        for each in progress.failures:
            if each.index is not None and not _has(run.clip(each.index), sets):
                found[each.index, "encode"] = Failure(each.index, "encode", each.reason)
    return sorted(found.values(), key=lambda failure: (failure.index, failure.stage))


def _has(clip: Clip, sets: set[str]) -> bool:
    """Return whether a clip has got the features that an encoder failed to give it: from another, or a later one."""
    try:
        return bool(sets) and sets <= set(features(clip))
    except OSError:
        return False


def _written(path: Path) -> float:
    """Return when a file was written: of two encoders that failed at a clip, the last one says why."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def features(clip: Clip) -> tuple[str, ...]:
    """Return the names of a clip's feature sets, in order."""
    folder = clip.features("any").parent
    try:
        names = [path for path in folder.iterdir() if path.suffix in FEATURE_FILES and not path.name.startswith(".")]
    except OSError as error:
        if regular.is_gone(error):
            return ()
        raise
    return tuple(sorted(path.stem for path in names))
