"""Looks: how what stands still in an experiment is seen. Physics does not depend on it.

The background of a run is rendered once for each look (``clipfarm_render.picture.background``), so a law of few values
costs less than one of all values between two.
"""

import math
from collections.abc import Iterator, Mapping

from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Choice, Law, Uniform

CAMERA = ("cameraAzimuth", "cameraElevation", "cameraDistance")
AZIMUTH, ELEVATION, DISTANCE = 0.0, 45.0, 14.0
"""Of the usual camera: degrees, degrees, m."""
NEAREST, FARTHEST = 14.0, 20.0
"""m. Farther away, the picture would show where the floor ends."""
SURE = 15.0
"""m. From there on the arena is in view as a whole from every side."""
VIEW = 16 / 35
"""Half the width of the picture, at a distance of 1: a sensor of 32 mm behind a lens of 35 mm."""
HALF_SIZE, WALL_HEIGHT = 4.2, 0.35
"""Of the arena, m; as the renderer has them."""
MOST_KEPT_BYTES = 2 * 2**30
"""What the backgrounds that a run keeps may take on disk, beside the newest one."""
BYTES_PER_PIXEL = 76
"""Of a background: five pictures and two maps of three numbers or one, of 4 bytes each, a pixel."""
FRAMES = 17
"""A background takes as long as so many full frames: one of 16 times the samples, and one of a frame's own."""
WORTH_FRAMES = 20
"""In a clip of fewer frames, a background for this clip alone takes longer than it saves: a frame over it takes some
15 % of a full one (bench/RESULTS.md)."""
STEP = 5.0
"""Degrees between the angles that are tried of a law of all angles between two."""


def camera(
    azimuth: float = 180.0, elevation: tuple[float, float] = (35.0, 80.0), *, why: tuple[str, str] = ("", "")
) -> tuple[Factor, ...]:
    """Return the factors of the camera, which looks at the middle of the arena's floor.

    Args:
        azimuth: the most that it may be, to either side, degrees.
        elevation: the least and the most that it may be, degrees. Lower, the picture would show the end of the floor.
        why: what their bounds are for, to follow their meanings.
    """
    return (
        Factor(
            "cameraAzimuth",
            "Angle of the camera about the vertical axis, counter-clockwise as seen from above; at 0, x is to the right"
            f" in the picture{why[0]}",
            Uniform(AZIMUTH, AZIMUTH),
            "degrees",
            -azimuth,
            azimuth,
            look=True,
        ),
        Factor(
            "cameraElevation",
            f"Angle of the camera above the floor{why[1]}",
            Uniform(ELEVATION, ELEVATION),
            "degrees",
            *elevation,
            look=True,
        ),
        Factor(
            "cameraDistance",
            "Distance of the camera from the middle of the floor",
            Uniform(DISTANCE, DISTANCE),
            "m",
            NEAREST,
            FARTHEST,
            look=True,
        ),
    )


LIGHT = (
    Factor(
        "lightAzimuth",
        "Angle by which the suns are turned about the vertical axis, counter-clockwise as seen from above; at 0, the"
        " brighter one shines from the left and from a little behind the usual camera",
        Uniform(0, 0),
        "degrees",
        -180,
        180,
        look=True,
    ),
    Factor(
        "lightIntensity",
        "Strength of the suns, in parts of their usual one; the light of the sky stays as it is",
        Uniform(1, 1),
        "",
        0.25,
        1.5,
        look=True,
    ),
)

FLOORS = ("tiles", "plain", "checker", "planks")
"""Materials of the floor. All are light, so that every object stands out from each, and none mirrors."""
FLOOR = Factor(
    "floor",
    "Material of the arena's floor: tiles of 0.7 m with dark joints, one plain tone, a checkerboard of 1.4 m, or planks"
    " of wood",
    Choice(FLOORS[:1]),
    names=FLOORS,
    look=True,
)


def position(azimuth: float, elevation: float, distance: float) -> tuple[float, float, float]:
    """Return the place of a camera, x, y and z, m; angles in degrees."""
    around, up = math.radians(azimuth), math.radians(elevation)
    across = distance * math.cos(up)
    return across * math.sin(around), -across * math.cos(around), distance * math.sin(up)


def problem(laws: Mapping[str, Law]) -> str | None:
    """Return why some camera of these laws does not see the whole arena, by its factor; None if all do."""
    if not {*CAMERA} <= laws.keys():
        return None
    distance, most = laws["cameraDistance"].extremes
    if distance >= SURE or distance < NEAREST or most > FARTHEST:  # the last two are refused as such, or wanted so
        return None
    for azimuth in _tried(laws["cameraAzimuth"]):
        for elevation in _tried(laws["cameraElevation"]):
            if not sees_all(azimuth, elevation, distance):
                return (
                    f"cameraDistance: found {distance:g}, expected {SURE:g} or more, so that the whole arena is in view"
                    f" from azimuth {azimuth:g} and elevation {elevation:g}"
                )
    return None


def sees_all(azimuth: float, elevation: float, distance: float) -> bool:
    """Return whether the arena is in view as a whole, from corner to corner of its walls."""
    around, up = math.radians(azimuth), math.radians(elevation)
    for x in (-HALF_SIZE, HALF_SIZE):
        for y in (-HALF_SIZE, HALF_SIZE):
            right = x * math.cos(around) + y * math.sin(around)
            away = y * math.cos(around) - x * math.sin(around)
            for z in (0.0, WALL_HEIGHT):
                depth = distance + away * math.cos(up) - z * math.sin(up)
                above = away * math.sin(up) + z * math.cos(up)
                if max(abs(right), abs(above)) > VIEW * depth:
                    return False
    return True


def count(declaration: Declaration, laws: Mapping[str, Law], *, camera: bool = True) -> int | None:
    """Return how many looks clips with these laws have; None if every clip may have one of its own.

    Args:
        declaration: of the experiment.
        laws: of its factors.
        camera: whether the camera's factors count.
    """
    looks = 1
    for factor in declaration.factors:
        if factor.look and (camera or factor.name not in CAMERA):
            law = laws[factor.name]
            if isinstance(law, Choice):
                looks *= len(set(law.values))
            elif law.min != law.max:
                return None
    return looks


def varied(declaration: Declaration, laws: Mapping[str, Law]) -> tuple[str, ...]:
    """Return the factors of the look of which any value between two may come."""
    return tuple(
        factor.name
        for factor in declaration.factors
        if factor.look and not isinstance(law := laws[factor.name], Choice) and law.min != law.max
    )


def _tried(law: Law) -> Iterator[float]:
    """Yield the angles of a law: all of them, or some that are near enough to each other."""
    if isinstance(law, Choice):
        yield from (float(value) for value in law.values)
        return
    steps = math.ceil((law.max - law.min) / STEP)
    yield from (law.min + (law.max - law.min) * step / max(steps, 1) for step in range(steps + 1))
