"""Transparency: what an enlargement must not see, and must not invent."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ccsr.resample import Axis, ProjectedGrid, Size


def bleed(colour: Tensor, alpha: Tensor) -> Tensor:
    """Continue the visible colours under the pixels that are fully transparent.

    What a file stores there is arbitrary (often black or white) and would show as a fringe
    after any filter. Push-pull: means of the visible pixels over 2x2, 4x4, ... blocks, then
    from coarse to fine each hole takes the coarser mean.

    Args:
        colour: (C, h, w).
        alpha: (1, h, w); 0 marks the holes.

    Returns:
        (C, h, w), `colour` wherever `alpha` is above 0; all of it if nothing is visible.
    """
    visible = (alpha > 0).to(colour.dtype)
    if not visible.any():
        return colour
    return _fill((colour * visible)[None], visible[None])[0]


def _fill(colour: Tensor, weight: Tensor) -> Tensor:
    """`colour` where `weight` is 1; where it is 0 (and `colour` too), coarser means of it."""
    if bool(weight.all()):
        return colour
    both = F.avg_pool2d(torch.cat((colour, weight), 1), 2, ceil_mode=True)
    share = both[:, -1:]
    means = both[:, :-1] / share.clamp(min=1e-12)
    coarse = _fill(means, (share > 0).to(weight.dtype))
    coarse = F.interpolate(coarse, colour.shape[2:], mode="bilinear")
    return torch.where(weight > 0, colour, coarse)


def confine(enlarged: Tensor, alpha: Tensor, grid: ProjectedGrid) -> Tensor:
    """Clamp an enlarged alpha to the range of the input pixels around each output pixel.

    Opaque areas stay opaque and empty ones empty, to the last bit, and edges do not ring.

    Args:
        enlarged: (1, H, W).
        alpha: (1, h, w), what it was made of.
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
    """Largest value within `radius` pixels along one of the last two dimensions of (1, h, w)."""
    reach = (radius, 0) if dim == 1 else (0, radius)
    return F.max_pool2d(x, (2 * reach[0] + 1, 2 * reach[1] + 1), stride=1, padding=reach)
