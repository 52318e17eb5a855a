"""Which bodies have met, from the solver's contact points."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from clipfarm_render.scene.motion import Collision
from clipfarm_render.scene.sample import Vector3

APART = 10
"""Steps, of 1/2400 s: two things that have not touched for so long meet anew. What they give each other within as many
steps of their first touch is one hit: the solver may spread it over a few."""
SLIGHTEST = 0.1
"""A hit that changes the lighter body's speed by less, m/s, is none. In ``APART`` steps a body's own weight makes 0.04,
and Bullet gives nothing back below 0.2."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A contact point of two things in one step."""

    pair: tuple[str, str]
    position: Vector3
    """m"""
    normal: Vector3
    """Unit vector from the second to the first."""
    impulse: float
    """N s, along the normal."""
    whole: Vector3
    """N s, with what friction gives: from the second to the first."""


@dataclass(slots=True)
class _Hit:
    """Two things that touch."""

    first: int
    """Step of the first touch; below 0: they touched from the start."""
    last: int
    touches: list[Touch] = field(default_factory=list)


class Contacts:
    """Collects touches, step by step, into collisions."""

    def __init__(self, masses: Mapping[str, float], steps_a_frame: int) -> None:
        """Get ready.

        Args:
            masses: of all that moves, by name, kg.
            steps_a_frame: how many steps lie between two frames.
        """
        self._masses, self._steps_a_frame = masses, steps_a_frame
        self._open: dict[tuple[str, str], _Hit] = {}
        self._done: list[_Hit] = []

    def add(self, step: int, touches: Iterable[Touch]) -> None:
        """Take the touches of one step; steps count from 0."""
        for touch in touches:
            if touch.impulse <= 0:
                continue
            hit = self._open.get(touch.pair)
            if hit is None or step - hit.last > APART:
                hit = self._open[touch.pair] = _Hit(step if step else -APART, step)
                self._done.append(hit)
            hit.last = step
            if step - hit.first < APART:
                hit.touches.append(touch)

    def collisions(self) -> tuple[Collision, ...]:
        """Return all that met, in order."""
        found = (self._collision(hit) for hit in self._done if hit.touches)
        return tuple(each for each in found if each is not None)

    def _collision(self, hit: _Hit) -> Collision | None:
        impulses = np.array([touch.impulse for touch in hit.touches])
        total, pair = float(impulses.sum()), hit.touches[0].pair
        if total < SLIGHTEST * min(self._masses[name] for name in pair if name in self._masses):
            return None
        shares = impulses / total
        # Not by BLAS: its sums depend on its threads.
        x, y, z = (shares[:, None] * np.array([touch.position for touch in hit.touches])).sum(axis=0).tolist()
        normal = (shares[:, None] * np.array([touch.normal for touch in hit.touches])).sum(axis=0)
        nx, ny, nz = (normal / np.linalg.norm(normal)).tolist()
        frame = hit.first // self._steps_a_frame + 1
        return Collision(frame, pair, (x, y, z), (nx, ny, nz), total)
