"""What is true of a clip, as flat columns: factors that were drawn, and outcomes of the motion.

Factors are all single values of ``ground_truth.json``, whatever the experiment: ``object.size`` is the value ``size``
in the object ``object``. Outcomes are computed from the states. Needs the standard library alone.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from clipfarm_contract import layers, regular
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip

Value = float | str | bool
Path3 = Sequence[Sequence[float]]
"""Places of a body, one a frame: (x, y) or (x, y, z)."""

NOT_DRAWN = frozenset(("recipe", "versions", "seed", "video", "checks", "trajectory", "fixtures"))
"""Parts of a ground truth that say how the clip was made, or are no single values."""
MOST_FACTORS = 64
"""Of a clip: more are no factors, but data."""
DEEPEST = 4
LARGEST = sys.float_info.max
"""Whole numbers in JSON may be larger, and so no floating point numbers."""
STILL_METRES_PER_SECOND = 0.02
"""Below this speed, the object has stopped. Half a millimetre in a frame of 1/30 s."""
UNITS = {
    "mass": "kg", "size": "m", "gravity": "m/s²", "impulse.magnitude": "N s", "impulse.x": "N s", "impulse.y": "N s",
    "distance": "m", "displacement": "m", "stopping_distance": "m", "stopping_time": "s", "top_speed": "m/s",
    "final_speed": "m/s", "cameraAzimuth": "degrees", "cameraElevation": "degrees", "cameraDistance": "m",
    "lightAzimuth": "degrees",
}  # fmt: skip
"""Of a column, by its name or the last part of it."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one clip."""

    name: str
    """As ``clip_00042``."""
    phase: str
    """Empty if the clip does not say."""
    document: Mapping[str, Any]
    """The ground truth as it is written."""
    factors: Mapping[str, Value]
    outcomes: Mapping[str, float]
    """An outcome that does not exist, such as the stopping distance of what still moves, is left out."""
    states: tuple[tuple[float, ...], ...]
    """State of each frame, the numbers of all bodies in a row; empty if the clip has none."""
    bodies: int
    """Bodies that a state is of."""
    fps: float | None

    @property
    def paths(self) -> tuple[Path3, ...]:
        """Place of each body on each frame, by its first two or three numbers, m."""
        return paths(self.states, self.bodies)

    @property
    def columns(self) -> Mapping[str, Value]:
        """Factors and outcomes."""
        return {**self.factors, **self.outcomes}


def read(clip: Clip) -> Truth:
    """Read what is true of a clip.

    Raises:
        OSError: a file cannot be read.
        ContractError: a file is damaged; the message names it.
    """
    document = _document(clip.ground_truth)
    manifest = _document(clip.manifest)
    recipe = manifest.get("recipe")
    experiment = recipe.get("experiment") if isinstance(recipe, dict) else None
    scene: Mapping[str, Any] = experiment if isinstance(experiment, dict) else {}
    phase = document.get("phase", scene.get("phase"))
    name = phase.get("name") if isinstance(phase, dict) else phase
    fps = scene.get("fps")
    states, bodies = _states(clip.states)
    rate = float(fps) if isinstance(fps, int | float) and 0 < fps <= LARGEST else None
    return Truth(
        name=clip.folder.name,
        phase=name if isinstance(name, str) else "",
        document=document,
        factors=dict(_flat({key: value for key, value in document.items() if key != "phase"})),
        outcomes=all_outcomes(paths(states, bodies), rate) | _events(document),
        states=states,
        bodies=bodies,
        fps=rate,
    )


def phase_of(clip: Clip) -> str | None:
    """Return the name of the phase that a clip belongs to; None if its ``clip.json`` does not say."""
    return _phase(clip).get("name")


def splits_of(clip: Clip) -> frozenset[str]:
    """Return the names of the parts of a run that a clip belongs to: its phase, and the split that this names."""
    phase = _phase(clip)
    return frozenset(phase[field] for field in ("name", "split") if field in phase)


def _phase(clip: Clip) -> dict[str, str]:
    """Return the words of a clip's phase.

    Only these are read: a check of the whole file would take most of the time of opening a large run.
    """
    try:
        found = json.loads(regular.read(clip.manifest, clip.manifest.name))["recipe"]["experiment"]["phase"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: value for name, value in found if isinstance(value, str) and value}


def paths(states: Sequence[Sequence[float]], bodies: int) -> tuple[Path3, ...]:
    """Return the place of each body on each frame: x and y, or x, y and z if a body's state has more numbers."""
    if not states or not bodies:
        return ()
    width = len(states[0]) // bodies
    axes = 2 if width == 2 else 3
    if width < axes:
        return ()
    return tuple(tuple(tuple(state[body * width : body * width + axes]) for state in states) for body in range(bodies))


def all_outcomes(of: Sequence[Path3], fps: float | None) -> dict[str, float]:
    """Return what became of the motion of each body; those of several have the body's number in their names."""
    if len(of) == 1:
        return outcomes(of[0], fps)
    return {
        f"bodies.{number}.{name}": value
        for number, path in enumerate(of)
        for name, value in outcomes(path, fps).items()
    }


def outcomes(path: Path3, fps: float | None) -> dict[str, float]:
    """Return what became of the motion of a body, by its place on each frame in m.

    The distance is measured along the path. Distance and time of stopping exist only if the body has stopped. A body
    that is not there all the time has none of these.
    """
    if len(path) < 2:
        return {}
    steps = [math.dist(before, after) for before, after in pairwise(path)]
    if not all(map(math.isfinite, steps)):
        return {}
    found = {"distance": sum(steps), "displacement": math.dist(path[0], path[-1])}
    if fps is None:
        return found
    found |= {"top_speed": max(steps) * fps, "final_speed": steps[-1] * fps}
    moving = [i for i, step in enumerate(steps) if step * fps >= STILL_METRES_PER_SECOND]
    if moving and moving[-1] < len(steps) - 1:
        found |= {"stopping_distance": found["distance"], "stopping_time": (moving[-1] + 1 - moving[0]) / fps}
    return found


def unit(column: str) -> str:
    """Return the unit of a column; empty if it has none, or if it is not known."""
    return UNITS.get(column) or UNITS.get(column.rpartition(".")[2], "")


def _events(document: Mapping[str, Any]) -> dict[str, float]:
    events = document.get("events")
    if not isinstance(events, dict):
        return {}
    return {name: float(len(found)) for name, found in sorted(events.items()) if isinstance(found, list)}


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield single values with their place; those in ``factors`` by their own name, which wins over others."""
    factors = document.get("factors")
    own = dict(_leaves(factors, "", 0)) if isinstance(factors, dict) else {}
    rest = {key: value for key, value in document.items() if key not in ("factors", "events")}
    found = own | {name: value for name, value in _leaves(rest, "", 0) if name not in own}
    yield from list(found.items())[:MOST_FACTORS]


def _leaves(value: Any, place: str, depth: int) -> Iterator[tuple[str, Value]]:
    if isinstance(value, bool | str) or (isinstance(value, int | float) and abs(value) <= LARGEST):
        yield place, value
    elif isinstance(value, Mapping) and depth < DEEPEST:
        for key, inner in value.items():
            if key not in NOT_DRAWN:
                yield from _leaves(inner, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(value, list) and depth < DEEPEST and all(isinstance(each, dict) for each in value):
        for number, inner in enumerate(value[:4]):
            yield from _leaves(inner, f"{place}.{number}", depth + 1)


def _document(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one if there is no file."""
    try:
        found = json.loads(regular.read(path, path.name))
    except OSError as error:
        if not regular.is_gone(error):
            raise
        return {}
    except (ValueError, RecursionError):
        raise ContractError(f"{path.name}: not JSON") from None
    if not isinstance(found, dict):
        raise ContractError(f"{path.name}: expected an object")
    return found


def _states(path: Path) -> tuple[tuple[tuple[float, ...], ...], int]:
    """Return the state of each frame, and the bodies that it is of: (frames, values) or (frames, bodies, values)."""
    try:
        layer = layers.read(path)
    except OSError as error:
        if not regular.is_gone(error):
            raise
        return (), 0
    if len(layer.shape) not in (2, 3):
        return (), 0
    rows, bodies = layer.shape[0], layer.shape[1] if len(layer.shape) == 3 else 1
    width = math.prod(layer.shape[1:])
    return tuple(tuple(layer.values[i * width : (i + 1) * width]) for i in range(rows)), bodies
