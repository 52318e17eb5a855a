"""When an impossible event happens so that it is seen.

A body may vanish behind a screen: that is seen when it does not come out. If it never would have come out in the clip,
the impossible clip looks like the possible one.
"""

import numpy as np
import numpy.typing as npt
from pyquaternion import Quaternion

from clipfarm_render.job import ClipError
from clipfarm_render.scene import sight
from clipfarm_render.scene.motion import Motion
from clipfarm_render.scene.stage import Stage

SHOWN = 1 / 3
"""Share of the points around a body that the camera has to see. A quarter is one edge of a cube: hardly a pixel."""

Mask = npt.NDArray[np.bool_]


def shown(stage: Stage, motion: Motion, place: int, frames: int) -> Mask:
    """Return (frames,) whether the camera sees a body."""
    trajectory, points = motion.trajectories[place], stage.bodies[place].outline
    found = np.zeros(frames, np.bool_)
    for frame in np.flatnonzero(motion.visible[:frames, place]):
        axes = Quaternion(trajectory.quaternions[frame]).rotation_matrix
        there = points @ axes.T + trajectory.positions[frame]
        found[frame] = sight.sees(stage.camera, stage.fixtures, there).mean() >= SHOWN
    return found


def nearest(frame: int, seen: Mask) -> int:
    """Return the frame next to this one, so that what changes in it is seen before, and would be seen after.

    Args:
        frame: that was drawn.
        seen: (frames,) whether the body that changes is seen in one of the two possible clips.

    Raises:
        ClipError: there is none.
    """
    found = [at for at in range(1, len(seen)) if seen[:at].any() and seen[at:].any()]
    if not found:
        raise ClipError(
            "violations: the object that changes is seen in no two frames, so nothing impossible would be; give the"
            " clip more frames, or another camera"
        )
    return min(found, key=lambda at: (abs(at - frame), at))
