"""Every file of a clip, compared with what ``clip.json`` says of it."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from clipfarm_contract import regular, tree
from clipfarm_contract.clip import FEATURES, FileEntry, read_manifest, size_problem
from clipfarm_contract.excerpt import Excerpt
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip, clip_index


@dataclass(slots=True)
class Findings:
    """What a close look at a clip has found, a line each; nothing where it is whole."""

    wrong: list[str] = field(default_factory=list)
    """What was read, and is wrong."""
    unread: list[str] = field(default_factory=list)
    """What could not be read, so that nothing is known of it."""


def examine(clip: Clip) -> Findings:
    """Look at a clip, every hash computed.

    Links are nothing wrong: a copy of the run may be made of them, and hashes tell whether they lead to its bytes.
    """
    try:
        manifest = read_manifest(clip)
    except OSError as error:
        return Findings(unread=[f"{clip.manifest.name}: {regular.describe(error)}"])
    if isinstance(manifest, str):
        return _examine_excerpt(clip) if regular.may_exist(clip.excerpt) else Findings(wrong=[manifest])
    found = Findings()
    if clip_index(clip.folder.name) != manifest.recipe.index:
        found.wrong.append(f"clip.json is that of clip {manifest.recipe.index}")
    unfit, others = [], []
    try:
        names = set(tree.files(clip.folder, but=(FEATURES, clip.manifest.name), links=True))
        folders = {str(parent) for name in manifest.files for parent in PurePosixPath(name).parents}
        others = sorted(names - manifest.files.keys() - folders)
    except tree.UnfitError as error:
        unfit = [str(error)]
    except OSError as error:
        found.unread.append(f"{error.filename}: {regular.describe(error)}")
    found.wrong += unfit
    for name, entry in sorted(manifest.files.items()):
        path = clip.folder / name
        try:
            problem = size_problem(path, entry) or _hash_problem(path, entry)
        except OSError as error:
            found.unread.append(f"{name}: {regular.describe(error)}")
        else:
            found.wrong += [f"{name}: {problem}"] if problem else []
    found.wrong += [f"{name}: not part of the clip" for name in others]
    return found


def _examine_excerpt(clip: Clip) -> Findings:
    """Look at a clip that is a part of a video, which is elsewhere and not looked at."""
    found = Findings()
    try:
        Excerpt.read(clip)
        names = tree.files(clip.folder, but=(FEATURES, clip.excerpt.name), links=True)
        found.wrong += [f"{name}: not part of the clip" for name in sorted(names)]
    except (ContractError, tree.UnfitError) as error:
        found.wrong.append(str(error))
    except OSError as error:
        found.unread.append(f"{clip.excerpt.name}: {regular.describe(error)}")
    return found


def damage(clip: Clip) -> list[str]:
    """Return all that keeps a clip from being known as whole; see :func:`examine`."""
    found = examine(clip)
    return [*found.wrong, *found.unread]


def _hash_problem(path: Path, entry: FileEntry) -> str | None:
    try:
        found = FileEntry.of(path).sha256
    except ContractError:
        return "not a regular file"
    return None if found == entry.sha256 else f"sha256 {found[:12]}..., expected {entry.sha256[:12]}..."
