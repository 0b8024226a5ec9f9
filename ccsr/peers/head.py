"""What the heads of other papers share: every output pixel answers from the features near it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.grid import Axis, ProjectedGrid
from ccsr.model.stack import Stack


class Near(NamedTuple):
    """The feature pixels near each output index of one axis.

    Attributes:
        pixel: (taps, size) int64, clamped to the features.
        offset: (taps, size), position minus pixel, in feature pixels.
    """

    pixel: Tensor
    offset: Tensor


class Head(Stack):
    """A head that answers for each output pixel from features at most two pixels away.

    It has no grids on the way. A subclass gives :meth:`colours`.

    Args:
        width: values that it holds for one output pixel at once; bounds the memory of inference.
    """

    out_channels = 3

    def __init__(self, width: int) -> None:
        super().__init__([])
        self.kernel_sizes = [4]  # the two nearest pixels, and one more around each
        self.widths = [width]

    def route(self, size: tuple[int, int], grid: ProjectedGrid) -> tuple[ProjectedGrid, ...]:
        """None: every output pixel reads the features directly."""
        return ()

    def forward(self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid]) -> Tensor:
        """(N, C, *via[0].size) -> (N, 3, H, W)."""
        return self.colours(x, grid.within(via[0]))

    def colours(self, features: Tensor, grid: ProjectedGrid) -> Tensor:
        """(N, C, h, w) -> (N, 3, H, W), at the positions of `grid`, which is laid over (h, w)."""
        raise NotImplementedError


class Ensemble(Head):
    """A head that answers from each of the four nearest pixels, and weighs by opposite areas.

    LIIF's local ensemble (Chen et al. 2021, section 3.2): an answer counts as much as the rectangle
    between the output pixel and the diagonally opposite feature pixel is large.
    """

    def colours(self, features: Tensor, grid: ProjectedGrid) -> Tensor:
        """See :meth:`Head.colours`."""
        rows = _near(grid.rows, features.shape[2], features)
        columns = _near(grid.columns, features.shape[3], features)
        cell = features.new_tensor([2 / grid.rows.scale, 2 / grid.columns.scale])
        prepared = self.prepare(features)
        answers, areas = [], []
        for row, dy in zip(*rows, strict=True):
            for column, dx in zip(*columns, strict=True):
                near = prepared[:, :, row][..., column]  # (N, C, H, W)
                offset = torch.stack(torch.meshgrid(2 * dy, 2 * dx, indexing="ij"), -1)
                answers.append(self.answer(near.movedim(1, -1), offset, cell))
                areas.append(offset.prod(-1).abs() + 1e-9)
        total = torch.stack(areas).sum(0)
        weighed = [
            answer * (area / total)[..., None]
            for answer, area in zip(answers, reversed(areas), strict=True)
        ]
        return torch.stack(weighed).sum(0).movedim(-1, 1)

    def prepare(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h, w): what an answer reads at one pixel."""
        return features

    def answer(self, near: Tensor, offset: Tensor, cell: Tensor) -> Tensor:
        """Colours from one pixel's features.

        Args:
            near: (N, H, W, C').
            offset: (H, W, 2), output position minus pixel; a feature pixel is 2 wide, as the
                papers count.
            cell: (2,), height and width of an output pixel, likewise.

        Returns:
            (N, H, W, 3).
        """
        raise NotImplementedError


def mlp(inputs: int, hidden: int, layers: int, outputs: int = 3) -> nn.Sequential:
    """`layers` hidden layers with ReLU, and a last one."""
    parts: list[nn.Module] = []
    for width in (inputs, *[hidden] * (layers - 1)):
        parts += [nn.Linear(width, hidden), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(hidden, outputs))


def unfolded(features: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, 9 C, h, w): each pixel with its neighbours, zeros beyond the border."""
    return F.unfold(features, 3, padding=1).reshape(len(features), -1, *features.shape[2:])


def nearest(axis: Axis, limit: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Per output index the pixel that it lies in, and its offset from the pixel's centre.

    Returns:
        (size,) int64, clamped to `limit` pixels; (size,) in feature pixels, of the type of `like`.
    """
    position = axis.positions()
    pixel = (position + 0.5).floor().long().clamp(0, limit - 1)
    return pixel.to(like.device), (position - pixel).to(like)


def _near(axis: Axis, limit: int, like: Tensor) -> Near:
    """The two nearest pixels per output index."""
    position = axis.positions()
    pixel = (position.floor().long() + torch.arange(2)[:, None]).clamp(0, limit - 1)
    return Near(pixel.to(like.device), (position - pixel).to(like))
