"""Which frames of a video a clip gets: arithmetic alone."""

import math

SHARE_OF_A_FRAME = 0.25
"""How much later than asked a frame may be shown and still count, in frames: containers round times. So the last frame
is not asked for in the last part of the time in which it is shown."""


def true_rate(count: int, seconds: float, rate: float) -> float:
    """Return how many frames a second a video has.

    Args:
        count: of its frames.
        seconds: from the moment at which its first frame is shown to that of its last.
        rate: what its head says; kept if the frames come when it says.
    """
    if seconds <= 0 or abs(seconds - (count - 1) / rate) <= SHARE_OF_A_FRAME / rate:
        return rate
    # So that no frame is asked for later than the last is shown: frames that come at odd times say no end of it.
    return (count - SHARE_OF_A_FRAME) / seconds


def sampled(count: int, rate: float, fps: float) -> int:
    """Return how many frames a video of ``count`` frames at ``rate`` a second has at ``fps``."""
    return math.ceil((count - SHARE_OF_A_FRAME) * fps / rate)


def beginnings(count: int, frames: int, stride: int) -> range:
    """Return where clips of so many frames begin in a video; what is left at its end is in none."""
    return range(0, count - frames + 1, stride)


def times(first: int, frames: int, fps: float) -> list[float]:
    """Return when the frames of a clip are shown, seconds from the video's beginning."""
    return [(first + k) / fps for k in range(frames)]
