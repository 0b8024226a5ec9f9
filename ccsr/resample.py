"""Resizing with fixed kernels, such as cubic and Lanczos, at the positions of a grid."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ccsr.grid import (
    Axis,
    ProjectedGrid,
    Size,
    array_neighbours,
    is_remembered,
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
COLOUR_BLOCK = 32  # the same for matrices in which each weight stands once for every colour


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
        _inside(reach(axis, KERNELS[kernel][1]), limit)
        for axis, limit in zip((grid.rows, grid.columns), size, strict=True)
    )
    return rows, columns


def _inside(span: tuple[int, int], limit: int) -> slice:
    """The part of a span, start and stop, within `limit` pixels, or that nearest to it."""
    start = min(max(span[0], 0), limit - 1)
    return slice(start, max(min(span[1], limit), start + 1))


def resize(x: Values, grid: ProjectedGrid, kernel: Kernel = "cubic") -> Values:
    """Resample `x` at `grid` with a fixed kernel: antialiased where it reduces, borders replicated.

    Args:
        x: (..., h, w), floating point, any range, a tensor or an array; what has less than float32
            is computed in that, and rounded at the end.
        grid: where to read.
        kernel: ``cubic`` (a = -0.5, as MATLAB and Pillow), ``lanczos`` (three lobes), ``linear`` or
            ``box``.

    Returns:
        (..., H, W) of the same kind and dtype; overshoots are kept, nothing is clamped or rounded.

    Raises:
        TypeError: if `x` is no tensor or array in floating point, or `grid` no `ProjectedGrid`.
        ValueError: for another shape, an unknown kernel, or a grid that was laid over another size.
    """
    _check(x, grid)
    if kernel not in list(KERNELS):
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    if isinstance(x, np.ndarray):
        least = np.promote_types(x.dtype, np.float32)
        rows = _resize_array_rows(x.astype(least, copy=False), grid.rows, kernel)
        resized = _resize_array_rows(rows.mT, grid.columns, kernel).mT
        result: Values = resized.astype(x.dtype, copy=False)
        return result
    y: Any = x.float() if x.dtype.itemsize < 4 else x
    return _resize_rows(_resize_rows(y, grid.rows, kernel).mT, grid.columns, kernel).mT.to(x.dtype)


def _check(x: Any, grid: Any) -> None:
    array = isinstance(x, np.ndarray)
    if not (array or hasattr(x, "is_floating_point")):
        raise TypeError(f"expected a tensor or an array, got {type(x).__name__}")
    if not (np.issubdtype(x.dtype, np.floating) if array else x.is_floating_point()):
        raise TypeError(f"expected floating point, got {x.dtype}: divide levels by their largest")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"expected pixels of shape (..., h, w), got {tuple(x.shape)}")
    if isinstance(x, np.ma.MaskedArray) or getattr(x, "is_sparse", False):
        raise TypeError(
            "expected a value for every pixel, got a masked array or a sparse tensor: fill it "
            "(x.filled(0)) or make it dense (x.to_dense()) first"
        )
    if not isinstance(grid, ProjectedGrid):
        raise TypeError(
            f"expected a ProjectedGrid, got {type(grid).__name__}: make one by "
            "ProjectedGrid.project((h, w), (H, W))"
        )
    grid.check(size_of(x))


def add_resized(y: "Tensor", x: "Tensor", grid: ProjectedGrid, kernel: Kernel = "cubic") -> None:
    """Add what :func:`resize` gives of `x` to `y`, in place.

    Both are in the memory format channels_last, so that colours lie beside each other: along both
    axes it is products of large matrices, the last of which adds.

    Args:
        y: (N, C, H, W), floating point.
        x: (N, C, h, w) of the same dtype.
        grid: where to read.
        kernel: see :func:`resize`.

    Raises:
        RuntimeError: if `y` has another memory format.
        ValueError: see :func:`resize`.
    """
    grid.check(size_of(x))
    channels = x.shape[1]
    rows, _ = needed(size_of(x), grid, kernel)
    pixels = x[:, :, rows].permute(0, 2, 3, 1).flatten(2)  # (N, h, w * C)
    sums = y.permute(0, 2, 3, 1).view(len(y), grid.rows.size, -1)  # (N, H, W * C)
    lines = x.new_empty(pixels.shape[1], grid.columns.size * channels)  # of one image
    along = _banded(x.mT, grid.columns, kernel, COLOUR_BLOCK, channels)
    down = _banded(x[:, :, rows], grid.shifted(rows.start, 0).rows, kernel)
    with _exact(x):
        for total, image in zip(sums, pixels, strict=True):
            for outputs, inputs, weights in along:
                lines[:, outputs].addmm_(image[:, inputs], weights.mT, beta=0)
            for outputs, inputs, weights in down:
                total[outputs].addmm_(weights, lines[inputs])


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
        TypeError: if `image` is no tensor of uint8.
        ValueError: for a grid that was laid over another size.
    """
    import torch

    given: Any = image
    if not isinstance(given, torch.Tensor) or given.dtype != torch.uint8:
        got = given.dtype if isinstance(given, torch.Tensor) else f"a {type(given).__name__}"
        raise TypeError(f"expected a uint8 tensor, got {got}: use resize() for floats")
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
    y = x.new_empty(*x.shape[:-2], axis.size, x.shape[-1])
    with _exact(x):
        for outputs, pixels, weights in _banded(x, axis, kernel):
            y[..., outputs, :] = weights @ x[..., pixels, :]
    return y


def _exact(x: "Tensor") -> AbstractContextManager[Any]:
    """Products in the dtype of `x`, also where others are in less."""
    import torch

    device = x.device.type
    known = torch.amp.is_autocast_available(device)  # as it is not on the meta device
    return torch.autocast(device, enabled=False) if known else nullcontext()


def _banded(
    x: "Tensor", axis: Axis, kernel: Kernel, block: int = BLOCK, channels: int = 1
) -> list[_Band]:
    """The matrix that resamples dimension -2 of `x`, remembered if it is not large.

    With several channels it is for pixels whose channels lie beside each other.
    """
    make = _remembered_bands if is_remembered(axis) else _bands
    return make(axis, kernel, x.shape[-2], x.dtype, x.device, block, channels)


def _bands(
    axis: Axis,
    kernel: Kernel,
    limit: int,
    dtype: "torch.dtype",
    device: "torch.device",
    size: int,
    channels: int,
) -> list[_Band]:
    """The matrix that resamples `limit` pixels at `axis`, on the device, in blocks of a size."""
    import torch

    blocks = [slice(a, min(a + size, axis.size)) for a in range(0, axis.size, size)]
    pixels = [_read(axis, block, kernel, limit) for block in blocks]
    width = max(each.stop - each.start for each in pixels)
    starts = [min(each.start, limit - width) for each in pixels]
    with torch.inference_mode(False):  # what is remembered may be met by gradients later
        index, weight = normalised_weights(axis, kernel)
        index.clamp_(0, limit - 1).sub_(
            torch.tensor(starts, device="cpu").repeat_interleave(size)[: len(index), None]
        )
        matrix = weight.new_zeros(axis.size, width).scatter_add_(1, index, weight)
        if channels > 1:
            matrix = torch.kron(matrix, torch.eye(channels, dtype=matrix.dtype, device="cpu"))
        matrix = matrix.to(device, dtype)

    def part(start: int, stop: int) -> slice:
        return slice(start * channels, stop * channels)

    return [
        _Band(outputs := part(block.start, block.stop), part(a, a + width), matrix[outputs])
        for block, a in zip(blocks, starts, strict=True)
    ]


# Nor could a CUDA graph hold the copy of new weights to the device.
_remembered_bands = lru_cache(maxsize=256)(_bands)


def _read(axis: Axis, block: slice, kernel: Kernel, limit: int) -> slice:
    """The part of `limit` pixels that a block of outputs reads."""
    return _inside(reach(axis.window(block.start, block.stop), KERNELS[kernel][1]), limit)


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
        pixels = _read(axis, block, kernel, x.shape[-2])
        band = np.zeros((block.stop - start, pixels.stop - pixels.start))
        place = np.arange(len(band))[:, None], index[block] - pixels.start
        np.add.at(band, place, weight[block])
        y[..., block, :] = band.astype(x.dtype) @ x[..., pixels, :]
    return y
