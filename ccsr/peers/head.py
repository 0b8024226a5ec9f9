"""What the heads of other papers share: every output pixel answers from the features near it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.grid import Axis, ProjectedGrid, is_remembered
from ccsr.model.stack import Stack


class Near(NamedTuple):
    """The feature pixels near each output index of one axis.

    Attributes:
        pixel: (taps, size) int64, clamped to the features.
        offset: (taps, size), position minus pixel, in feature pixels.
        kinds: (kinds,), the offsets that differ.
        kind: (taps, size) int64, which of them an offset is.
    """

    pixel: Tensor
    offset: Tensor
    kinds: Tensor
    kind: Tensor


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
        """No grids on the way: every output pixel reads the features directly."""
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
        rows = near(grid.rows, features.shape[2], features, taps=2)
        columns = near(grid.columns, features.shape[3], features, taps=2)
        cell = 2 * pixel_size(grid, features)
        prepared = self.prepare(features).movedim(1, -1).contiguous()  # (N, h, w, C')
        answers, areas = [], []
        for row, dy in zip(rows.pixel, rows.offset, strict=True):
            for column, dx in zip(columns.pixel, columns.offset, strict=True):
                read = prepared[:, row[:, None], column]  # (N, H, W, C')
                offset = torch.stack(torch.meshgrid(2 * dy, 2 * dx, indexing="ij"), -1)
                answers.append(self.answer(read, offset, cell))
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


def pixel_size(grid: ProjectedGrid, like: Tensor) -> Tensor:
    """(2,): height and width of an output pixel, in feature pixels."""
    axes = grid.rows, grid.columns
    return torch.stack([like.new_full((), 1 / axis.scale) for axis in axes])


def near(axis: Axis, limit: int, like: Tensor, taps: int) -> Near:
    """The nearest pixel per output index (`taps` 1), or the two around its position (2).

    Args:
        axis: laid over the features.
        limit: their number of pixels along it.
        like: gives the type and device of offsets.
        taps: 1 or 2.
    """
    return (_remembered if is_remembered(axis) else _near)(
        axis, limit, taps, like.dtype, like.device
    )


def _near(axis: Axis, limit: int, taps: int, dtype: torch.dtype, device: torch.device) -> Near:
    with torch.inference_mode(False):  # what is remembered may be met by gradients later
        position = axis.positions()
        first = (position + (0.5 if taps == 1 else 0)).floor().long()
        pixel = (first + torch.arange(taps, device="cpu")[:, None]).clamp(0, limit - 1)
        offset = position - pixel
        kinds, kind = torch.unique((offset * 1e5).round() / 1e5, return_inverse=True)
        return Near(
            pixel.to(device), offset.to(device, dtype), kinds.to(device, dtype), kind.to(device)
        )


# Made once per axis: a CUDA graph could not hold a copy from the processor's memory.
_remembered = lru_cache(maxsize=256)(_near)
