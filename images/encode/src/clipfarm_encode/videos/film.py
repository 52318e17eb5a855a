"""A video file by PyAV: how long it is, and frames of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipfarm_encode.videos.error import VideoError
from clipfarm_encode.videos.sampling import SHARE_OF_A_FRAME, times

if TYPE_CHECKING:
    import av

SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts")
LEAST_BYTES = 16
"""Of a frame, with its entry in an index. A head that promises more frames than fit was never completed: its recorder
was switched off, for example."""
Picture = NDArray[np.uint8]


def length(path: Path) -> tuple[int, float]:
    """Return how many frames a video has, and how many a second.

    The file's head says it if it can; otherwise its packets are counted, which decodes none.

    Raises:
        VideoError: it is no video, or its head says no rate.
    """
    with _Opened(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        if not rate:
            raise VideoError("its frames a second are not known")
        frames = stream.frames
        if not 0 < frames <= path.stat().st_size / LEAST_BYTES:
            frames = sum(packet.size > 0 for packet in container.demux(stream))
        if frames < 1:
            raise VideoError("it has no frame")
        return frames, float(rate)


def read_film(path: Path, first: int, frames: int, fps: float) -> list[Picture]:
    """Return frames of a video as (height, width, 3) RGB: those shown at ``first / fps`` s, and each ``1 / fps`` s on.

    Raises:
        VideoError: it cannot be decoded, or ends before the last.
    """
    wanted = times(first, frames, fps)
    if first:
        found = _shown(path, wanted, seek=True)
        if found is not None:
            return found
    found = _shown(path, wanted, seek=False)
    assert found is not None, "from its beginning a video has every frame that it has"
    return found


def _shown(path: Path, wanted: list[float], *, seek: bool) -> list[Picture] | None:
    """Return the pictures shown at some times; None if seeking went past the first of them."""
    found: list[Picture] = []
    with _Opened(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0) or 1.0
        late = SHARE_OF_A_FRAME / rate
        origin = float((stream.start_time or 0) * stream.time_base)
        if seek:
            container.seek(int((origin + wanted[0]) / stream.time_base), stream=stream)
        shown: Any = None
        moment = 0.0
        for number, frame in enumerate(container.decode(stream)):
            if frame.time is None and seek:
                return None  # frames without times can only be counted from the beginning
            moment = number / rate if frame.time is None else frame.time - origin
            while len(found) < len(wanted) and moment > wanted[len(found)] + late:
                if shown is None and seek:
                    return None
                found.append(_picture(frame if shown is None else shown))
            if len(found) == len(wanted):
                return found
            shown = frame
        while shown is not None and len(found) < len(wanted) and wanted[len(found)] < moment + 1 / rate - late:
            found.append(_picture(shown))
    if len(found) < len(wanted):
        raise VideoError(f"it ends after {len(found)} of the clip's {len(wanted)} frames")
    return found


def _picture(frame: "av.VideoFrame") -> Picture:
    """Return a frame as it is to be shown: a phone's video may have to be turned."""
    picture = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return np.rot90(picture, frame.rotation // 90) if frame.rotation else picture


class _Opened:
    """A file and its first stream of pictures; all that FFmpeg says of it becomes a VideoError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> tuple[Any, Any]:
        import av  # here, because it takes a third of a second, and most encoders decode no video

        self._errors: type[Exception] = av.error.FFmpegError
        try:
            # A title may be in any encoding, and says nothing of the pictures.
            self._container = av.open(str(self._path), metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise VideoError(_reason(error)) from None
        try:
            stream = self._container.streams.video[0]
        except IndexError:
            self._container.close()
            raise VideoError("it has sound at most, and no pictures") from None
        stream.codec_context.thread_count = 1  # there is a process for each core
        return self._container, stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._container.close()
        if isinstance(error, self._errors):
            raise VideoError(_reason(error)) from None


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
