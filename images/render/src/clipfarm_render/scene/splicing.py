"""Motions cut together, for clips in which something impossible happens."""

import numpy as np
import numpy.typing as npt

from clipfarm_render.scene.motion import Motion, Trajectory

Array = npt.NDArray[np.float64]


def body(motion: Motion, place: int) -> tuple[Trajectory, Array]:
    """Return the motion of one body, and what it is given."""
    assert motion.given is not None
    return motion.trajectories[place], motion.given[:, place]


def resting(motion: Motion, place: int, frame: int) -> tuple[Trajectory, Array]:
    """Return a body that stays where it is in the frame before, and what holds it there."""
    trajectory, given = body(motion, place)
    rows = np.minimum(np.arange(motion.frames), frame - 1)
    still = Trajectory(
        trajectory.positions[rows],
        trajectory.quaternions[rows],
        trajectory.velocities[rows] * 0,
        trajectory.angular_velocities[rows] * 0,
    )
    return still, given[rows]


def spliced(before: Motion, then: Motion, names: list[list[str]], base: int, frame: int) -> Motion:
    """Return the motion of each body once, in the order of one part, of which ``base`` has all."""
    parts, late = (before, then), np.arange(before.frames) >= frame
    trajectories, visible, given = [], [], []
    for own, name in enumerate(names[base]):
        # Where a part does not have a body, it is not visible, and its place is that of the other part.
        places = [part.index(name) if name in part else None for part in names]
        both = [(parts[i], place) if place is not None else (parts[base], own) for i, place in enumerate(places)]
        rows = [motion.trajectories[place].states for motion, place in both]
        cut = np.where(late[:, None], rows[1], rows[0])
        trajectories.append(Trajectory(cut[:, :3], cut[:, 3:7], cut[:, 7:10], cut[:, 10:]))
        there = [motion.visible[:, place] & (places[i] is not None) for i, (motion, place) in enumerate(both)]
        visible.append(np.where(late, there[1], there[0]))
        if before.given is not None:
            impulses = [body(motion, place)[1] for motion, place in both]
            given.append(np.where(late[:, None], impulses[1], impulses[0]))
    hits = [hit for hit in before.collisions if hit.frame < frame]
    hits += [hit for hit in then.collisions if hit.frame >= frame]
    stacked = np.stack(given, axis=1) if given else None
    return Motion(tuple(trajectories), np.stack(visible, axis=1), tuple(hits), stacked)
