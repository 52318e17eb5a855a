"""Making a clip once more from its own records, and comparing the two."""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import PurePosixPath

from clipfarm.local.processes import last_line
from clipfarm_contract import regular, tree
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import FEATURES, OF_A_VIDEO, ClipManifest, FileEntry
from clipfarm_contract.experiment import COMPOSITING, ClipRecipe
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip, RunFolder

MOST_SECONDS = 86400.0
"""A day for a clip that is made again."""


class RemakeError(Exception):
    """A clip cannot be made again; the message says why, in one line."""


def remake(clip: Clip, into: RunFolder, device: str) -> Clip:
    """Make a clip again in another folder.

    What it was made from stands in its ``clip.json``, and of clips by clipfarm's own renderer in their
    ``ground_truth.json`` as well: each is enough alone.

    Raises:
        RemakeError: its records cannot be read, or the renderer failed.
    """
    if not clip.manifest.exists() and clip.excerpt.exists():
        raise RemakeError(OF_A_VIDEO)
    recipe, renderer = _made_from(clip)
    if renderer is None and recipe.picture.background == "cached" and recipe.compositing != COMPOSITING:
        raise RemakeError(
            f"found a clip of another version of clipfarm (compositing {recipe.compositing}), expected {COMPOSITING};"
            " only that version makes its bytes again"
        )
    into.state.mkdir(parents=True, exist_ok=True)
    experiment, log = into.state / "experiment.json", into.state / "log"
    write_atomically(experiment, _with_source(recipe, RunFolder(clip.folder.parent)))
    command = [
        *(sys.executable, "-m", "clipfarm_render", "--output", str(into.root), "--seed", str(recipe.seed)),
        *("--index", str(recipe.index), "--experiment", str(experiment), "--device", device),
        # Not the run's own limit: this clip has been made before, and a person is waiting.
        *("--timeout", str(MOST_SECONDS), "--exit-with-parent", "--parent", str(os.getpid())),
        *(["--", *renderer] if renderer else []),
    ]
    log.unlink(missing_ok=True)
    with log.open("xb") as output:
        code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    if code:
        raise RemakeError(f"the renderer ended with {code}: {last_line(log)}")
    return into.clip(recipe.index)


def differences(clip: Clip, other: Clip) -> list[str]:
    """Return the names of the files in which a clip that was made again differs from the first one, by their bytes.

    Files that were damaged or lost since are compared by what ``clip.json`` says they were. If that cannot be read, the
    files themselves are, and links are followed.

    Raises:
        RemakeError: there is no ``clip.json``, and the files cannot be compared either.
    """
    theirs = _files(other)
    ours = _files(clip, folders={str(parent) for name in theirs for parent in PurePosixPath(name).parents})
    names = sorted(ours.keys() | theirs.keys())
    return [name for name in names if ours.get(name) != theirs.get(name)]


def _made_from(clip: Clip) -> tuple[ClipRecipe, tuple[str, ...] | None]:
    try:
        manifest = ClipManifest.read(clip.manifest)
    except (OSError, ContractError) as problem:
        try:
            truth = load(regular.read(clip.ground_truth, clip.ground_truth.name), clip.ground_truth.name)
            recipe = truth["recipe"] if isinstance(truth, dict) else None
            return ClipRecipe.parse(recipe, "ground_truth.json.recipe"), None
        except (OSError, ContractError, KeyError):
            why = f"clip.json: {regular.describe(problem)}" if isinstance(problem, OSError) else str(problem)
            raise RemakeError(f"cannot be made again: {why}") from None
    return manifest.recipe, manifest.renderer


def _with_source(recipe: ClipRecipe, run: RunFolder) -> str:
    """Return the clip's experiment; with the text of its module, which the run keeps."""
    document = json.loads(recipe.run_experiment_json())
    if "module" in document:
        try:
            sha256 = Module.parse(document["module"], "recipe.experiment.module").sha256
        except ContractError as problem:
            raise RemakeError(f"cannot be made again: {problem}") from None
        kept = run.module(sha256)
        try:
            source = regular.read_given(kept, str(kept)).decode()
        except (OSError, ContractError, UnicodeDecodeError):
            raise RemakeError(f"found no readable {kept}, expected the module by which the clip was made") from None
        if Module.of(source).sha256 != sha256:
            raise RemakeError(f"found {kept} changed, expected the module by which the clip was made")
        document["module"]["source"] = source
    return json.dumps(document, sort_keys=True)


def _files(clip: Clip, folders: Collection[str] = ()) -> dict[str, FileEntry]:
    """Return what a clip's folder holds; ``folders`` are names in it that are folders, or links to some."""
    try:
        return dict(ClipManifest.read(clip.manifest).files)
    except (OSError, ContractError):
        pass
    try:
        names = set(tree.files(clip.folder, but=(FEATURES, clip.manifest.name), links=True))
        for name in sorted(names.intersection(folders)):
            names |= {f"{name}/{inside}" for inside in tree.files(clip.folder / name, links=True)}
        return {name: FileEntry.of(clip.folder / name) for name in names.difference(folders)}
    except OSError as problem:
        raise RemakeError(f"cannot be compared: {problem.filename}: {regular.describe(problem)}") from None
    except (tree.UnfitError, ContractError) as problem:
        raise RemakeError(f"cannot be compared: {problem}") from None
