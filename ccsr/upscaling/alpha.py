"""Transparency: what an enlargement must not see, and must not invent."""

import math

import numpy as np
from numpy.typing import NDArray

from ccsr.grid import Axis, ProjectedGrid, Size
from ccsr.image import Levels
from ccsr.image.floats import Floats, store, to_floats

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
    coarse = _fill(*(np.concatenate(parts, 1) for parts in zip(*halves, strict=True)))
    filled = colour.copy()
    for rows in strips:
        first = max(rows.start // 2 - 1, 0)  # one more row of the means on each side
        near = coarse[:, first : rows.stop // 2 + 1]
        above = rows.start - 2 * first
        part = _doubled(near)[:, above : above + STRIP, : colour.shape[1]]
        store(part[:, : len(colour[rows])], filled[rows])
        np.copyto(filled[rows], colour[rows], where=alpha[rows] > 0)
    return filled


def _visible(colour: Levels, alpha: Levels) -> tuple[Floats, Floats]:
    """Floats (C, h, w), 0 in the holes, and (1, h, w), 1 where there is none."""
    weight = (alpha.transpose(2, 0, 1) > 0).astype(np.float32)
    return to_floats(colour) * weight, weight


def _fill(colour: Floats, weight: Floats) -> Floats:
    """`colour` where `weight` is 1; where it is 0 (and `colour` too), coarser means of it."""
    if weight.all():
        return colour
    coarse = _doubled(_fill(*_halved(colour, weight)))
    return np.where(weight > 0, colour, coarse[:, : colour.shape[1], : colour.shape[2]])


def _halved(colour: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Means over 2x2 pixels of those whose weight is 1, and 1 where there is any."""
    _, height, width = colour.shape
    both = np.concatenate((colour, weight))
    both = np.pad(both, ((0, 0), (0, height % 2), (0, width % 2)))
    total = both[:, ::2, ::2] + both[:, ::2, 1::2]
    total += both[:, 1::2, ::2]
    total += both[:, 1::2, 1::2]
    share = total[-1:]
    return total[:-1] / np.maximum(share, 1e-12), (share > 0).astype(np.float32)


def _doubled(x: Floats) -> Floats:
    """Linear between the pixels (C, h, w); their centres lie between two of the result."""
    return _doubled_rows(_doubled_rows(x.mT).mT)


def _doubled_rows(x: Floats) -> Floats:
    before = np.concatenate((x[:, :1], x[:, :-1]), 1)
    after = np.concatenate((x[:, 1:], x[:, -1:]), 1)
    y = np.empty((len(x), 2 * x.shape[1], x.shape[2]), x.dtype)
    for first, other in ((0, before), (1, after)):
        y[:, first::2] = x * np.float32(0.75) + other * np.float32(0.25)
    return y


def confine(enlarged: Floats, alpha: Floats, grid: ProjectedGrid) -> Floats:
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
            _running_max(x, dim, _radius(axis)).take(nearest, dim) for x in (highest, lowest)
        )
    return np.clip(enlarged, -lowest, highest)


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


def _nearest(axis: Axis, limit: int) -> NDArray[np.int64]:
    """The nearest pixel of each position, halves up, so that a shift of the input changes none."""
    return np.floor(axis.array() + 0.5).astype(np.int64).clip(0, limit - 1)


def _radius(axis: Axis) -> int:
    return math.ceil(2 / axis.stretch)  # the reach of a cubic


def _running_max(x: Floats, dim: int, radius: int) -> Floats:
    """Largest value within `radius` pixels along one of the last two dimensions of (C, h, w)."""
    x = np.moveaxis(x, dim, 0)
    size, width = len(x), 2 * radius + 1
    beyond = np.full((radius, *x.shape[1:]), -np.inf, x.dtype)
    run, length = np.concatenate((beyond, x, beyond)), 1  # the largest of `length` values from each
    while length < width:
        step = min(length, width - length)
        run = np.maximum(run[:-step], run[step:])
        length += step
    return np.moveaxis(run[:size], 0, dim)
