"""Resizing layers as frameworks have them, each with the geometry that it has.

The geometry of a layer on an input of n pixels is an :class:`ccsr.resample.Axis`: how many
outputs there are and at which input position the middle of each one's window lies. Filters are
symmetric and reproduce ramps (binomial, bilinear, cubic), so that nothing moves the image but the
geometry.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ccsr.grid import Axis, ProjectedGrid
from ccsr.model.cc_layer import CCLayer
from ccsr.model.fields import CubicField


@dataclass(frozen=True)
class Resizer:
    """One resizing layer, the same along both axes.

    Attributes:
        name: for tables.
        axis: input pixels -> geometry of the output.
        run: (N, 1, h, w) -> (N, 1, H, W).
    """

    name: str
    axis: Callable[[int], Axis]
    run: Callable[[Tensor], Tensor]


def strided(kernel_size: int) -> Resizer:
    """A convolution of stride 2, padding 1, with 3 or 4 taps: output o looks at its middle tap."""
    weight = _binomial(kernel_size)
    return Resizer(
        f"strided convolution {kernel_size}",
        lambda n: Axis((n + 2 - kernel_size) // 2 + 1, 0.5, (kernel_size - 1) / 2 - 1),
        lambda x: F.conv2d(x, weight, stride=2, padding=1),
    )


def transposed(kernel_size: int) -> Resizer:
    """A transposed convolution of stride 2, padding 1, to twice the size (3 or 4 taps).

    Input i lands on 2i - 1 to 2i - 2 + kernel_size: its middle is 2i for 3 taps, which need
    `output_padding=1` for twice the size, and 2i + 1/2 for 4.
    """
    weight = _binomial(kernel_size) * 4
    return Resizer(
        f"transposed convolution {kernel_size}",
        lambda n: Axis(2 * n, 2.0, -((kernel_size - 1) / 2 - 1) / 2),
        lambda x: F.conv_transpose2d(
            x, weight, stride=2, padding=1, output_padding=4 - kernel_size
        ),
    )


def pixel_shuffle() -> Resizer:
    """A 3x3 convolution to four channels, interleaved; all four start equal."""
    weight = _binomial(3).expand(4, 1, 3, 3)
    return Resizer(
        "pixel shuffle",
        lambda n: Axis(2 * n, 2.0, -0.25),
        lambda x: F.pixel_shuffle(F.conv2d(x, weight, padding=1), 2),
    )


def max_pool() -> Resizer:
    """The largest of each 2x2 block; a last odd row or column is dropped."""
    return Resizer(
        "max-pool", lambda n: Axis(n // 2, 0.5, 0.5), lambda x: F.max_pool2d(x, kernel_size=2)
    )


def nearest() -> Resizer:
    """Every pixel twice per axis."""
    return Resizer(
        "nearest",
        lambda n: Axis(2 * n, 2.0, -0.25),
        lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
    )


def bilinear(scale: float, corners: bool) -> Resizer:
    """`interpolate(mode="bilinear")`, which rounds sizes down; `corners`: `align_corners=True`.

    With it the middles of the corner pixels of input and output coincide. Without it their outer
    corners do, unless the size was rounded down: then the output ends a little before the input.
    """

    def axis(n: int) -> Axis:
        size = math.floor(n * scale)
        if corners:
            return Axis(size, (size - 1) / (n - 1), 0.0)
        return Axis(size, scale, 0.5 / scale - 0.5)

    def run(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=corners)

    return Resizer(f"bilinear, align_corners {corners}", axis, run)


def continuous(scale: float | None = None, to: Sequence[int] = ()) -> Resizer:
    """A CC layer with the cubic field, by a factor, or to the next larger of the sizes `to`."""
    layer = CCLayer(1, 1, 4, CubicField, bias=False)
    torch.nn.init.ones_(layer.weight)
    layer.requires_grad_(False)

    def size(n: int) -> int:
        return min(m for m in to if m > n) if scale is None else math.floor(n * scale + 0.5)

    def run(x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        return layer(x, ProjectedGrid.project((h, w), (size(h), size(w))))  # type: ignore[no-any-return]

    label = "back" if scale is None else f"x{scale:g}" if scale >= 1 else f"/{1 / scale:g}"
    return Resizer(f"CC layer {label}", lambda n: Axis.project(n, size(n)), run)


def _binomial(kernel_size: int) -> Tensor:
    taps = torch.tensor({3: [1.0, 2.0, 1.0], 4: [1.0, 3.0, 3.0, 1.0]}[kernel_size])
    taps = taps / taps.sum()
    return (taps[:, None] * taps)[None, None]
