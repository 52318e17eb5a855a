"""What a probe learns from: features of each time step, and what is to be predicted from them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipfarm import truth
from clipfarm.data import feature_files
from clipfarm.truth import Truth
from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip, RunFolder

STATES = "states"
"""The true states, as features or as the target."""
PHASE = "phase"
MOST_VALUES_SHOWN = 12


class ProbeError(ValueError):
    """There is nothing to learn from; the message is one line for people."""


@dataclass(slots=True)
class Samples:
    """Features and targets of clips."""

    clips: list[str]
    layers: list[str]
    """Name of each layer; one that is empty for a set without layers."""
    features: NDArray[np.float32]
    """(clips, layers, time steps, width): the mean over the tokens of a time step."""
    numbers: NDArray[np.float64] | None
    """(clips, time steps, values): the target, if it is a number. Only states differ from one time step to the next."""
    words: NDArray[np.str_] | None
    """(clips,): the target, if it is a word."""
    phases: list[str]
    unit: str
    knows_future: bool
    """Whether each time step was made of the whole clip."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Clips that are not among these, with the reason of each."""


def read(
    run: RunFolder, clips: Sequence[int], features: str, target: str, progress: Callable[[], object] = lambda: None
) -> Samples:
    """Read what a probe learns from.

    Args:
        run: the clips' run.
        clips: which clips.
        features: name of a set; ``SET/TENSOR`` for one layer of it, ``states`` for the true states.
        target: name of a factor or an outcome, ``phase``, or ``states``.
        progress: called after each clip.

    Raises:
        ProbeError: no clip has both, or the target is not known.
    """
    names = _layers(run, clips, features)
    found: list[tuple[Truth, NDArray[np.float32], int]] = []
    left_out: dict[str, str] = {}
    for index in clips:
        clip = run.clip(index)
        try:
            fact = truth.read(clip)
            values, stride = _states(fact) if features == STATES else _means(clip, names)
            problem = _missing(fact, target) or ("" if np.isfinite(values).all() else "features that are no numbers")
        except ContractError as error:
            problem = str(error)
        except OSError as error:
            problem = regular.describe(error)
        if problem:
            left_out[clip.folder.name] = problem
        else:
            found.append((fact, values, stride))
        progress()
    if not found:
        raise _nothing(run, clips, target, left_out)
    found = _of_one_shape(found, left_out)
    facts = [fact for fact, _, _ in found]
    numbers, words = _targets(found, target)
    return Samples(
        clips=[fact.name for fact in facts],
        layers=[name.partition("/")[2] for name in names],
        features=np.stack([values for _, values, _ in found]),
        numbers=numbers,
        words=words,
        phases=[fact.phase for fact in facts],
        unit="m" if target == STATES else truth.unit(target),
        knows_future=features != STATES and _knows_future(_clip(run, found[0][0]), names[0]),
        left_out=left_out,
    )


def _clip(run: RunFolder, fact: Truth) -> Clip:
    return Clip(run.root / fact.name)


def _layers(run: RunFolder, clips: Sequence[int], features: str) -> list[str]:
    """Return the tensors of a set that has several, by the first clip that has it."""
    if features == STATES or "/" in features:
        return [features]
    for index in clips:
        names = [name for name in feature_files.names(run.clip(index)) if name.partition("/")[0] == features]
        if names:
            return names
    return [features]


def _means(clip: Clip, names: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """Return (layers, time steps, width), and frames a time step; only one layer is in memory at a time."""
    files = [feature_files.find(clip, name) for name in names]
    means = [file.read(0, file.shape[0]).mean(axis=1, dtype=np.float32) for file in files]
    return np.stack(means), files[0].stride


def _states(fact: Truth) -> tuple[NDArray[np.float32], int]:
    values = np.array(fact.states, np.float32)
    if problem := _missing(fact, STATES):
        raise ContractError(problem)
    return values[None], 1


def _missing(fact: Truth, target: str) -> str:
    if target == STATES:
        if not fact.states:
            return "no states"
        return "" if all(math.isfinite(value) for state in fact.states for value in state) else "a body is not there"
    if target == PHASE:
        return "" if fact.phase else "no phase"
    return "" if target in fact.columns else f"no {target}"


def _nothing(run: RunFolder, clips: Sequence[int], target: str, left_out: dict[str, str]) -> ProbeError:
    known: set[str] = set()
    for index in clips[:100]:
        try:
            known |= truth.read(run.clip(index)).columns.keys()
        except (OSError, ContractError):
            continue
    if target not in (STATES, PHASE) and target not in known:
        listed = ", ".join(sorted(known)[:MOST_VALUES_SHOWN])
        return ProbeError(f"--target: found {target}, expected {STATES}, {PHASE}, or one of {listed}")
    name, reason = next(iter(left_out.items()))
    return ProbeError(f"no clip can be used; {name}: {reason}")


def _of_one_shape(
    found: list[tuple[Truth, NDArray[np.float32], int]], left_out: dict[str, str]
) -> list[tuple[Truth, NDArray[np.float32], int]]:
    """Return clips with features of the first one's shape; the others are left out."""
    shape = found[0][1].shape
    for fact, values, _ in found:
        if values.shape != shape:
            left_out[fact.name] = f"features of shape {values.shape}, unlike {shape} of {found[0][0].name}"
    return [each for each in found if each[1].shape == shape]


def _targets(
    found: list[tuple[Truth, NDArray[np.float32], int]], target: str
) -> tuple[NDArray[np.float64] | None, NDArray[np.str_] | None]:
    steps = found[0][1].shape[1]
    if target == STATES:
        # Of a time step, its last frame.
        rows = [np.array(fact.states)[stride - 1 :: stride][:steps] for fact, _, stride in found]
        return np.stack(rows).astype(np.float64), None
    values = [fact.phase if target == PHASE else fact.columns[target] for fact, _, _ in found]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.repeat(np.array(values, np.float64)[:, None, None], steps, axis=1), None
    return None, np.array([str(value) for value in values])


def _knows_future(clip: Clip, name: str) -> bool:
    """Return whether a time step was made of frames after it, as all were before sets said what they know."""
    path = clip.features_sidecar(name.partition("/")[0])
    try:
        sidecar = load(regular.read(path, path.name), path.name)
        stride = feature_files.find(clip, name).stride
    except (OSError, ContractError):
        return True
    last = sidecar.get("frame_of_token") if isinstance(sidecar, dict) else None
    if not isinstance(last, list) or not last or not isinstance(last[0], int):
        return True
    return bool(last[0] >= stride)
