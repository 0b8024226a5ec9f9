"""The eight flips and quarter turns of a picture, and of the grids that are laid over it.

A network's results on all of them, turned back, read the same places, so that their mean needs no
alignment.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ccsr.grid import Axis, ProjectedGrid

if TYPE_CHECKING:  # slow to import, and not always there
    from torch import Tensor


class Symmetry(NamedTuple):
    """One of the eight flips and quarter turns of a square: flips first, then the transpose."""

    rows: bool
    columns: bool
    transposed: bool

    def do(self, x: "Tensor") -> "Tensor":
        """Flip and turn (N, C, h, w)."""
        import torch

        x = x.flip(self._dims) if self._dims else x
        x = x.mT if self.transposed else x
        return x.contiguous(memory_format=torch.channels_last)

    def undo(self, y: "Tensor") -> "Tensor":
        """The inverse of `do`."""
        y = y.mT if self.transposed else y
        return y.flip(self._dims) if self._dims else y

    def turned(self, x: NDArray[Any]) -> NDArray[Any]:
        """:meth:`do` for an array; the result is a view."""
        x = np.flip(x, tuple(self._dims))
        return x.mT if self.transposed else x

    def turned_back(self, y: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `turned`."""
        turned: NDArray[Any] = np.flip(y.mT if self.transposed else y, tuple(self._dims))
        return turned

    def grid(self, grid: ProjectedGrid, x: "Tensor") -> ProjectedGrid:
        """`grid` over `x` (N, C, h, w) as the grid of the same places over the moved `x`."""
        rows = flipped(grid.rows, x.shape[2]) if self.rows else grid.rows
        columns = flipped(grid.columns, x.shape[3]) if self.columns else grid.columns
        return ProjectedGrid(columns, rows) if self.transposed else ProjectedGrid(rows, columns)

    @property
    def _dims(self) -> list[int]:
        return [dim for dim, flip in ((-2, self.rows), (-1, self.columns)) if flip]


SYMMETRIES = tuple(
    Symmetry(rows, columns, transposed)
    for transposed in (False, True)
    for rows in (False, True)
    for columns in (False, True)
)


def flipped(axis: Axis, input_size: int) -> Axis:
    """The same positions, last first, counted from the other end of the input."""
    last = axis.first + axis.size - 1
    origin = input_size - 1 - axis.origin - last / axis.scale
    return replace(axis, origin=origin, first=0)
