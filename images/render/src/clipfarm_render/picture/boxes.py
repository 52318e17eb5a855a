"""Parts of the picture: as cells, as pixels, and as boxes that Cycles renders.

Each call of Cycles costs something beside its pixels, so few large boxes may cost less than many small ones. How many
there are follows from the machine, so no pixel's value may depend on the box that it was rendered in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the picture from ``left`` and ``top`` (included) to ``right`` and ``bottom`` (not included)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where the pixels lie in an array whose first axes are rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Part:
    """Some cells of a square picture."""

    cells: Mask
    """(count, count), rows from the top."""
    cell: int
    """Pixels along a cell's side."""
    size: int
    """Pixels along the picture's side; the last cells may reach beyond it."""

    @property
    def pixels(self) -> Mask:
        """(size, size) The pixels of the cells."""
        whole: Mask = self.cells.repeat(self.cell, axis=0).repeat(self.cell, axis=1)[: self.size, : self.size]
        return whole

    def boxes(self, call: float) -> tuple[Box, ...]:
        """Return boxes that hold all cells, at about the least cost.

        Args:
            call: what one box costs beside its pixels, in pixels.
        """
        price = call / self.cell**2
        lying = list(_bands(self.cells, price))
        standing = [Box(box.top, box.left, box.bottom, box.right) for box in _bands(self.cells.T, price)]
        best = min(lying, standing, key=lambda boxes: sum(_area(box) + price for box in boxes))
        return tuple(self._in_pixels(box) for box in best)

    def _in_pixels(self, box: Box) -> Box:
        left, top, right, bottom = (
            min(edge * self.cell, self.size) for edge in (box.left, box.top, box.right, box.bottom)
        )
        return Box(left, top, right, bottom)


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def _bands(cells: Mask, price: float) -> Iterator[Box]:
    """Yield one box of cells for each band of rows, so that areas and prices together are the least.

    Dynamic programming over the rows: the best for all rows above one, plus one more band down to it.
    """
    used = cells.any(axis=1)
    if not used.any():
        return
    count, width = cells.shape
    left = np.where(used, cells.argmax(axis=1), width)
    right = np.where(used, width - cells[:, ::-1].argmax(axis=1), 0)
    rows = np.flatnonzero(used)
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    least, start_of = np.full(count + 1, np.inf), np.zeros(count + 1, int)
    least[top] = 0
    for end in range(top + 1, bottom + 1):
        first = np.minimum.accumulate(left[top:end][::-1])[::-1]
        last = np.maximum.accumulate(right[top:end][::-1])[::-1]
        across = np.maximum(last - first, 0)
        # Rows without cells need no box.
        costs = least[top:end] + np.where(across > 0, across * (end - np.arange(top, end)) + price, 0)
        best = int(costs.argmin())
        least[end], start_of[end] = costs[best], top + best
    end = bottom
    while end > top:
        start = int(start_of[end])
        x0, x1 = int(left[start:end].min()), int(right[start:end].max())
        if x1 > x0:
            yield Box(x0, start, x1, end)
        end = start
