"""What moves in a clip, frame by frame, and what it meets."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """An object's motion, one row a frame."""

    positions: Array
    """(frames, 3) centre of mass, m."""
    quaternions: Array
    """(frames, 4) rotation as w, x, y, z."""
    velocities: Array
    """(frames, 3) m/s."""
    angular_velocities: Array
    """(frames, 3) radians/s."""

    def first(self, frames: int) -> "Trajectory":
        """Return the first rows."""
        return Trajectory(
            self.positions[:frames],
            self.quaternions[:frames],
            self.velocities[:frames],
            self.angular_velocities[:frames],
        )

    @property
    def states(self) -> Array:
        """(frames, 13) position, rotation as w, x, y, z, velocity, and angular velocity."""
        parts = (self.positions, self.quaternions, self.velocities, self.angular_velocities)
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True)
class Collision:
    """Two things that meet."""

    frame: int
    """The first frame that shows them after they have met."""
    bodies: tuple[str, str]
    """Names, as of ``ground_truth.json``'s bodies; the second may be ``floor``, ``wall`` or a fixture."""
    position: tuple[float, float, float]
    """Where they touch, m."""
    normal: tuple[float, float, float]
    """Unit vector from the second to the first."""
    impulse: float
    """Along the normal, N s: what the second gives the first."""


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion of all bodies of a clip, in the order of the stage's."""

    trajectories: tuple[Trajectory, ...]
    visible: npt.NDArray[np.bool_]
    """(frames, bodies) whether a body is there."""
    collisions: tuple[Collision, ...] = ()
    """In the order in which they happen."""
    given: Array | None = None
    """(frames, bodies, 3) impulse that all that stands still has given each body since the frame before, N s: of floor,
    walls and fixtures, friction included; None if it was not recorded."""

    @classmethod
    def of(cls, *trajectories: Trajectory) -> "Motion":
        """Return the motion of bodies that are there on every frame."""
        return cls(trajectories, np.ones((len(trajectories[0].positions), len(trajectories)), np.bool_))

    @classmethod
    def empty(cls, frames: int) -> "Motion":
        """Return the motion of no bodies."""
        return cls((), np.ones((frames, 0), np.bool_), given=np.zeros((frames, 0, 3)))

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return len(self.visible)

    def first(self, frames: int) -> "Motion":
        """Return the first frames."""
        return replace(
            self,
            trajectories=tuple(each.first(frames) for each in self.trajectories),
            visible=self.visible[:frames],
            given=None if self.given is None else self.given[:frames],
            collisions=tuple(each for each in self.collisions if each.frame < frames),
        )

    def stands_still(self, frame: int) -> bool:
        """Return whether everything is just where it was in the frame before."""
        if frame == 0 or (self.visible[frame] != self.visible[frame - 1]).any():
            return False
        moving = [each for each, there in zip(self.trajectories, self.visible[frame], strict=True) if there]
        columns = [column for each in moving for column in (each.positions, each.quaternions)]
        return all(bool((column[frame] == column[frame - 1]).all()) for column in columns)
