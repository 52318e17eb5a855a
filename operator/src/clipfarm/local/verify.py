"""Checking clips against their hashes, and against the renderer itself."""

from collections.abc import Sequence
from pathlib import Path

from clipfarm.local.comparing.compare import Comparison, compare, of_another_renderer
from clipfarm.local.remake import differences, remake
from clipfarm_contract import regular
from clipfarm_contract.clip import FEATURES, ClipManifest, FileEntry
from clipfarm_contract.examining import Findings, examine
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.features import array_problem, input_difference, read_heads
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.indexes import compress
from clipfarm_contract.layout import LAYERS_SUFFIX, Clip, RunFolder
from clipfarm_contract.machine import Machine
from clipfarm_contract.result import ClipResult

FEATURE_SUFFIXES = (".npy", LAYERS_SUFFIX)


def look(run: RunFolder, index: int) -> Findings:
    """Look at a clip and its features, every hash computed."""
    clip = run.clip(index)
    found = examine(clip)
    try:
        for path in sorted((clip.folder / FEATURES).iterdir()):
            if path.suffix in FEATURE_SUFFIXES and not path.name.startswith("."):
                _look_at_features(clip, path, found)
    except OSError as error:
        if not regular.is_gone(error):
            found.unread.append(f"{FEATURES}: {regular.describe(error)}")
    return found


def mixtures(run: RunFolder, clips: Sequence[int]) -> list[str]:
    """Return where clips were not made by one run: with several seeds, renderers, or versions of clipfarm."""
    seeds: dict[str, list[int]] = {}
    renderers: dict[str, list[int]] = {}
    versions: dict[str, list[int]] = {}
    for clip in clips:
        try:
            manifest = ClipManifest.read(run.clip(clip).manifest)
        except (OSError, ContractError):
            continue  # damaged, which is said elsewhere
        seeds.setdefault(str(manifest.recipe.seed), []).append(clip)
        renderers.setdefault(" ".join(manifest.renderer or ("clipfarm's own",)), []).append(clip)
        versions.setdefault(f"compositing {manifest.recipe.compositing}", []).append(clip)
    return [
        f"made with different {name}: " + "; ".join(f"{value} (clips {compress(of)})" for value, of in groups.items())
        for name, groups in (("seeds", seeds), ("renderers", renderers), ("versions of clipfarm", versions))
        if len(groups) > 1
    ]


def count_features(run: RunFolder, clips: Sequence[int]) -> int:
    """Return how many feature files the clips have."""
    folders = ((run.clip(clip).folder / FEATURES) for clip in clips)
    return sum(len(list(folder.glob(f"*{suffix}"))) for folder in folders for suffix in FEATURE_SUFFIXES)


def sample(clips: Sequence[int], count: int) -> list[int]:
    """Return ``count`` of the clips, evenly spread."""
    count = min(count, len(clips))
    return [clips[i * len(clips) // count] for i in range(count)]


def compared_when_made_again(
    run: RunFolder, index: int, device: str, place: RunFolder, *, whole: bool = True
) -> Comparison:
    """Make a clip again in another folder from its own records alone, and compare the two.

    Args:
        run: the clip's run.
        index: its number.
        device: to render on.
        place: where to make it.
        whole: whether the clip has all its files. An export keeps some only by their hashes: if such a file differs,
            there is nothing to measure by how much, and the others decide.

    Raises:
        RemakeError: it cannot be made again, or not be compared.
    """
    clip = run.clip(index)
    again = remake(clip, place, device)
    differing, made = differences(clip, again), ClipManifest.read(again.manifest)
    if not whole:
        measured = [name for name in differing if (clip.folder / name).exists()]
        differing = measured or differing
    if made.renderer is not None:
        return of_another_renderer(differing)
    return compare(clip, again, differing, made.recipe.picture, machine_of(run, index), machine_of(place, index))


def machine_of(run: RunFolder, index: int) -> Machine | None:
    """Return what a complete clip was made on; None if it is not known."""
    try:
        result = ClipResult.read(run.result(index))
    except (OSError, ContractError):
        return None
    return result.machine if result.exit_code is ExitCode.OK else None


def _look_at_features(clip: Clip, path: Path, found: Findings) -> None:
    sidecar = clip.features_sidecar(path.name.removesuffix(path.suffix))
    name = f"{FEATURES}/{path.name}"
    try:
        made = load(regular.read(sidecar, sidecar.name), sidecar.name)
    except ContractError as error:
        found.wrong.append(f"{name}: {error}")
        return
    except OSError as error:
        if regular.is_gone(error):
            found.wrong.append(f"{name}: no {sidecar.name} beside it")
        else:
            found.unread.append(f"{FEATURES}/{sidecar.name}: {regular.describe(error)}")
        return
    try:
        problem = None
        if isinstance(made, dict) and "clipfarm" in made:  # of another program's no more is known than their hash
            heads = read_heads(path)
            problem = array_problem(heads, made) or input_difference(heads, made, clip)
        if not problem and FileEntry.of(path).sha256 != (made.get("sha256") if isinstance(made, dict) else None):
            problem = f"sha256 is not the one in {sidecar.name}"
    except ContractError as error:
        problem = str(error)
    except OSError as error:
        found.unread.append(f"{name}: {regular.describe(error)}")
        return
    if problem:
        found.wrong.append(f"{name}: {problem}")
