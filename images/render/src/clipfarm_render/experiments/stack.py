"""``stack``: objects on top of each other stand or fall.

``body_0`` is the lowest. ``stands`` in ``ground_truth.json`` says how it ended. Files: see
:mod:`clipfarm_render.experiments.ensemble`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written, rounded
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble, move
from clipfarm_render.experiments.story import Another, Truth, Values
from clipfarm_render.scene import bodies
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Motion
from clipfarm_render.scene.stage import Stage

__all__ = ["CHECKS", "build", "draw", "move", "truth"]

STANDS_M = 0.02
"""A stack in which no object has moved by more stands."""


def draw(values: Values, another: Another, _scene: Scene) -> Ensemble:
    """Return a clip's ensemble; how high each object lies, :func:`build` finds out."""
    number = ensemble.numbers(values)
    specs = [ensemble.spec(0, values, (number["x"], number["y"], 0.0))]
    shifts = []
    for place in range(1, int(number["bodies"])):
        own = another(place)
        each, (x, y, _) = ensemble.numbers(own), specs[-1].position
        far = each["shift"] * min(each["size"], specs[-1].size)
        on = (x + far * math.cos(each["direction"]), y + far * math.sin(each["direction"]), 0.0)
        specs.append(ensemble.spec(place, own, on))
        shifts.append(each["shift"])
    return Ensemble(tuple(specs), {"shifts": shifts}, number["gravity"])


def build(drawn: Ensemble, scene: Scene, scratch: Path) -> Stage:
    """Return the scene: each object on the one before."""
    specs, top, files = [], 0.0, AssetFiles(scratch)
    for spec in drawn.specs:
        x, y, _ = spec.position
        specs.append(replace(spec, position=(x, y, top)))
        top += float(np.ptp(bodies.place(spec, scene.assets, files).outline[:, 2]))
    return ensemble.build(replace(drawn, specs=tuple(specs)), scene, scratch)


def truth(drawn: Ensemble, built: Stage, motion: Motion, scene: Scene) -> Truth:
    """Return what the clip records of itself."""
    told = {**drawn.told, "stands": bool(farthest(ensemble.states(motion)) <= STANDS_M)}
    return ensemble.truth(replace(drawn, told=told), built, motion, scene)


def farthest(states: Any) -> float:
    """Return how far the object has moved that has moved farthest, m."""
    places = states[:, :, :3].astype(float)
    return float(np.linalg.norm(places - places[0], axis=2).max())


def stands(written: Written, _scene: Scene) -> Mapping[str, Any]:
    """The stack stands if it is said to, and the highest object comes down if it is said to fall."""
    moved, said = farthest(written.states), written.truth["stands"]
    if said != (moved <= STANDS_M):
        raise CheckError(
            f"stands: an object moves by {moved:.3f} m, and the clip says that it {'stands' if said else 'falls'}"
        )
    return {"moved": rounded(moved), "stands": said}


CHECKS: tuple[Check, ...] = (stands,)
