"""A batch's launch as one CUDA graph, for batches of a shape and size that came before."""

import torch
from torch import Tensor

from clipfarm_encode.models.base import OWN, Output
from clipfarm_encode.models.vjepa2.half import HalfModel

Asked = tuple[tuple[int, ...], Output]
"""Shape of a batch, and what is wanted of it."""


class Graphs:
    """A model whose batches are launched as a whole from the second one of a shape, size and output in a row.

    One graph is kept, with the memory that it computes in: of the batches that came last.
    """

    def __init__(self, model: HalfModel) -> None:
        self.model = model
        self._last: Asked | None = None
        self._captured: Captured | None = None
        self._impossible = False

    def __call__(self, video: Tensor, output: Output = OWN) -> tuple[tuple[Tensor, ...], Tensor]:
        """Compute on the current stream, which is not the default one; see :class:`HalfModel`."""
        asked = tuple(video.shape), output
        if self._captured is not None and self._captured.asked == asked:
            return self._captured(video)
        if asked == self._last and not self._impossible:
            self._captured = None
            try:
                self._captured = Captured(self.model, video, output)
            except (
                RuntimeError
            ):  # whatever is the matter, want of memory too: one by one it works, or says what is wrong
                self._impossible = True
            else:
                return self._captured(video)
        self._last = asked
        return self.model(video, output)

    def forget(self) -> None:
        """Give up what is kept."""
        self._last, self._captured = None, None


class Captured:
    """What a model launches for a batch, and the memory that this is about."""

    def __init__(self, model: HalfModel, like: Tensor, output: Output) -> None:
        """Capture, on the current stream; nothing is computed yet. The model has been called for this shape before."""
        self.asked = tuple(like.shape), output
        self._tables = model.tables(like)  # the graph has their addresses, and others may drop them
        self._video = torch.empty_like(like)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile, for other models or copies.
        self._graph.capture_begin(capture_error_mode="thread_local")
        try:
            self._results = model(self._video, output)
        finally:
            self._graph.capture_end()

    def __call__(self, video: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Compute. Pixels and results are copied on the device: the next batch may overwrite what the graph knows."""
        self._video.copy_(video)
        self._graph.replay()
        features, overflowed = self._results
        return tuple(each.clone() for each in features), overflowed.clone()
