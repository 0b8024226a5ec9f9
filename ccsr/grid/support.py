"""The input pixels that a kernel covers at each position of an axis."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ccsr.grid.projected_grid import Axis, position

if TYPE_CHECKING:  # slow to import, and not always there
    from torch import Tensor

# What depends on the positions of an axis alone is made once up to so many outputs that lie over
# so many input pixels.
REMEMBERED, REMEMBERED_PIXELS = 512, 8192


def is_traced() -> bool:
    """Whether a program is being made of what torch computes now: values must not decide then."""
    import torch

    jit: Any = torch.jit
    return bool(torch.compiler.is_compiling() or jit.is_tracing())


def is_remembered(axis: Axis) -> bool:
    """Whether tensors that depend on the positions of an axis alone are kept for the next time.

    They are if they are small, and hold numbers: not while a program is traced, and not in a mode
    where tensors stand for others, such as those of `FakeTensorMode`, which outside mean nothing.
    """
    import torch

    if is_traced():
        return False
    small = axis.size <= min(REMEMBERED, REMEMBERED_PIXELS * axis.scale)
    return small and type(torch.empty(0, device="cpu")) is torch.Tensor


def first_pixel(position: Any, reach: Any) -> Any:
    """The first of the pixels that lie within `reach` of a position, a number or a tensor."""
    return (position - reach) // 1 + 1  # a floor that values of a graph have too


class Neighbours(NamedTuple):
    """Input pixels under a kernel, per output index.

    Attributes:
        pixel: (size, taps) int64, may lie outside the input: clamp it (borders replicate).
        offset: (size, taps) float64, pixel minus position, in input pixels, times
            `axis.stretch`: what a kernel is evaluated at, within +-kernel_size/2.
    """

    pixel: "Tensor"
    offset: "Tensor"


def neighbours(axis: Axis, kernel_size: int) -> Neighbours:
    """The `kernel_size` nearest pixels of each position; `kernel_size / scale` when reducing.

    All rows list the same number of taps. Those beyond the support have offsets beyond
    `kernel_size / 2`, where every kernel of this package is zero.
    """
    import torch

    positions = axis.positions()
    first = first_pixel(positions, _reach(axis, kernel_size)).long()
    pixel = first[:, None] + torch.arange(_taps(axis, kernel_size), device="cpu")
    return Neighbours(pixel, (pixel - positions[:, None]) * axis.stretch)


def array_neighbours(axis: Axis, kernel_size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What :func:`neighbours` gives, as arrays, for what does without torch."""
    positions = axis.array()
    first = first_pixel(positions, _reach(axis, kernel_size)).astype(np.int64)
    pixel = first[:, None] + np.arange(_taps(axis, kernel_size))
    return pixel, (pixel - positions[:, None]) * axis.stretch


def reach(axis: Axis, kernel_size: int) -> tuple[int, int]:
    """First and one past the last pixel among the :func:`neighbours` of an axis.

    In plain numbers: no tensor's value is read, so it may be called while a program is traced.
    """
    first, last = (
        int(first_pixel(position(index, axis.origin, axis.scale), _reach(axis, kernel_size)))
        for index in (axis.first, axis.first + axis.size - 1)
    )
    return first, last + _taps(axis, kernel_size)


def _reach(axis: Axis, kernel_size: int) -> float:
    return kernel_size / (2 * axis.stretch)


def _taps(axis: Axis, kernel_size: int) -> int:
    return math.ceil(kernel_size / axis.stretch - 1e-9)
