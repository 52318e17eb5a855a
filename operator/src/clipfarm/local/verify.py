"""Checking clips against their hashes, and against the renderer itself."""

import json
from collections.abc import Sequence
from pathlib import Path

from clipfarm.local.remake import RemakeError, differences, remake
from clipfarm_contract.clip import FEATURES, ClipManifest, FileEntry, damage
from clipfarm_contract.fields import ContractError
from clipfarm_contract.indexes import compress
from clipfarm_contract.layout import RunFolder


def problems(run: RunFolder, clip: int) -> list[str]:
    """Return what is wrong with a clip and its features, every hash computed."""
    return damage(run.clip(clip)) + _feature_problems(run.clip(clip).folder / FEATURES)


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
    return sum(len(list((run.clip(clip).folder / FEATURES).glob("*.npy"))) for clip in clips)


def sample(clips: Sequence[int], count: int) -> list[int]:
    """Return ``count`` of the clips, evenly spread."""
    count = min(count, len(clips))
    return [clips[i * len(clips) // count] for i in range(count)]


def differences_when_made_again(run: RunFolder, clip: int, device: str, place: RunFolder) -> list[str]:
    """Make a clip again in another folder from its ``clip.json`` alone, and return the files whose bytes differ."""
    try:
        return differences(run.clip(clip), remake(run.clip(clip), place, device))
    except RemakeError as error:
        return [str(error)]


def _feature_problems(folder: Path) -> list[str]:
    found = []
    for features in sorted(folder.glob("*.npy")):
        name, sidecar = f"{FEATURES}/{features.name}", features.with_suffix(".json")
        try:
            expected = json.loads(sidecar.read_text(encoding="utf-8"))["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            found.append(f"{name}: no readable {sidecar.name} beside it")
            continue
        try:
            is_ = FileEntry.of(features).sha256
        except OSError as error:
            found.append(f"{name}: cannot be read: {error.strerror}")
            continue
        if is_ != expected:
            found.append(f"{name}: sha256 is not the one in {sidecar.name}")
    return found
