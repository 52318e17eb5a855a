"""The push experiment as the renderer reads it, in JSON's terms."""

from typing import Any

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
