"""CC layers become ONNX operators: by phases where a scale has few of them, else by gathering."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ccsr.export.fields import factors
from ccsr.export.graph import Graph, Value
from ccsr.export.grids import LARGEST_DENOMINATOR, Line, Taps, double, taps
from ccsr.export.repeating import STEPS, Lines, add_repeating, interleaved, repeats
from ccsr.grid import Axis, ProjectedGrid, output_size
from ccsr.model.algorithms import PERIOD_LIMIT, phase_kernels
from ccsr.model.cc_layer import CCLayer
from ccsr.model.fields import SeparableField

BLOCK = (64, 512)  # outputs along a row that share one dense matrix, at least and at most
READ = 32  # inputs that such a block reads about, in between
RUN = 8  # floats that are gathered at once
LARGEST_BANK = 1 << 20  # weights of all filters of one layer, at most
LARGEST_INSEPARABLE_BANK = 1 << 25  # where gathering is not possible
SMALLEST_BY_PHASES = 0.5  # below, a result of one pixel may be off the regular positions


class Period(NamedTuple):
    """The positions of a layer along one axis on which they repeat.

    Attributes:
        axes: positions of one period, for each remainder of the image's size: the size of the
            result is rounded, which shifts a centred grid in q ways at a scale p/q.
        step: pixels of the inner grid from one period to the next.
    """

    axes: list[Axis]
    step: int

    @classmethod
    def find(cls, inner: Line, outer: Line) -> "Period | None":
        """Find the period of the positions of `outer` on `inner`; None if it is not short."""
        scales = inner.least, outer.least
        exact = [Fraction(scale) for scale in scales]
        step = exact[0] / exact[1]
        remainders = math.lcm(*(each.denominator for each in exact))
        if (
            not (inner.baked and outer.baked)
            or min(scales) < SMALLEST_BY_PHASES
            or remainders > LARGEST_DENOMINATOR
            or step.denominator > PERIOD_LIMIT
        ):
            return None
        axes = []
        for pixels in range(remainders, 2 * remainders):
            first, last = (
                Axis.project(pixels, output_size((pixels, 1), scale)[0], scale, "centred")
                for scale in scales
            )
            within = last.within(first)
            axes.append(Axis(step.denominator, within.scale, within.origin))
        return cls(axes, step.numerator)

    def weights(self, kernel_size: int) -> float:
        """Estimate how many weights the filters between two channels have along this axis."""
        axis = self.axes[0]
        union = kernel_size / axis.stretch + self.step - self.step / axis.size
        return len(self.axes) * axis.size * union


class Bank(NamedTuple):
    """The filters of all phases, for all remainders of the image's size.

    Attributes:
        kernels: (R_h, R_w, p_h, p_w, C_out, C_in, U_h, U_w).
        start: row and column of the inner grid where the first period's filters begin, at most 0.
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
        top, left = min(0, *(y for _, y, _ in found)), min(0, *(x for _, _, x in found))
        bottom = max(y + kernel.shape[-2] for kernel, y, _ in found)
        right = max(x + kernel.shape[-1] for kernel, _, x in found)
        kernels = torch.stack(
            [
                F.pad(k, (x - left, right - x - k.shape[-1], y - top, bottom - y - k.shape[-2]))
                for k, y, x in found
            ]
        )
        remainders = len(rows.axes), len(columns.axes)
        return cls(kernels.view(*remainders, *kernels.shape[1:]), (top, left))


def add_cc_layer(graph: Graph, layer: CCLayer, x: Value, inner: Lines, outer: Lines) -> Value:
    """Read features `x`, (N, C_in, h, w) on the grid `inner`, at the positions of `outer`.

    Raises:
        ValueError: if the scale has many phases and the layer's field is not separable.
    """
    rows, columns = (Period.find(a, b) for a, b in zip(inner, outer, strict=True))
    if rows and columns:
        per_pair = rows.weights(layer.kernel_size) * columns.weights(layer.kernel_size)
        separable = isinstance(layer.field, SeparableField)
        limit = LARGEST_BANK if separable else LARGEST_INSEPARABLE_BANK
        if per_pair * math.prod(layer.weight.shape[1:]) <= limit:
            return _by_phases(graph, layer, (rows, columns), x, outer)
    if all(line.baked for line in (*inner, *outer)):
        return _by_gathering(graph, layer, x, inner, outer)
    return _by_either(graph, layer, x, inner, outer, STEPS)


def _by_either(
    graph: Graph, layer: CCLayer, x: Value, inner: Lines, outer: Lines, steps: Sequence[int]
) -> Value:
    """Let the scale decide when the graph runs."""
    if not steps:
        return _by_gathering(graph, layer, x, inner, outer)
    step, *others = steps
    return graph.choose(
        repeats(graph, inner, outer, step),
        lambda branch: add_repeating(branch, layer, x, inner, outer, step),
        lambda branch: _by_either(branch, layer, x, inner, outer, others),
    )


def _by_phases(
    graph: Graph, layer: CCLayer, periods: tuple[Period, Period], x: Value, outer: Lines
) -> Value:
    """Add a convolution over the replicated border, depth to space, and the cut to size."""
    bank = Bank.of(layer, *periods)
    r_h, r_w, p_h, p_w, channels, _, *union = bank.kernels.shape
    before, after = _border(bank, periods)
    if any(before + after):
        x = graph("Pad", x, [0, 0, *before, 0, 0, *after], mode="edge")
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
    kept = [a + b + 1 == width for a, b, width in zip(before, after, union, strict=True)]
    if len(weight) == 1 and strides == [1, 1] and all(kept):
        return x
    ends = graph.shape(*(line.size for line in outer))
    return graph("Slice", x, [0, 0], ends, [2, 3])


def _border(bank: Bank, periods: tuple[Period, Period]) -> tuple[list[int], list[int]]:
    """Count the pixels to replicate before and after the inner grid, per axis."""
    before, after = [], []
    for start, width, period in zip(bank.start, bank.kernels.shape[-2:], periods, strict=True):
        # the last position is as far from the end as the first from the start
        origin = min(axis.origin for axis in period.axes)
        before.append(-start)
        after.append(max(0, math.floor(start + width - 1 - 2 * origin + 1e-9)))
    return before, after


def _depth_to_space(graph: Graph, x: Value, channels: int, p_h: int, p_w: int) -> Value:
    """Turn (N, channels * p_h * p_w, h, w) into (N, channels, h * p_h, w * p_w)."""
    if p_h == p_w == 1:
        return x
    if p_h == p_w:
        return graph("DepthToSpace", x, blocksize=p_h, mode="CRD")
    return interleaved(graph, x, channels, p_h, p_w)


def _by_gathering(graph: Graph, layer: CCLayer, x: Value, inner: Lines, outer: Lines) -> Value:
    """Multiply the neighbours of each position by filters made on the spot, rows first.

    It is the plan `basis` of :mod:`ccsr.model.algorithms`.
    """
    rows = taps(graph, inner[0], outer[0], layer.kernel_size)
    block = _block(graph, inner[1], outer[1])
    columns = taps(graph, inner[1], outer[1], layer.kernel_size, block)
    vertical, horizontal, mix = factors(graph, layer, rows.offsets, columns.offsets)
    functions, m, c_out, c_in = mix.shape
    batch, height = (graph.size(x, dimension) for dimension in (0, 2))

    missing = graph("Mod", graph("Sub", 0, graph.size(x, 3)), RUN)
    x = graph("Pad", x, graph.shape(*[0] * 7, missing))
    width = graph.size(x, 3)
    x = graph("Transpose", x, perm=[2, 1, 0, 3])
    x = graph("Reshape", x, graph.shape(height, c_in, -1))
    lines = graph("Gather", x, rows.pixel)  # (H, taps, C_in, N * w)
    lines = graph("Reshape", lines, graph.shape(0, -1, graph("Mul", batch, width)))
    matrices = graph("MatMul", vertical, mix.permute(0, 2, 1, 3).reshape(functions, -1))
    matrices = graph("Reshape", matrices, [0, 0, c_out * m, c_in])
    matrices = graph("Transpose", matrices, perm=[0, 2, 1, 3])
    x = graph("MatMul", graph("Reshape", matrices, [0, 0, -1]), lines)  # (H, C_out * M, N * w)

    x = graph("Reshape", x, graph.shape(-1, c_out, m, batch, graph("Div", width, RUN), RUN))
    bands, runs = _bands(graph, columns, horizontal, block, (m, width))
    x = graph("Gather", x, runs, axis=4)  # (H, C_out, M, N, blocks, U / RUN, RUN)
    x = graph("Transpose", x, perm=[4, 3, 1, 0, 2, 5, 6])
    blocks = graph.size(bands, 0)
    x = graph("Reshape", x, graph.shape(blocks, -1, graph.size(bands, 1)))
    x = graph("MatMul", x, bands)  # (blocks, N * C_out * H, block)
    x = graph("Transpose", x, perm=[1, 0, 2])
    x = graph("Reshape", x, graph.shape(batch, c_out, -1, graph("Mul", blocks, block)))
    x = graph("Slice", x, [0], graph.shape(outer[1].size), [3])
    return x if layer.bias is None else graph("Add", x, layer.bias[:, None, None])


def _block(graph: Graph, inner: Line, outer: Line) -> Value:
    """Choose how many outputs along a row share one matrix."""
    read = graph("Mul", graph("Div", outer.scale, inner.scale), double(READ))
    return graph("Min", graph("Max", graph.whole(read), BLOCK[0]), BLOCK[1])


def _bands(
    graph: Graph, columns: Taps, horizontal: Value, block: Value, sizes: tuple[int, Value]
) -> tuple[Value, Value]:
    """Write the horizontal factors (W', taps, M) as dense bands, one per block of outputs.

    Args:
        graph: gets the operators.
        columns: neighbours of each output, in whole blocks.
        horizontal: the factors.
        block: outputs of one.
        sizes: M, and the columns of the input, whole runs.

    Returns:
        (blocks, M * U, block), and which runs of the `width` columns each block reads,
        (blocks, U / RUN).
    """
    (m, width), number = sizes, graph.size(horizontal, 1)
    pixel = graph("Reshape", columns.pixel, graph.shape(-1, block, number))
    first = graph("Div", graph("ReduceMin", pixel, axes=[1, 2], keepdims=1), RUN)
    place = graph("Sub", pixel, graph("Mul", first, RUN))
    count = graph("Add", graph("Div", graph("ReduceMax", place, keepdims=0), RUN), 1)
    runs = graph("Add", graph("Squeeze", first, [2]), graph("Range", 0, count, 1))
    runs = graph("Min", runs, graph("Sub", graph("Div", width, RUN), 1))
    used = graph("Mul", count, RUN)
    # where two taps are the same pixel, at a border, the product sums them
    chosen = graph("Equal", graph("Unsqueeze", place, [3]), graph("Range", 0, used, 1))
    chosen = graph("Reshape", graph.float(chosen), graph.shape(-1, number, used))
    bands = graph("MatMul", graph("Transpose", horizontal, perm=[0, 2, 1]), chosen)  # (W', M, U)
    bands = graph("Reshape", bands, graph.shape(-1, block, graph("Mul", used, m)))
    return graph("Transpose", bands, perm=[0, 2, 1]), runs
