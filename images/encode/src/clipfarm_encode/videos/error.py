"""What is wrong with a video."""


class VideoError(ValueError):
    """A video cannot be used; the message says why, in one line."""
