"""Whether objects move as their labels say: ``make bench-physics``, four minutes.

Measured from the positions of ``ground_truth_states.npy``'s kind at the simulation's own 240 steps a second, for every
object, 12 coefficients of friction, 6 turns about the vertical axis and 2 masses. Each line of output is one JSON
object: name, value, goal, whether higher or lower is better, spread (half the distance between the largest and the
smallest sample), samples.

- ``physics_friction_error``: largest relative error of (deceleration / g) against the recorded friction; of the
  sphere while it slides
- ``physics_impulse_error``: largest relative error of the velocity after the push against impulse / mass
- ``physics_speed_without_friction``: largest relative change of speed of a body without friction
- ``physics_energy_gain``: largest gain of energy over any earlier moment, of the energy of the push; walls included
- ``physics_momentum_error``, ``physics_bounce_error``, ``physics_parting_error``, ``physics_slope_error``: of several
  bodies, see bench/physics_of_several.py

With ``--plot FILE`` it draws measured against recorded friction, the speed of one clip of each object, and below them
momentum, bounces and slopes.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import physics_of_several as several
from PIL import Image, ImageDraw, ImageFont

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_contract.experiment import SHAPES
from clipfarm_render.scene import arena, bodies, ground_truth, physics, stage
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Trajectory
from clipfarm_render.scene.sample import Push, Sample

FRICTIONS = (0.02, 0.05, 0.1, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.9)
RUNS = 40
"""Of each object, for its energy."""
TURNS = np.linspace(0, 1.5, 6)
COLOURS = {"cube": "#c0392b", "sphere": "#2471a3", "cylinder": "#1e8449", "cone": "#b7950b", "torus": "#7d3c98"}

Array = npt.NDArray[np.float64]


def main() -> None:
    """Measure, and draw where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as place:
        scratch = Path(place)
        measured = {shape: [measure(scratch, shape, friction) for friction in FRICTIONS] for shape in SHAPES}
        errors = [
            abs(value / friction - 1)
            for values in measured.values()
            for friction, at_once in zip(FRICTIONS, values, strict=True)
            for value in at_once
        ]
        tell("physics_friction_error", errors, goal=0.05)
        tell("physics_impulse_error", impulse_errors(scratch), goal=0.02)
        tell("physics_speed_without_friction", [speed_change(scratch, shape) for shape in SHAPES], goal=1e-3)
        gains = [energy_gain(scratch, shape, seed) for shape in SHAPES for seed in range(RUNS)]
        tell("physics_energy_gain", gains, goal=1e-3)
        momenta = list(several.momenta(scratch))
        tell("physics_momentum_error", [several.momentum_error(*pair) for pair in momenta], goal=1e-3)
        bounces = several.bounces(scratch)
        errors = [abs(again / restitution**2 - 1) for found in bounces.values() for restitution, again in found]
        tell("physics_bounce_error", errors, goal=0.01)
        tell("physics_parting_error", list(several.parting_errors(scratch)), goal=0.01)
        slopes = several.slopes(scratch)
        errors = [abs(shown - min(share, 1)) for found in slopes.values() for share, shown in found]
        tell("physics_slope_error", errors, goal=0.01)
        if arguments.plot:
            speeds = {shape: speed_of(run(scratch, sample_of(shape, 0.5), 180)) for shape in SHAPES}
            draw(arguments.plot, measured, speeds, Several(momenta, bounces, slopes))


def sample_of(shape: str, friction: float, **more: object) -> Sample:
    """Return a clip's values: 4 m/s after the push, through the middle of the arena."""
    push = Push(magnitude=8.0, direction=0.4, at_frame=1)
    base = Sample(1.3, (-1.0, -0.5), 0.0, (0.5, 0.1, 0.1), friction, 2.0, push, shape)
    return replace(base, **more)  # type: ignore[arg-type]


def run(scratch: Path, sample: Sample, frames: int) -> Trajectory:
    """Simulate at 240 frames a second."""
    body = bodies.make(sample, None, AssetFiles(scratch))
    built = stage.build([body], Camera(64), frames, STEP_RATE)
    world = physics.simulator(built.scene, scratch)
    return physics.simulate(world, body, sample.pushes, frames, STEP_RATE)


def measure(scratch: Path, shape: str, friction: float) -> list[float]:
    """Return deceleration / g for every turn and mass."""
    found = []
    for turn in TURNS:
        for mass in (0.8, 2.5):
            push = Push(magnitude=4.0 * mass, direction=0.4, at_frame=1)
            trajectory = run(scratch, sample_of(shape, friction, yaw=float(turn), mass=mass, push=push), 200)
            found.append(deceleration(trajectory, shape, friction))
    return found


def deceleration(trajectory: Trajectory, shape: str, friction: float) -> float:
    """Return deceleration / g from the positions after the push, before a wall, a standstill, or rolling."""
    states = ground_truth.states(trajectory).astype(np.float64)
    speed = np.linalg.norm(np.diff(states, axis=0), axis=1) * STEP_RATE
    free = (np.abs(states[1:]).max(axis=1) < arena.HALF_SIZE - 1.0) & (speed > 0.3)
    last = 2 + int(np.argmin(free[2:])) if not free[2:].all() else len(free)
    if shape == "sphere":  # it slides for 2 v / (7 friction g)
        last = min(last, 2 + int(2 / 7 * 4.0 / (friction * arena.GRAVITY) * STEP_RATE))
    way = np.linalg.norm(states[2:last] - states[2], axis=1)
    return float(-2 * np.polyfit(np.arange(len(way)) / STEP_RATE, way, 2)[0] / arena.GRAVITY)


def impulse_errors(scratch: Path) -> list[float]:
    """Return the relative error of the velocity of the first step after the push."""
    errors = []
    for shape in SHAPES:
        for mass in (0.5, 1.0, 2.0, 3.0):
            positions = run(scratch, sample_of(shape, 0.0, mass=mass), 4).positions
            velocity = np.linalg.norm(positions[2] - positions[1]) * STEP_RATE
            errors.append(abs(velocity / (8.0 / mass) - 1))
    return errors


def speed_change(scratch: Path, shape: str) -> float:
    """Return the relative change of speed without friction, until before the first wall."""
    trajectory = run(scratch, sample_of(shape, 0.0), 200)
    free = np.abs(trajectory.positions[:, :2]).max(axis=1) < arena.HALF_SIZE - 1.0
    speed = speed_of(trajectory)[2 : int(np.argmin(free)) if not free.all() else None]
    return float(np.ptp(speed) / speed[0])


def energy_gain(scratch: Path, shape: str, seed: int) -> float:
    """Return the largest rise of energy over any earlier moment after the push, walls included."""
    rng = np.random.default_rng(seed)
    push = Push(magnitude=12.5, direction=rng.uniform(0, math.tau), at_frame=1)
    sample = sample_of(shape, rng.uniform(0, 0.9), mass=rng.uniform(0.5, 3), push=push)
    trajectory = run(scratch, sample, 300)
    body = bodies.make(sample, None, AssetFiles(scratch))
    w, x, y, z = trajectory.quaternions.T
    turned = np.moveaxis(
        np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        ),
        2,
        0,
    )
    own = np.einsum("nji,nj->ni", turned, trajectory.angular_velocities)
    energy = (
        sample.mass / 2 * (trajectory.velocities**2).sum(axis=1)
        + (body.inertia * own**2).sum(axis=1) / 2
        + sample.mass * arena.GRAVITY * trajectory.positions[:, 2]
    )[2:]
    return float((energy - np.minimum.accumulate(energy)).max() / (push.magnitude**2 / 2 / sample.mass))


def speed_of(trajectory: Trajectory) -> Array:
    """Return the speed in the plane, m/s."""
    speed: Array = np.linalg.norm(trajectory.velocities[:, :2], axis=1)
    return speed


def tell(name: str, samples: Sequence[float], *, goal: float | None) -> None:
    """Print one measurement: the worst of the samples."""
    line = {"name": name, "value": round(max(samples), 6), "goal": goal, "better": "lower"}
    line |= {"spread": round((max(samples) - min(samples)) / 2, 6), "samples": len(samples)}
    print(json.dumps(line), flush=True)


@dataclass(frozen=True)
class Several:
    """What was measured of several bodies."""

    momenta: list[tuple[float, Array]]
    bounces: dict[str, list[tuple[float, float]]]
    slopes: dict[str, list[tuple[float, float]]]


class Axes:
    """One plot: a frame with numbers, into which points and lines are drawn."""

    def __init__(
        self, page: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, labels: tuple[str, str], high: Array
    ) -> None:
        self.page, (self.left, self.top), self.side, self.high = page, corner, 520, high
        left, top = corner
        self.font = ImageFont.load_default(20)
        page.rectangle((left, self.top, left + self.side, self.top + self.side), outline="#888888")
        page.text((left, top - 50), title, "black", ImageFont.load_default(24))
        page.text((left + self.side / 2, self.top + self.side + 52), labels[0], "black", self.font, anchor="mm")
        page.text((left + 12, self.top + 8), labels[1], "black", self.font)
        for part in np.linspace(0, 1, 6):
            x, y = self.at(part * high[0], part * high[1])
            page.text((x, self.top + self.side + 20), f"{part * high[0]:.2g}", "#444444", self.font, anchor="mm")
            page.text((left - 10, y), f"{part * high[1]:.2g}", "#444444", self.font, anchor="rm")
            page.line((left, y, left + self.side, y), "#eeeeee")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies on the page."""
        return self.left + x / self.high[0] * self.side, self.top + self.side * (1 - y / self.high[1])


def draw(path: Path, measured: dict[str, list[list[float]]], speeds: dict[str, Array], of_several: Several) -> None:
    """Draw all plots on one page."""
    image = Image.new("RGB", (2040, 1360), "white")
    page = ImageDraw.Draw(image)
    left = Axes(
        page, (90, 70), "Friction, measured against recorded", ("recorded", "deceleration / g"), np.array((1.0, 1.0))
    )
    page.line((*left.at(0, 0), *left.at(1, 1)), "#aaaaaa", 2)
    for number, (shape, values) in enumerate(measured.items()):
        for friction, at_once in zip(FRICTIONS, values, strict=True):
            for value in at_once:
                x, y = left.at(friction, value)
                x += 3 * (number - 2)  # beside each other, or the last would hide the others
                page.ellipse((x - 3, y - 3, x + 3, y + 3), outline=COLOURS[shape])
        page.text((120, 110 + 28 * number), shape, COLOURS[shape], left.font)
    right = Axes(
        page, (770, 70), "Speed after a push of 8 N s, 2 kg, friction 0.5", ("s", "m/s"), np.array((0.75, 5.0))
    )
    for shape, speed in speeds.items():
        points = [right.at(i / STEP_RATE, float(value)) for i, value in enumerate(speed)]
        page.line(points, COLOURS[shape], 3)
    page.text(right.at(0.34, 3.2), "5/7 of 4 m/s: the sphere rolls", COLOURS["sphere"], right.font)
    draw_several(page, of_several)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def draw_several(page: ImageDraw.ImageDraw, found: Several) -> None:
    """Draw momentum, bounces and slopes."""
    plot = Axes(page, (90, 750), "Momentum of two bodies that meet", ("before, N s", "after, N s"), np.array((12, 12)))
    page.line((*plot.at(0, 0), *plot.at(12, 12)), "#aaaaaa", 2)
    for before, momentum in found.momenta:
        dot(page, plot.at(before, float(momentum[-1, 0])), "#2471a3")
    plot = Axes(page, (770, 750), "Height of a bounce", ("restitution^2", "height, of the fall"), np.array((1.0, 1.0)))
    page.line((*plot.at(0, 0), *plot.at(1, 1)), "#aaaaaa", 2)
    for shape, points in found.bounces.items():
        for restitution, again in points:
            dot(page, plot.at(restitution**2, again), COLOURS[shape])
    plot = Axes(page, (1450, 750), "Friction on a ramp, of its slope", ("recorded", "shown"), np.array((1.25, 1.25)))
    page.line((*plot.at(0, 0), *plot.at(1, 1), *plot.at(1.25, 1)), "#aaaaaa", 2)
    for shape, points in found.slopes.items():
        for share, shown in points:
            dot(page, plot.at(share, shown), COLOURS[shape])


def dot(page: ImageDraw.ImageDraw, place: tuple[float, float], colour: str) -> None:
    """Draw one measurement."""
    x, y = place
    page.ellipse((x - 4, y - 4, x + 4, y + 4), outline=colour)


if __name__ == "__main__":
    main()
