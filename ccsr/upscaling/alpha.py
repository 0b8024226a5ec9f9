"""Transparency: what an enlargement must not see, and must not invent."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ccsr.grid import Axis, ProjectedGrid, Size
from ccsr.image import Levels, from_array, to_array

STRIP = 256  # rows that are floats at once, an even number


def bleed(colour: Levels, alpha: Levels) -> Levels:
    """Continue the visible colours under the pixels that are fully transparent.

    What a file stores there is arbitrary (often black or white) and would show as a fringe
    after any filter. Push-pull: means of the visible pixels over 2x2, 4x4, ... blocks, then
    from coarse to fine each hole takes the coarser mean. Only these means are ever whole as floats.

    Args:
        colour: (h, w, C), 8 or 16 bit.
        alpha: (h, w, 1); 0 marks the holes.

    Returns:
        (h, w, C), `colour` wherever `alpha` is above 0; all of it if nothing is visible.
    """
    if not alpha.any():
        return colour
    strips = [slice(top, top + STRIP) for top in range(0, len(colour), STRIP)]
    halves = [_halved(*_visible(colour[rows], alpha[rows])) for rows in strips]
    coarse = _fill(*(torch.cat(parts, 2) for parts in zip(*halves, strict=True)))
    filled = colour.copy()
    for rows in strips:
        first = max(rows.start // 2 - 1, 0)  # one more row of the means on each side
        near = coarse[:, :, first : rows.stop // 2 + 1]
        above = rows.start - 2 * first
        part = _doubled(near)[0, :, above : above + STRIP, : colour.shape[1]]
        part = part[:, : len(colour[rows])]
        filled[rows] = np.where(alpha[rows] > 0, colour[rows], to_array(part, colour))
    return filled


def _visible(colour: Levels, alpha: Levels) -> tuple[Tensor, Tensor]:
    """Floats (1, C, h, w), 0 in the holes, and (1, 1, h, w), 1 where there is none."""
    weight = torch.from_numpy(alpha.transpose(2, 0, 1) > 0).float()
    return (from_array(colour) * weight)[None], weight[None]


def _fill(colour: Tensor, weight: Tensor) -> Tensor:
    """`colour` where `weight` is 1; where it is 0 (and `colour` too), coarser means of it."""
    if bool(weight.all()):
        return colour
    coarse = _doubled(_fill(*_halved(colour, weight)))
    return torch.where(weight > 0, colour, coarse[..., : colour.shape[2], : colour.shape[3]])


def _halved(colour: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Means over 2x2 pixels of those whose weight is 1, and 1 where there is any."""
    both = F.avg_pool2d(torch.cat((colour, weight), 1), 2, ceil_mode=True)
    share = both[:, -1:]
    return both[:, :-1] / share.clamp(min=1e-12), (share > 0).to(weight.dtype)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def confine(enlarged: Tensor, alpha: Tensor, grid: ProjectedGrid) -> Tensor:
    """Clamp an enlarged alpha to the range of the input pixels around each output pixel.

    Opaque areas stay opaque and empty ones empty, to the last bit, and edges do not ring. Other
    channels than alpha may be treated so too.

    Args:
        enlarged: (C, H, W).
        alpha: (C, h, w), what it was made of.
        grid: laid over (h, w).
    """
    highest, lowest = alpha, -alpha
    for dim, axis in ((1, grid.rows), (2, grid.columns)):
        nearest = _nearest(axis, alpha.shape[dim])
        highest, lowest = (
            _running_max(x, dim, _radius(axis)).index_select(dim, nearest)
            for x in (highest, lowest)
        )
    return enlarged.clamp(-lowest, highest)


def surroundings(grid: ProjectedGrid, size: Size) -> tuple[slice, slice]:
    """The rows and columns of an input of `size` (h, w) that :func:`confine` looks at."""
    rows, columns = (
        slice(
            max(int(_nearest(axis, limit)[0]) - _radius(axis), 0),
            min(int(_nearest(axis, limit)[-1]) + _radius(axis) + 1, limit),
        )
        for axis, limit in zip((grid.rows, grid.columns), size, strict=True)
    )
    return rows, columns


def _nearest(axis: Axis, limit: int) -> Tensor:
    """The nearest pixel of each position, halves up, so that a shift of the input changes none."""
    return (axis.positions() + 0.5).floor().long().clamp(0, limit - 1)


def _radius(axis: Axis) -> int:
    return math.ceil(2 / axis.stretch)  # the reach of a cubic


def _running_max(x: Tensor, dim: int, radius: int) -> Tensor:
    """Largest value within `radius` pixels along one of the last two dimensions of (C, h, w)."""
    reach = (radius, 0) if dim == 1 else (0, radius)
    return F.max_pool2d(x, (2 * reach[0] + 1, 2 * reach[1] + 1), stride=1, padding=reach)
