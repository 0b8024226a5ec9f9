"""Whether the cells of the input's pixels show in a result at a large factor."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ccsr.analysis.scoring import Enlarger
from ccsr.grid import ProjectedGrid, size_of


def bends(upscaler: Enlarger, pictures: Sequence[Tensor], factor: int) -> Tensor:
    """How much a result bends at each place within a cell, the part that one input pixel covers.

    Args:
        upscaler: to measure.
        pictures: (3, h, w) in [0, 1].
        factor: output over input, a whole number; a cell is so many output pixels wide.

    Returns:
        (2, factor): mean |second difference| over all cells and pictures, along columns and along
        rows; the first and the last lie at the borders of cells.
    """
    sums = torch.zeros(2, factor)
    for picture in pictures:
        size = size_of(picture)
        grid = ProjectedGrid.project(size, (size[0] * factor, size[1] * factor))
        y = upscaler.tensor(picture, grid=grid)
        for dim in (1, 2):
            second = y.diff(dim=dim, n=2).abs().movedim(dim, 0).flatten(1).mean(1)
            second = second[factor - 1 : -factor + 1]  # [i] is centred on output i + factor
            whole = len(second) // factor * factor
            sums[dim - 1] += second[:whole].view(-1, factor).mean(0)
    return sums / len(pictures)


def border_ratio(bent: Tensor) -> tuple[float, float]:
    """The smallest and the largest of what `bends` found at borders, over the median in cells.

    Each is the mean of both borders of a cell, along one axis; 1 where no border shows.
    """
    ratio = bent[:, [0, -1]].mean(1) / bent.median(1).values
    return float(ratio.min()), float(ratio.max())
