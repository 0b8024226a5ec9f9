"""Averages of one network's results: over other intermediate grids, and over flips and turns.

Every member reads the same output positions, so the average needs no alignment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ccsr.grid import Axis, ProjectedGrid, Size
from ccsr.suggest import near

Via = tuple[ProjectedGrid, ...]
Network = Callable[[Tensor, ProjectedGrid, Sequence[ProjectedGrid]], Tensor]

LARGEST = 9
FINER = 0.25  # each further intermediate grid is finer by so much of the network's own


class Symmetry(NamedTuple):
    """One of the eight flips and quarter turns of a square: flips first, then the transpose."""

    rows: bool
    columns: bool
    transposed: bool


SYMMETRIES = tuple(
    Symmetry(rows, columns, transposed)
    for transposed in (False, True)
    for rows in (False, True)
    for columns in (False, True)
)


@dataclass(frozen=True)
class Ensemble:
    """What to average over; by default nothing: the plain result.

    Attributes:
        scales: number of different intermediate grids, the network's own among them.
        flips: whether also over the eight flips and quarter turns of the image.
    """

    scales: int = 1
    flips: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.scales <= LARGEST:
            raise ValueError(
                f"an ensemble has 1 to {LARGEST} intermediate grids, got {self.scales}"
            )

    @classmethod
    def parse(cls, text: str) -> "Ensemble":
        """`scales:3`, `scales` (which means 3), `flips`, `scales:3,flips`, or nothing.

        Raises:
            ValueError: for anything else.
        """
        found = cls()
        for part in filter(None, text.split(",")):
            name, _, number = part.strip().partition(":")
            if name == "flips" and not number:
                found = replace(found, flips=True)
            elif name == "scales" and (number.isdecimal() or part.strip() == name):
                found = replace(found, scales=int(number or 3))
            else:
                raise ValueError(
                    f"ensemble must be scales, scales:N, flips or both with a comma, got {text!r}: "
                    f"{near(name, ('scales:3', 'flips'))}"
                )
        return found

    def routes(self, size: Size, via: Via) -> list[Via]:
        """The grids on the way of each member, the given ones first.

        Args:
            size: (h, w) of the input.
            via: the network's own, laid over the input; the encoder's, the first, stays.
        """
        own, *others = via
        factors = [1 + FINER * number for number in range(self.scales)]
        return [(own, *(_resized(each, size, factor) for each in others)) for factor in factors]

    def run(self, network: Network, x: Tensor, grid: ProjectedGrid, via: Via) -> Tensor:
        """The network's result (N, 3, H, W), averaged over the flips if they are wanted.

        Args:
            network: (x, grid, via) -> (N, 3, H, W).
            x: (N, 3, h, w).
            grid: laid over (h, w).
            via: likewise.
        """
        if not self.flips:
            return network(x, grid, via)
        total = torch.zeros((), device=x.device)
        for one in SYMMETRIES:
            there = [moved(each, x, one) for each in (grid, *via)]
            total = total + _undone(network(_done(x, one), there[0], there[1:]), one).float()
        return total / len(SYMMETRIES)


def moved(grid: ProjectedGrid, x: Tensor, symmetry: Symmetry) -> ProjectedGrid:
    """`grid` over `x` (N, C, h, w) as the grid of the same places over the moved `x`."""
    rows, columns = (
        flipped(axis, n) if flip else axis
        for axis, n, flip in zip((grid.rows, grid.columns), x.shape[2:], symmetry[:2], strict=True)
    )
    return ProjectedGrid(columns, rows) if symmetry.transposed else ProjectedGrid(rows, columns)


def flipped(axis: Axis, input_size: int) -> Axis:
    """The same positions, last first, counted from the other end of the input."""
    last = axis.first + axis.size - 1
    origin = input_size - 1 - axis.origin - last / axis.scale
    return replace(axis, origin=origin, first=0)


def _done(x: Tensor, symmetry: Symmetry) -> Tensor:
    x = x.flip(_flip_dims(symmetry)) if any(symmetry[:2]) else x
    x = x.mT if symmetry.transposed else x
    return x.contiguous(memory_format=torch.channels_last)


def _undone(y: Tensor, symmetry: Symmetry) -> Tensor:
    y = y.mT if symmetry.transposed else y
    return y.flip(_flip_dims(symmetry)) if any(symmetry[:2]) else y


def _flip_dims(symmetry: Symmetry) -> list[int]:
    return [dim for dim, flip in zip((-2, -1), symmetry[:2], strict=True) if flip]


def _resized(grid: ProjectedGrid, size: Size, factor: float) -> ProjectedGrid:
    if factor == 1:
        return grid
    rows, columns = (max(1, round(n * factor)) for n in grid.size)
    return ProjectedGrid.project(size, (rows, columns))
