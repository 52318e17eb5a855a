"""``collide``: an object that slides over the floor meets another one at rest.

``body_0`` moves, ``body_1`` rests. Momentum is conserved but for what the floor's friction takes, and the objects part
at ``restitution`` of the speed of their hit, along its normal: each has the square root of it as its own coefficient,
because Bullet multiplies the two. Files: see :mod:`clipfarm_render.experiments.ensemble`.
"""

import math
from collections.abc import Mapping
from typing import Any

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble, build, move, truth
from clipfarm_render.experiments.story import Another, Values

__all__ = ["CHECKS", "build", "draw", "move", "truth"]


def draw(values: Values, another: Another, _scene: Scene) -> Ensemble:
    """Return a clip's ensemble."""
    number, other = ensemble.numbers(values), another(1)
    cosine, sine = math.cos(number["direction"]), math.sin(number["direction"])
    aside = number["offset"] * (number["size"] + ensemble.numbers(other)["size"]) / 2
    back = math.sqrt(number["distance"] ** 2 - aside**2)
    start = (number["x"] - back * cosine - aside * sine, number["y"] - back * sine + aside * cosine, 0.0)
    own = math.sqrt(number["restitution"])
    specs = (
        ensemble.spec(0, values, start, restitution=own),
        ensemble.spec(1, other, (number["x"], number["y"], 0.0), restitution=own),
    )
    velocity = (number["speed"] * cosine, number["speed"] * sine, 0.0)
    told = {
        "restitution": number["restitution"],
        "speed": number["speed"],
        "direction": number["direction"],
        "offset": number["offset"],
    }
    return Ensemble(specs, told, number["gravity"], velocities={0: velocity}, settle=True)


def meet(written: Written, _scene: Scene) -> Mapping[str, Any]:
    """The two objects meet."""
    hits = [hit for hit in written.truth["events"]["collisions"] if hit["bodies"] == ["body_0", "body_1"]]
    if not hits:
        raise CheckError(
            "meet: body_0 never reaches body_1; give speed a larger least value, friction a smaller largest one, or the"
            " clip more frames"
        )
    return {"frame": hits[0]["frame"], "impulse": round(hits[0]["impulse"], 4)}


CHECKS: tuple[Check, ...] = (meet,)
