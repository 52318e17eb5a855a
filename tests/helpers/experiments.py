"""The push experiment as the renderer reads it, in JSON's terms."""

import json
from typing import Any

from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.experiments.reading import Declared

PUSH: dict[str, Any] = {
    "name": "push",
    "frames": 16,
    "fps": 30,
    "resolution": 256,
    "samplesPerPixel": 64,
    "layers": ["rgb"],
    "objects": ["cube"],
    "impulse": {"min": 12, "max": 13, "atFrame": 1},
    "preview": True,
    "phases": [
        {
            "name": "A1",
            "clips": {"start": 0, "end": 99},
            "friction": {"min": 0.5, "max": 0.9},
            "mass": {"min": 0.5, "max": 3},
        }
    ],
}

TINY = PUSH | {"frames": 4, "resolution": 64, "samplesPerPixel": 4}


def declared(**changes: Any) -> Declared:
    """Return PUSH as the renderer reads it, with some fields replaced, those of its phase by ``phase``.

    A field is left out if its value is ``...``.
    """
    phase = PUSH["phases"][0] | changes.pop("phase", {})
    phase = {name: value for name, value in phase.items() if value is not ...}
    whole = {name: value for name, value in (PUSH | {"phases": [phase]} | changes).items() if value is not ...}
    return Declared.from_json(json.dumps(whole))


def make_recipe(index: int = 7, seed: int = 42, **changes: Any) -> ClipRecipe:
    """Return the recipe of a clip of PUSH, whose frames are not composited; ``changes`` as in :func:`declared`."""
    return declared(**changes).experiment().recipe(seed, index)
