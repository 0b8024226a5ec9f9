"""CC layers as ONNX operators: by phases where a scale has few of them, by gathering otherwise."""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ccsr.export.fields import factors
from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Factor, Line, taps
from ccsr.model.cc_layer import CCLayer
from ccsr.model.plans import PERIOD_LIMIT, phase_kernels
from ccsr.resample import Axis, ProjectedGrid, output_size

Lines = tuple[Line, Line]

LARGEST_DENOMINATOR = 4  # a scale p/q shifts the centred grid in q ways, each with its filters
LARGEST_BANK = 1 << 20  # weights of all filters of one layer, at most
SMALLEST_BY_PHASES = 0.5  # below, a result of one pixel may be off the regular positions


class Period(NamedTuple):
    """One axis of a layer whose positions repeat.

    Attributes:
        axes: positions of one period, for each remainder of the image's size.
        step: pixels of the inner grid from one period to the next.
    """

    axes: list[Axis]
    step: int

    @classmethod
    def find(cls, inner: Factor, outer: Factor) -> "Period | None":
        """The period between two grids over the image, if it is short."""
        if not (isinstance(inner, float) and isinstance(outer, float)):
            return None
        fractions = [Fraction(each).limit_denominator(LARGEST_DENOMINATOR) for each in (inner, outer)]
        if min(inner, outer) < SMALLEST_BY_PHASES or fractions != [inner, outer]:
            return None
        step = fractions[0] / fractions[1]
        if step.denominator > PERIOD_LIMIT:
            return None
        remainders = math.lcm(*(fraction.denominator for fraction in fractions))
        axes = []
        for pixels in range(remainders, 2 * remainders):
            first, last = (
                Axis.project(pixels, output_size((pixels, 1), each)[0], each, "centred")
                for each in (inner, outer)
            )
            within = last.within(first)
            axes.append(Axis(step.denominator, within.scale, within.origin))
        return cls(axes, step.numerator)


class Bank(NamedTuple):
    """Filters of all phases, for all remainders of the image's size.

    Attributes:
        kernels: (R_h, R_w, p_h, p_w, C_out, C_in, U_h, U_w).
        start: row and column of the inner grid where the filters of the first period begin.
    """

    kernels: Tensor
    start: tuple[int, int]

    @classmethod
    def of(cls, layer: CCLayer, rows: Period, columns: Period) -> "Bank":
        """Evaluate the field of `layer` at all positions."""
        with torch.no_grad():
            found = [
                phase_kernels(layer, ProjectedGrid(*axes))
                for axes in product(rows.axes, columns.axes)
            ]
        top, left = min(each[1] for each in found), min(each[2] for each in found)
        bottom = max(y + kernel.shape[-2] for kernel, y, _ in found)
        right = max(x + kernel.shape[-1] for kernel, _, x in found)
        kernels = torch.stack([
            F.pad(k, (x - left, right - x - k.shape[-1], y - top, bottom - y - k.shape[-2]))
            for k, y, x in found
        ])
        return cls(kernels.unflatten(0, (len(rows.axes), len(columns.axes))), (top, left))


def add_cc_layer(graph: Graph, layer: CCLayer, x: Value, inner: Lines, outer: Lines) -> Value:
    """Read features on the grid `inner` at the positions of `outer`.

    Args:
        x: (N, C_in, h, w) on `inner`.

    Raises:
        ValueError: if the scale has many phases and the layer's field is not separable.
    """
    periods = [Period.find(a.factor, b.factor) for a, b in zip(inner, outer, strict=True)]
    rows, columns = periods
    if rows and columns:
        bank = Bank.of(layer, rows, columns)
        if bank.kernels.numel() <= LARGEST_BANK:
            return _by_phases(graph, layer, bank, (rows, columns), x, outer)
    return _by_gathering(graph, layer, x, inner, outer)


def _by_phases(
    graph: Graph, layer: CCLayer, bank: Bank, periods: tuple[Period, Period], x: Value, outer: Lines
) -> Value:
    """A convolution over the replicated border, then depth to space, then the exact size."""
    r_h, r_w, p_h, p_w, channels, _, *union = bank.kernels.shape
    pads = list(_padding(bank, periods))
    before = [max(0, -start) for start in bank.start]
    after = [max(0, pad) for pad in pads]
    if any(before + after):
        x = graph("Pad", x, [0, 0, *before, 0, 0, *after], mode="edge")
    crop = [max(0, start) for start in bank.start]
    if any(crop):
        x = graph("Slice", x, crop, [2**31 - 1] * 2, [2, 3])
    weight = bank.kernels.permute(0, 1, 4, 2, 3, 5, 6, 7).flatten(2, 4).flatten(0, 1)
    kernel = graph.constant(weight[0])
    if len(weight) > 1:
        row, column = (
            graph("Mod", line.pixels, r) for line, r in zip(outer, (r_h, r_w), strict=True)
        )
        kernel = graph("Gather", weight, graph("Add", graph("Mul", row, r_w), column))
    bias = [] if layer.bias is None else [layer.bias.repeat_interleave(p_h * p_w)]
    strides = [period.step for period in periods]
    x = graph("Conv", x, kernel, *bias, strides=strides, kernel_shape=union)
    x = _depth_to_space(graph, x, channels, p_h, p_w)
    ends = graph.shape(*(line.size for line in outer))
    return graph("Slice", x, [0, 0], ends, [2, 3])


def _padding(bank: Bank, periods: tuple[Period, Period]) -> Iterator[int]:
    """Rows below and columns to the right that the last period may read beyond the inner grid."""
    union = bank.kernels.shape[-2:]
    for start, width, period in zip(bank.start, union, periods, strict=True):
        origin = min(axis.origin for axis in period.axes)  # and as far from the other end
        yield math.ceil(start + width - 1 - 2 * origin)


def _depth_to_space(graph: Graph, x: Value, channels: int, p_h: int, p_w: int) -> Value:
    """(N, channels * p_h * p_w, h, w) -> (N, channels, h * p_h, w * p_w)."""
    if p_h == p_w == 1:
        return x
    if p_h == p_w:
        return graph("DepthToSpace", x, blocksize=p_h, mode="CRD")
    h, w = (graph.size(x, dimension) for dimension in (2, 3))
    x = graph("Reshape", x, graph.shape(-1, channels, p_h, p_w, h, w))
    x = graph("Transpose", x, perm=[0, 1, 4, 2, 5, 3])
    h, w = graph("Mul", h, p_h), graph("Mul", w, p_w)
    return graph("Reshape", x, graph.shape(-1, channels, h, w))


def _by_gathering(graph: Graph, layer: CCLayer, x: Value, inner: Lines, outer: Lines) -> Value:
    """The neighbours of each position times filters made on the spot: rows first, then columns.

    As `basis` in :mod:`ccsr.model.plans`.
    """
    number = [
        math.ceil(layer.kernel_size / _stretch(a.factor, b.factor) - 1e-9)
        for a, b in zip(inner, outer, strict=True)
    ]
    rows, columns = (
        taps(graph, b, a, layer.kernel_size, n)
        for a, b, n in zip(inner, outer, number, strict=True)
    )
    vertical, horizontal, mix = factors(graph, layer, rows, columns)
    functions, m, c_out, c_in = mix.shape
    batch, width = graph.size(x, 0), graph.size(x, 3)

    x = graph("Transpose", x, perm=[2, 0, 3, 1])  # (h, N, w, C_in)
    x = graph("Reshape", x, [0, -1, c_in])
    matrices = graph("MatMul", vertical, mix.permute(0, 3, 1, 2).reshape(functions, -1))
    parts = []
    for tap in range(number[0]):
        matrix = graph("Gather", matrices, tap, axis=1)
        matrix = graph("Reshape", matrix, [-1, c_in, m * c_out])
        lines = graph("Gather", x, graph("Gather", rows.index, tap, axis=1))
        parts.append(graph("MatMul", lines, matrix))  # (H, N * w, m * C_out)
    x = graph("Sum", *parts)

    x = graph("Reshape", x, graph.shape(-1, batch, width, m, c_out))
    x = graph("Transpose", x, perm=[2, 3, 1, 4, 0])  # (w, m, N, C_out, H)
    x = graph("Reshape", x, [0, 0, -1])
    parts = []
    for tap in range(number[1]):
        weights = graph("Gather", horizontal, [tap], axis=1)  # (W, 1, m)
        lines = graph("Gather", x, graph("Gather", columns.index, tap, axis=1))
        parts.append(graph("MatMul", weights, lines))  # (W, 1, N * C_out * H)
    x = graph("Sum", *parts)
    x = graph("Reshape", x, graph.shape(-1, batch, c_out, outer[0].size))
    x = graph("Transpose", x, perm=[1, 2, 3, 0])
    return x if layer.bias is None else graph("Add", x, layer.bias[:, None, None])


def _stretch(inner: Factor, outer: Factor) -> float:
    """What a kernel is widened by where the grid reduces, at most."""
    if isinstance(inner, float) and isinstance(outer, float):
        return min(outer / inner, 1.0)
    raise NotImplementedError
