"""Which frames of a video a clip gets: arithmetic alone."""

import math
from collections.abc import Sequence

SHARE_OF_A_FRAME = 0.25
"""How much later than asked a frame may be shown and still count, in frames: containers round times. So the last frame
is not asked for in the last part of the time in which it is shown."""


def true_rate(moments: Sequence[float], rate: float) -> float:
    """Return how many frames a second a video has.

    Args:
        moments: when its frames are shown, seconds, ascending.
        rate: what its head says; kept if the frames come when it says.
    """
    count, seconds = len(moments), moments[-1] - moments[0]
    if seconds <= 0 or abs(seconds - (count - 1) / rate) <= SHARE_OF_A_FRAME / rate:
        return rate
    step = seconds / (count - 1)
    if all(abs(each - moments[0] - i * step) < SHARE_OF_A_FRAME * step for i, each in enumerate(moments)):
        return 1 / step
    # So that no frame is asked for later than the last is shown: frames that come at odd times say no end of it.
    return (count - SHARE_OF_A_FRAME) / seconds


def lasting(apart: float, rate: float) -> float:
    """Return how long a frame is shown, seconds.

    Args:
        apart: seconds from the frame before to this one.
        rate: what the video's head says; kept unless the times of the two disagree with it.
    """
    return 1 / rate if apart <= 0 or abs(apart * rate - 1) <= SHARE_OF_A_FRAME else apart


def lateness(apart: float, rate: float, tick: float) -> float:
    """Return how much later than asked a frame may be shown and still count, seconds.

    Args:
        apart: seconds from the frame before to this one.
        rate: what the video's head says.
        tick: what times are rounded to, seconds. The frame's and the first one's are, so it may be two ticks late.
    """
    said = SHARE_OF_A_FRAME / rate
    shown = lasting(apart, rate)
    return said if shown == 1 / rate else min(SHARE_OF_A_FRAME * shown, max(said, 2 * tick))


def sampled(count: int, rate: float, fps: float) -> int:
    """Return how many frames a video of ``count`` frames at ``rate`` a second has at ``fps``."""
    return math.ceil((count - SHARE_OF_A_FRAME) * fps / rate)


def beginnings(count: int, frames: int, stride: int) -> range:
    """Return where clips of so many frames begin in a video; what is left at its end is in none."""
    return range(0, count - frames + 1, stride)


def times(first: int, frames: int, fps: float) -> list[float]:
    """Return when the frames of a clip are shown, seconds from the video's beginning."""
    return [(first + k) / fps for k in range(frames)]
