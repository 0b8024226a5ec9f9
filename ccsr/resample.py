"""Resizing with fixed kernels, such as cubic and Lanczos, at the positions of a grid."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ccsr.grid import (
    REMEMBERED,
    Axis,
    ProjectedGrid,
    Size,
    array_neighbours,
    neighbours,
    reach,
    size_of,
)

if TYPE_CHECKING:  # slow to import, and not always there
    import torch
    from torch import Tensor

Values = TypeVar("Values", "Tensor", NDArray[Any])

Kernel = Literal["cubic", "lanczos", "linear", "box"]

BLOCK = 64  # outputs per axis that share one dense matrix in `resize`


def _library(x: Any) -> Any:
    """Numpy for arrays; torch for tensors, and for what stands for them while it is traced."""
    if isinstance(x, np.ndarray):
        return np
    import torch  # as a statement, which torch.compile sees through

    return torch


def cubic(offset: Values) -> Values:
    """Keys' cubic convolution kernel with a = -0.5, support 4."""
    library = _library(offset)
    x = library.abs(offset)
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    zero = library.zeros_like(x)
    weight: Values = library.where(x <= 1, inner, library.where(x < 2, outer, zero))
    return weight


def lanczos(offset: Values) -> Values:
    """Lanczos kernel with three lobes, support 6."""
    library = _library(offset)
    lobes = library.sinc(offset) * library.sinc(offset / 3)
    weight: Values = library.where(library.abs(offset) < 3, lobes, 0.0)
    return weight


def linear(offset: Values) -> Values:
    """Triangle, support 2."""
    library = _library(offset)
    weight: Values = library.clip(1 - library.abs(offset), 0, None)
    return weight


def box(offset: Values) -> Values:
    """The mean of the pixels whose centres lie within the output pixel, support 1."""
    library = _library(offset)
    one, zero = library.ones_like(offset), library.zeros_like(offset)
    weight: Values = library.where(library.abs(offset) <= 0.5, one, zero)
    return weight


# Each with its support.
KERNELS: dict[Kernel, tuple[Callable[[Any], Any], int]] = {
    "cubic": (cubic, 4),
    "lanczos": (lanczos, 6),
    "linear": (linear, 2),
    "box": (box, 1),
}


def normalised_weights(axis: Axis, kernel: Kernel = "cubic") -> "tuple[Tensor, Tensor]":
    """Indices and weights (each (size, taps)) of a fixed kernel; weights sum to 1 per output."""
    function, kernel_size = KERNELS[kernel]
    index, offset = neighbours(axis, kernel_size)
    weight = function(offset)
    return index, weight / weight.sum(1, keepdim=True)


def needed(size: Size, grid: ProjectedGrid, kernel: Kernel = "cubic") -> tuple[slice, slice]:
    """The rows and columns of an input of `size` (h, w) that :func:`resize` reads for `grid`."""
    rows, columns = (
        slice(max(start, 0), min(stop, limit))
        for (start, stop), limit in (
            (reach(axis, KERNELS[kernel][1]), limit)
            for axis, limit in zip((grid.rows, grid.columns), size, strict=True)
        )
    )
    return rows, columns


def resize(x: Values, grid: ProjectedGrid, kernel: Kernel = "cubic") -> Values:
    """Resample `x` at `grid` with a fixed kernel: antialiased where it reduces, borders replicated.

    Args:
        x: (..., h, w), floating point, any range, a tensor or an array.
        grid: where to read.
        kernel: ``cubic`` (a = -0.5, as MATLAB and Pillow), ``lanczos`` (three lobes), ``linear`` or
            ``box``.

    Returns:
        (..., H, W) of the same kind and dtype; overshoots are kept, nothing is clamped or rounded.

    Raises:
        TypeError: if `x` is not floating point.
        ValueError: for an unknown kernel, or a grid that was laid over another size.
    """
    given: Any = x
    array = isinstance(x, np.ndarray)
    if not (np.issubdtype(given.dtype, np.floating) if array else given.is_floating_point()):
        raise TypeError(f"expected floating point, got {x.dtype}: divide levels by their largest")
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    grid.check(size_of(x))
    along: Callable[[Any, Axis, Kernel], Any] = _resize_array_rows if array else _resize_rows
    result: Values = along(along(x, grid.rows, kernel).mT, grid.columns, kernel).mT
    return result


def reduce_uint8(image: "Tensor", grid: ProjectedGrid) -> "Tensor":
    """Bicubic as MATLAB's ``imresize`` does it on 8-bit images, to the last bit.

    Rows first, then columns; the result is rounded (halves up) and clipped to 8 bit after
    *each* pass; a = -0.5, antialiased, borders replicated.

    Args:
        image: uint8 (..., h, w).
        grid: where to read; MATLAB's by-scale convention is the anchor ``topleft``.

    Returns:
        uint8 (..., H, W).

    Raises:
        TypeError: if `image` is not uint8.
        ValueError: for a grid that was laid over another size.
    """
    import torch

    if image.dtype != torch.uint8:
        raise TypeError(f"expected a uint8 image, got {image.dtype}: use resize() for floats")
    grid.check(size_of(image))
    rows = _round_uint8(_resize_rows(image.double(), grid.rows, "cubic"))
    return _round_uint8(_resize_rows(rows.mT, grid.columns, "cubic").mT).to(torch.uint8)


def _round_uint8(x: "Tensor") -> "Tensor":
    return (x + 0.5).floor_().clamp_(0, 255)


class _Band(NamedTuple):
    """The part of a resizing matrix that a block of outputs needs.

    Attributes:
        outputs: the block.
        pixels: the inputs that it reads.
        weights: (outputs, pixels), a tensor or an array.
    """

    outputs: slice
    pixels: slice
    weights: Any


def _resize_rows(x: "Tensor", axis: Axis, kernel: Kernel) -> "Tensor":
    """Resample dimension -2: a banded matrix, in blocks without most of its zeros."""
    import torch

    remember = axis.size <= REMEMBERED and not torch.compiler.is_compiling()
    make = _remembered_bands if remember else _bands
    y = x.new_empty(*x.shape[:-2], axis.size, x.shape[-1])
    device = x.device.type
    known = torch.amp.is_autocast_available(device)  # as it is not on the meta device
    with torch.autocast(device, enabled=False) if known else nullcontext():
        for outputs, pixels, weights in make(axis, kernel, x.shape[-2], x.dtype, x.device):
            y[..., outputs, :] = weights @ x[..., pixels, :]
    return y


def _bands(
    axis: Axis, kernel: Kernel, limit: int, dtype: "torch.dtype", device: "torch.device"
) -> list[_Band]:
    """The matrix that resamples `limit` pixels at `axis`, on the device."""
    import torch

    bands = []
    with torch.inference_mode(False):  # what is remembered may be met by gradients later
        index, weight = normalised_weights(axis, kernel)
        index.clamp_(0, limit - 1)
        for start in range(0, axis.size, BLOCK):
            block = slice(start, min(start + BLOCK, axis.size))
            first, last = _ends(axis, block, kernel, limit)
            band = weight.new_zeros(block.stop - block.start, last - first + 1)
            band.scatter_add_(1, index[block] - first, weight[block])
            bands.append(_Band(block, slice(first, last + 1), band.to(device, dtype)))
    return bands


# Nor could a CUDA graph hold the copy of new weights to the device.
_remembered_bands = lru_cache(maxsize=256)(_bands)


def _ends(axis: Axis, block: slice, kernel: Kernel, limit: int) -> tuple[int, int]:
    """The first and the last of `limit` pixels that a block of outputs reads."""
    start, stop = reach(axis.window(block.start, block.stop), KERNELS[kernel][1])
    return min(max(start, 0), limit - 1), min(max(stop - 1, 0), limit - 1)


def _resize_array_rows(x: NDArray[Any], axis: Axis, kernel: Kernel) -> NDArray[Any]:
    """:func:`_resize_rows` of an array."""
    function, kernel_size = KERNELS[kernel]
    index, offset = array_neighbours(axis, kernel_size)
    index = index.clip(0, x.shape[-2] - 1)
    weight = function(offset)
    weight = weight / weight.sum(1, keepdims=True)
    y = np.empty((*x.shape[:-2], axis.size, x.shape[-1]), x.dtype)
    for start in range(0, axis.size, BLOCK):
        block = slice(start, min(start + BLOCK, axis.size))
        first, last = _ends(axis, block, kernel, x.shape[-2])
        band = np.zeros((block.stop - start, last - first + 1))
        np.add.at(band, (np.arange(len(band))[:, None], index[block] - first), weight[block])
        y[..., block, :] = band.astype(x.dtype) @ x[..., first : last + 1, :]
    return y
