"""Resizing with fixed kernels, such as cubic and Lanczos, at the positions of a grid."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ccsr.grid import REMEMBERED, Axis, ProjectedGrid, neighbours, reach, size_of

Kernel = Literal["cubic", "lanczos", "linear", "box"]

BLOCK = 64  # outputs per axis that share one dense matrix in `resize`


def cubic(offset: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5, support 4."""
    x = offset.abs()
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, inner, torch.where(x < 2, outer, torch.zeros_like(x)))


def lanczos(offset: Tensor) -> Tensor:
    """Lanczos kernel with three lobes, support 6."""
    return torch.where(offset.abs() < 3, torch.sinc(offset) * torch.sinc(offset / 3), 0.0)


def linear(offset: Tensor) -> Tensor:
    """Triangle, support 2."""
    return (1 - offset.abs()).clamp_min(0)


def box(offset: Tensor) -> Tensor:
    """The mean of the pixels whose centres lie within the output pixel, support 1."""
    return (offset.abs() <= 0.5).to(offset)


# Each with its support.
KERNELS: dict[Kernel, tuple[Callable[[Tensor], Tensor], int]] = {
    "cubic": (cubic, 4),
    "lanczos": (lanczos, 6),
    "linear": (linear, 2),
    "box": (box, 1),
}


def normalised_weights(axis: Axis, kernel: Kernel = "cubic") -> tuple[Tensor, Tensor]:
    """Indices and weights (each (size, taps)) of a fixed kernel; weights sum to 1 per output."""
    function, kernel_size = KERNELS[kernel]
    index, offset = neighbours(axis, kernel_size)
    weight = function(offset)
    return index, weight / weight.sum(1, keepdim=True)


def resize(x: Tensor, grid: ProjectedGrid, kernel: Kernel = "cubic") -> Tensor:
    """Resample `x` at `grid` with a fixed kernel: antialiased where it reduces, borders replicated.

    Args:
        x: (..., h, w), floating point, any range.
        grid: where to read.
        kernel: ``cubic`` (a = -0.5, as MATLAB and Pillow), ``lanczos`` (three lobes), ``linear`` or
            ``box``.

    Returns:
        (..., H, W) of the same dtype; overshoots are kept, nothing is clamped or rounded.

    Raises:
        TypeError: if `x` is not floating point.
        ValueError: for an unknown kernel, or a grid that was laid over another size.
    """
    if not x.is_floating_point():
        raise TypeError(f"expected floating point, got {x.dtype}: divide levels by their largest")
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    grid.check(size_of(x))
    x = _resize_rows(x, grid.rows, kernel)
    return _resize_rows(x.mT, grid.columns, kernel).mT


def reduce_uint8(image: Tensor, grid: ProjectedGrid) -> Tensor:
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
    if image.dtype != torch.uint8:
        raise TypeError(f"expected a uint8 image, got {image.dtype}: use resize() for floats")
    grid.check(size_of(image))
    rows = _round_uint8(_resize_rows(image.double(), grid.rows, "cubic"))
    return _round_uint8(_resize_rows(rows.mT, grid.columns, "cubic").mT).to(torch.uint8)


def _round_uint8(x: Tensor) -> Tensor:
    return (x + 0.5).floor_().clamp_(0, 255)


class _Band(NamedTuple):
    """The part of a resizing matrix that a block of outputs needs.

    Attributes:
        outputs: the block.
        pixels: the inputs that it reads.
        weights: (outputs, pixels).
    """

    outputs: slice
    pixels: slice
    weights: Tensor


def _resize_rows(x: Tensor, axis: Axis, kernel: Kernel) -> Tensor:
    """Resample dimension -2: a banded matrix, in blocks without most of its zeros."""
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
    axis: Axis, kernel: Kernel, limit: int, dtype: torch.dtype, device: torch.device
) -> list[_Band]:
    """The matrix that resamples `limit` pixels at `axis`, on the device."""
    bands = []
    with torch.inference_mode(False):  # what is remembered may be met by gradients later
        index, weight = normalised_weights(axis, kernel)
        index.clamp_(0, limit - 1)
        for start in range(0, axis.size, BLOCK):
            block = slice(start, min(start + BLOCK, axis.size))
            ends = reach(axis.window(block.start, block.stop), KERNELS[kernel][1])
            first, last = (min(max(end, 0), limit - 1) for end in (ends[0], ends[1] - 1))
            band = weight.new_zeros(block.stop - block.start, last - first + 1)
            band.scatter_add_(1, index[block] - first, weight[block])
            bands.append(_Band(block, slice(first, last + 1), band.to(device, dtype)))
    return bands


# Nor could a CUDA graph hold the copy of new weights to the device.
_remembered_bands = lru_cache(maxsize=256)(_bands)
