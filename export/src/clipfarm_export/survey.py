"""Which clips of a run can be exported: one quick look at each, nothing hashed yet."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clipfarm_contract import regular
from clipfarm_contract.clip import FEATURES, OF_A_VIDEO, ClipManifest, FileEntry
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.indexes import Indexes, compress
from clipfarm_contract.layout import Clip, RunFolder, clip_index, clip_name
from clipfarm_contract.result import ClipResult
from clipfarm_export.errors import ExportError
from clipfarm_export.truth import Columns, text

_RESERVED_SPLITS = ("all",)
"""Names that `datasets` gives a meaning of its own."""
FAILED, NOT_MADE = "failed to render: ", "was not made"
"""Why clips are not there. The run reports it, too, so it is no fault of an export."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that looks complete, by its ``clip.json``; small, because a run has many."""

    index: int
    name: str
    phase: str
    split: str
    """The phase's name as readers take it for a split."""
    sha256: str
    """Of ``clip.json``, which has the hashes of all other files."""
    frames: int
    fps: int
    sizes: tuple[tuple[str, int], ...]
    """Bytes of the files in each of its folders."""

    def size(self, folder: str) -> int:
        """Return the bytes of the files in one of the clip's folders."""
        return dict(self.sizes).get(folder, 0)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A clip, or a feature set of it, that is not in the export."""

    clip: str
    reason: str

    @property
    def is_there(self) -> bool:
        """Whether the run has the clip."""
        return not self.reason.startswith((FAILED, NOT_MADE))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"clip": self.clip, "reason": self.reason}


@dataclass(slots=True)
class Survey:
    """What a run's folder holds."""

    clips: list[Candidate] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    scene: dict[str, Any] = field(default_factory=dict)
    """What all clips have in common: the recipe without the clip's number and phase, and the renderer's command."""
    phases: dict[str, Any] = field(default_factory=dict)
    """Each phase as the recipes have it, in order of its first clip."""
    tables: set[str] = field(default_factory=lambda: {"actions", "states"})
    """Which of these every clip has."""
    features: dict[str, int] = field(default_factory=dict)
    """Clips that have a feature set, by its name."""

    @property
    def splits(self) -> dict[str, list[Candidate]]:
        """The clips of each split, in order of its first clip."""
        found: dict[str, list[Candidate]] = {}
        for clip in self.clips:
            found.setdefault(clip.split, []).append(clip)
        return found


def survey(run: RunFolder, tick: Callable[[], None] = lambda: None, only: Indexes | None = None) -> Survey:
    """Look at every clip of a run.

    Args:
        run: the run's folder.
        tick: called for each clip.
        only: the run's clips, where the folder may hold those of others, too; None: all that are there.

    Raises:
        ExportError: there is no complete clip, or the clips are not those of one run.
    """
    found, commons = Survey(), dict[str, list[int]]()
    splits: dict[str, str] = {}
    present = [index for index in run.clips() if only is None or index in only]
    for index in present:
        tick()
        clip = run.clip(index)
        if not clip.manifest.exists() and clip.excerpt.exists():
            found.left_out.append(LeftOut(clip.folder.name, OF_A_VIDEO))
            continue
        try:
            manifest = ClipManifest.read(clip.manifest)
            content = regular.read(clip.manifest, clip.manifest.name)
            recipe = manifest.recipe.to_json()
            if recipe["index"] != index:
                raise ContractError(f"clip.json is that of clip {recipe['index']}")
            truth = _truth(clip, manifest)
            common = _common(recipe, manifest.renderer)
            for name, value in (("clip.json", [recipe, common]), (clip.ground_truth.name, truth)):
                _check_text(value, name)
        except ContractError as error:
            found.left_out.append(LeftOut(clip.folder.name, str(error)))
            continue
        except OSError as error:
            found.left_out.append(LeftOut(clip.folder.name, f"cannot be read: {regular.describe(error)}"))
            continue
        phase = recipe["experiment"]["phase"]
        commons.setdefault(text(common), []).append(index)
        found.scene = common
        found.phases.setdefault(phase["name"], phase)
        found.columns.add(truth)
        found.tables &= {name for name, path in tables_of(clip).items() if path in manifest.files}
        for name in feature_sets(clip):
            found.features[name] = found.features.get(name, 0) + 1
        found.clips.append(
            Candidate(
                index=index,
                name=clip.folder.name,
                phase=phase["name"],
                split=splits.setdefault(phase["name"], _split(phase["name"], set(splits.values()))),
                sha256=hashlib.sha256(content).hexdigest(),
                frames=recipe["experiment"]["frames"],
                fps=recipe["experiment"]["fps"],
                sizes=_sizes(manifest.files),
            )
        )
    if len(commons) > 1:
        groups = "; ".join(f"clips {compress(sorted(of))}" for of in commons.values())
        raise ExportError(f"{run.root}: found clips of {len(commons)} different runs ({groups}), expected those of one")
    if not found.clips and any(each.reason == OF_A_VIDEO for each in found.left_out):
        raise ExportError(f"{run.root}: found clips of videos, expected clips that were rendered")
    if not found.clips and found.left_out:
        first = found.left_out[0]
        raise ExportError(f"{run.root}: no clip can be exported; {first.clip}: {first.reason}")
    if not found.clips:
        which = "folders such as clip_00042" if only is None else f"clips among {only}"
        raise ExportError(f"{run.root}: found no complete clip, expected {which}")
    failed = [each for each in _failed(run, present) if only is None or clip_index(each.clip) in only]
    found.left_out += failed
    if only is not None:
        known = {*present, *(clip_index(each.clip) for each in failed)}
        found.left_out += [LeftOut(clip_name(index), NOT_MADE) for index in only if index not in known]
    return found


def feature_sets(clip: Clip) -> list[str]:
    """Return the names of a clip's feature sets: files with a sidecar of their name."""
    try:
        names = {path.name for path in (clip.folder / FEATURES).iterdir()}
    except OSError:
        return []
    sets = {name.rpartition(".")[0] for name in names if name.endswith((".npy", ".safetensors")) and name[0] != "."}
    return sorted(name for name in sets if f"{name}.json" in names and name.isprintable())


def tables_of(clip: Clip) -> dict[str, str]:
    """Return where a clip has its actions and states, inside its folder."""
    paths = {"actions": clip.actions, "states": clip.states}
    return {name: path.relative_to(clip.folder).as_posix() for name, path in paths.items()}


def _truth(clip: Clip, manifest: ClipManifest) -> dict[str, Any]:
    """Return a clip's ground truth; a renderer of the user's own need not write one."""
    if clip.ground_truth.name not in manifest.files:
        return {}
    found = load(regular.read(clip.ground_truth, clip.ground_truth.name), clip.ground_truth.name)
    if not isinstance(found, dict):
        raise ContractError(f"{clip.ground_truth.name}: expected an object")
    return found


def _check_text(value: object, name: str) -> None:
    """Refuse text that no file in UTF-8 can hold: JSON may have half of a pair of surrogates."""
    try:
        text(value).encode()
    except UnicodeEncodeError as error:
        raise ContractError(f"{name}: found {error.object[error.start : error.end]!a}, which is no character") from None


def _common(recipe: dict[str, Any], renderer: tuple[str, ...] | None) -> dict[str, Any]:
    """Return a recipe without what differs from clip to clip of one run."""
    experiment = {name: value for name, value in recipe["experiment"].items() if name != "phase"}
    same = {name: value for name, value in recipe.items() if name != "index"}
    return same | {"experiment": experiment} | ({"renderer": list(renderer)} if renderer else {})


def _split(phase: str, taken: set[str]) -> str:
    """Return a phase's name with nothing but letters, digits and underscores in it, unlike all others."""
    name = re.sub(r"\W+", "_", phase, flags=re.ASCII).strip("_") or "phase"
    while name in taken or name in _RESERVED_SPLITS:
        name += "_"
    return name


def _sizes(files: Any) -> tuple[tuple[str, int], ...]:
    sizes: dict[str, int] = {}
    for name, entry in files.items():
        assert isinstance(entry, FileEntry)
        folder = name.partition("/")[0]
        sizes[folder] = sizes.get(folder, 0) + entry.size
    return tuple(sorted(sizes.items()))


def _failed(run: RunFolder, present: list[int]) -> list[LeftOut]:
    """Return the clips that the run's supervisors reported as failed, and that are not there."""
    failed, there = [], set(present)
    try:
        names = sorted(path.stem for path in run.result(0).parent.iterdir())
    except OSError:
        return []
    for name in names:
        index = clip_index(name)
        if index is None or index in there:
            continue
        try:
            result = ClipResult.read(run.result(index))
        except (OSError, ContractError):
            continue
        if result.exit_code is not ExitCode.OK:
            failed.append(LeftOut(name, f"{FAILED}{result.reason}"))
    return failed
