"""Laws that nothing possible breaks, checked from what a clip says of its bodies.

A body goes on from where it is, and stays what it is. Bodies do not go through each other. What a body gains of
momentum, others have given. What slides slows down by its friction.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from clipfarm_contract.experiments.scene import Scene
from clipfarm_contract.layout import Clip
from clipfarm_render import checks
from clipfarm_render.checks import Check, CheckError, Written
from clipfarm_render.scene import arena
from clipfarm_render.scene.overlap import outline, overlap

Array = npt.NDArray[np.float64]
Law = Callable[[Written, Scene], str | None]
"""Returns what breaks a law, None if nothing does."""

NEARLY = 0.003
"""m: rounding, and what the solver pushes apart."""
OVERLAP_M = 0.1
"""Two bodies that only touch seem to overlap by up to this, because directions between them are sampled."""
MOMENTUM = 0.002
"""Of the largest momentum."""
SLIDES, TURNS, LEVEL, FROM_WALLS_M = 0.3, 0.2, 0.02, 1.0
"""m/s, radians/s, m/s upwards, m: what slides faster, turns and rises less, and is farther from a wall, shows friction
alone."""
FRICTION = 0.15
"""Of what friction takes of the speed."""


def bodies_of(written: Written) -> list[Mapping[str, Any]]:
    """Return what a clip says of its bodies."""
    bodies: list[Mapping[str, Any]] = (
        written.truth["bodies"] if "bodies" in written.truth else [written.truth["object"]]
    )
    return bodies


def continuity(written: Written, scene: Scene) -> str | None:
    """A body gets from frame to frame as far as its velocities take it."""
    seconds, gravity = 1 / scene.fps, written.truth["arena"]["gravity"]
    fastest = _fastest(written)
    for body, there in _there(written, scene):
        places, speeds = (np.array(body["trajectory"][name]) for name in ("positions", "velocities"))
        # A frame shows a pushed body as it was; what it has from then on, a wall may take before the next frame.
        first, last = speeds[:-1] + _pushed(written, scene)[:-1], speeds[1:]
        way, expected = np.diff(places, axis=0), (last + first) / 2 * seconds
        # A hit may come at any moment between two frames; then an axis has either speed.
        slack = seconds * (np.abs(last - first) / 2 + 0.05 * (np.abs(last) + np.abs(first))) + gravity * seconds**2
        # What meets two walls in between may have gone either way, but not farther than its speed takes it.
        farthest = seconds * np.maximum(np.linalg.norm(first, axis=1), np.linalg.norm(last, axis=1))
        slack += np.where(farthest > arena.HALF_SIZE / 2, farthest, 0)[:, None]
        worst = (np.abs(way - expected) - slack - NEARLY).max(axis=1, initial=-math.inf)
        # Between two hits, which may be of one frame, it may have any speed that a body has before or after them.
        limit = fastest * seconds + gravity * seconds**2 + NEARLY
        worst = np.where(_hits(written, scene, body)[1:] > 1, np.linalg.norm(way, axis=1) - limit, worst)
        worst[~(there[1:] & there[:-1])] = -math.inf
        if len(worst) and worst.max() > 0:
            at = int(worst.argmax())
            far = float(np.linalg.norm(way[at]))
            return f"{_name(body)} gets {far:.2f} m from frame {at} to {at + 1}, which its speed does not explain"
    return None


def _fastest(written: Written) -> Array:
    """Return how fast any point of any body is at most, before or after each step to the next frame, m/s."""
    most = np.zeros(len(written.states))
    for body in bodies_of(written):
        speed, turns = (
            np.linalg.norm(np.array(body["trajectory"][name]), axis=1) for name in ("velocities", "angularVelocities")
        )
        reach = float(np.linalg.norm(np.abs(np.array(body["bounds"])).max(axis=0))) if "bounds" in body else 0.0
        most = np.fmax(most, speed + turns * reach)  # of a body that is not there, nothing is known
    return np.maximum(most[:-1], most[1:])


def _hits(written: Written, scene: Scene, body: Mapping[str, Any]) -> npt.NDArray[np.int_]:
    """Return (frames,) how often a body was hit since the frame before."""
    hit = [each["frame"] for each in _collisions(written) if body.get("name") in each["bodies"]]
    return np.bincount(np.array(hit, np.int_), minlength=scene.frames)[: scene.frames]


def _pushed(written: Written, scene: Scene) -> Array:
    """Return the velocity (frames, 3) that a body gets by pushes right after each frame, m/s."""
    gets = np.zeros((scene.frames, 3))
    for push in _pushes(written):
        gets[push["atFrame"], :2] += np.array((push["x"], push["y"])) / written.truth["mass"]
    return gets


def permanence(written: Written, scene: Scene) -> str | None:
    """A body that is there stays there, and nothing comes from nowhere."""
    for body, there in _there(written, scene):
        if there.any() and not there.all():
            return f"{_name(body)} is there on {int(there.sum())} of {len(there)} frames"
    return None


def identity(written: Written, _scene: Scene) -> str | None:
    """A body keeps its shape and its colour."""
    becomes = written.truth.get("violation", {}).get("becomes")
    return f"an object gets another {becomes}" if becomes else None


def solidity(written: Written, scene: Scene) -> str | None:
    """No body is where another one is."""
    outlines = [(body, there, outline(body)) for body, there in _there(written, scene)]
    for (one, there, points), (other, too, others) in combinations(outlines, 2):
        for frame in np.flatnonzero(there & too).tolist():
            depth = overlap(one, points, other, others, frame)
            if depth > OVERLAP_M:
                return f"{_name(one)} and {_name(other)} overlap by {depth:.2f} m in frame {frame}"
    return None


def momentum(written: Written, scene: Scene) -> str | None:
    """The momentum of all bodies changes by gravity, by what stands still, and by nothing else."""
    known = [(body, there) for body, there in _there(written, scene) if "impulses" in body]
    if not known or not all(there.all() for _, there in known):
        return None
    masses = [body["mass"] for body, _ in known]
    total = sum(
        mass * np.array(body["trajectory"]["velocities"]) for mass, (body, _) in zip(masses, known, strict=True)
    )
    given = sum(np.array(body["impulses"])[1:] for body, _ in known)
    weight = np.array((0, 0, -written.truth["arena"]["gravity"] * sum(masses) / scene.fps))
    off = np.linalg.norm(np.diff(total, axis=0) - given - weight, axis=1)
    least = MOMENTUM * max(float(np.linalg.norm(total, axis=1).max()), sum(masses))
    if len(off) and off.max() > least:
        at = int(off.argmax())
        return f"momentum changes by {off[at]:.3f} N s from frame {at} to {at + 1}, which nothing has given"
    return None


def friction(written: Written, scene: Scene) -> str | None:
    """A body that slides on the floor loses its friction's share of speed, and no more."""
    gravity, hits = written.truth["arena"]["gravity"], _hit_frames(written)
    for body, there in _there(written, scene):
        if body["rolls"]:
            continue
        coefficient = body.get("friction", written.truth.get("friction"))
        trajectory = {name: np.array(rows) for name, rows in body["trajectory"].items()}
        speed = np.linalg.norm(trajectory["velocities"][:, :2], axis=1)
        # On a ramp it slides down, too.
        free = (speed > SLIDES) & (np.abs(trajectory["velocities"][:, 2]) < LEVEL) & there
        free &= np.linalg.norm(trajectory["angularVelocities"], axis=1) < TURNS
        free &= np.abs(trajectory["positions"][:, :2]).max(axis=1) < arena.HALF_SIZE - FROM_WALLS_M
        expected = coefficient * gravity / scene.fps
        for before, after in pairwise(range(scene.frames)):
            lost = speed[before] - speed[after]
            if (
                free[before]
                and free[after]
                and after not in hits
                and abs(lost - expected) > _slack(expected, gravity, scene)
            ):
                return (
                    f"{_name(body)} loses {lost:.3f} m/s from frame {before} to {after}, expected {expected:.3f} "
                    f"with its friction of {coefficient:.3f}"
                )
    return None


ALWAYS: Mapping[str, Law] = {law.__name__: law for law in (continuity, permanence, identity, solidity, momentum)}
"""What every clip is checked for."""
IN_GROUPS: Mapping[str, Law] = {**ALWAYS, "friction": friction}
"""What clips of a group with a violation are checked for."""


def check(clip: Clip, scene: Scene, own: Sequence[Check], breaks: Sequence[str] | None) -> Mapping[str, Any]:
    """Run all checks on a clip's files.

    Args:
        clip: what was written.
        scene: what was to be written.
        own: what its experiment checks.
        breaks: laws of which an impossible clip has to break one; None: the clip is possible.

    Returns:
        The values found, by check.

    Raises:
        CheckError: a check failed.
    """
    written = checks.read(clip, scene)
    found = checks.check_written(written, scene, own)
    judged = judge(written, scene, breaks)
    # A clip of push has recorded no laws since before there were any, and keeps its bytes.
    return found if scene.name == "push" and scene.violations is None else {**found, "laws": judged}


def judge(written: Written, scene: Scene, breaks: Sequence[str] | None) -> Mapping[str, Any]:
    """Check a clip by all laws.

    Args:
        written: the clip.
        scene: what was to be written.
        breaks: laws of which an impossible clip has to break one; None: the clip is possible.

    Returns:
        The names of the laws that hold, and of those that do not.

    Raises:
        CheckError: a possible clip breaks a law, or an impossible one breaks none of those that it should.
    """
    laws = ALWAYS if scene.violations is None else IN_GROUPS
    found = {name: law(written, scene) for name, law in laws.items()}
    broken = {name: problem for name, problem in found.items() if problem is not None}
    if breaks is None and broken:
        name, problem = next(iter(broken.items()))
        raise CheckError(f"{name}: {problem}")
    if breaks is not None and not broken.keys() & set(breaks):
        raise CheckError(f"violation: {' and '.join(breaks)} hold, expected one of them to be broken")
    return {"hold": [name for name in laws if name not in broken], "broken": list(broken)}


def _there(written: Written, scene: Scene) -> Iterator[tuple[Mapping[str, Any], npt.NDArray[np.bool_]]]:
    """Yield each body, and on which frames it is there."""
    for body in bodies_of(written):
        yield body, np.array(body.get("visible", [True] * scene.frames), np.bool_)


def _name(body: Mapping[str, Any]) -> str:
    return str(body.get("name", "the object"))


def _hit_frames(written: Written) -> set[int]:
    """Return the frames that show a hit or a push for the first time."""
    hits = {hit["frame"] for hit in _collisions(written)}
    return hits | {push["atFrame"] + 1 for push in _pushes(written)}


def _collisions(written: Written) -> Sequence[Mapping[str, Any]]:
    """Return the hits of a clip; ``push`` records none."""
    found: Sequence[Mapping[str, Any]] = written.truth.get("events", {}).get("collisions", ())
    return found


def _pushes(written: Written) -> Sequence[Mapping[str, Any]]:
    """Return the pushes of a clip; one alone is its ``impulse``."""
    first = [written.truth["impulse"]] if "impulse" in written.truth else []
    found: Sequence[Mapping[str, Any]] = written.truth.get("pushes", first)
    return found


def _slack(expected: float, gravity: float, scene: Scene) -> float:
    return FRICTION * max(expected, 0.2 * gravity / scene.fps)
