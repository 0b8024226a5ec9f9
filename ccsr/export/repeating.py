"""Where a scale that is an input happens to be a simple fraction, a layer's filters repeat.

Then the layer is a convolution with filters that are made on the spot, and whose results
interleave: the plan `phases` of :mod:`ccsr.model.algorithms`. Which it is to be, the graph decides
when it runs.
"""

from typing import NamedTuple

from ccsr.export.fields import factors
from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Line, Offsets, double, within
from ccsr.export.tracing import add_function
from ccsr.grid import position
from ccsr.model.algorithms import PERIOD_LIMIT
from ccsr.model.cc_layer import CCLayer

Lines = tuple[Line, Line]

STEPS = (1, 2, 4)  # pixels of the inner grid after which the positions may repeat


class Repeated(NamedTuple):
    """The positions of a line on an inner grid, in periods.

    A period is the positions that are nearest to `step` pixels, so that few pixels lie under the
    kernel of any of them.

    Attributes:
        number: positions of a period, an int64 scalar.
        offsets: of the pixels under the kernels of a period from its positions.
        start: the first pixel that is read, which may lie before the inner grid, an int64 scalar.
        pixels: how many pixels are read, likewise.
        lead: positions of the first period that come before the line, likewise.
    """

    number: Value
    offsets: Offsets
    start: Value
    pixels: Value
    lead: Value

    @classmethod
    def find(
        cls, graph: Graph, inner: Line, outer: Line, kernel_size: int, step: int
    ) -> "Repeated":
        """Lay periods over a line whose positions repeat after `step` pixels."""
        scale = graph("Div", outer.scale, inner.scale)
        origin = add_function(graph, within, outer.origin, inner.origin, inner.scale, number=double)
        first = graph.double(outer.first)
        place = add_function(graph, position, first, origin, scale, number=double)
        nearest = graph("Floor", graph("Add", place, double(0.5)))
        before = graph("Add", graph("Sub", place, nearest), double(0.5))
        lead = graph("Floor", graph("Mul", before, scale))
        number = graph.whole(graph("Mul", scale, double(step)))

        steps = graph("Add", graph.double(graph("Range", 0, number, 1)), graph("Sub", first, lead))
        places = add_function(graph, position, steps, origin, scale, number=double)
        start, union = graph("Sub", nearest, double(kernel_size // 2)), union_of(kernel_size, step)
        pixels = graph("Add", start, graph.double(graph("Range", 0, union, 1)))
        offset = graph("Sub", pixels, graph("Unsqueeze", places, [1]))
        lead = graph.whole(lead)
        positions = graph("Add", graph("Add", outer.size, lead), graph("Sub", number, 1))
        last = graph("Sub", graph("Div", positions, number), 1)  # of the periods
        count = graph("Add", graph("Mul", last, step), union)
        offsets = Offsets(graph.float(offset), scale)
        return cls(number, offsets, graph.whole(start), count, lead)


def union_of(kernel_size: int, step: int) -> int:
    """Count the pixels under the kernels of a period."""
    return 2 * (kernel_size // 2) + step


def repeats(graph: Graph, inner: Lines, outer: Lines, step: int) -> Value:
    """Say whether the layer enlarges, and has few positions that repeat after `step` pixels."""
    found: list[Value] = []
    for one, other in zip(inner, outer, strict=True):
        number = graph("Mul", graph("Div", other.scale, one.scale), double(step))
        whole = graph("Equal", number, graph("Floor", number))
        least = graph("LessOrEqual", double(step), number)
        few = graph("LessOrEqual", number, double(PERIOD_LIMIT))
        found.append(graph("And", whole, graph("And", least, few)))
    return graph("And", *found)


def add_repeating(
    graph: Graph, layer: CCLayer, x: Value, inner: Lines, outer: Lines, step: int
) -> Value:
    """Read features, as :func:`ccsr.export.layers.add_cc_layer`, where positions repeat."""
    rows, columns = (
        Repeated.find(graph, a, b, layer.kernel_size, step)
        for a, b in zip(inner, outer, strict=True)
    )
    x = _framed(graph, x, inner, (rows, columns))
    p_h, p_w = rows.number, columns.number
    bias = []
    if layer.bias is not None:
        each = graph("Mul", p_h, p_w)
        wide = graph("Expand", layer.bias[:, None], graph.shape(1, each))
        bias = [graph("Reshape", wide, [-1])]
    x = graph("Conv", x, _filters(graph, layer, rows, columns, step), *bias, strides=[step, step])
    x = interleaved(graph, x, layer.weight.shape[1], p_h, p_w)
    starts = graph.shape(rows.lead, columns.lead)
    ends = (graph("Add", a.lead, b.size) for a, b in zip((rows, columns), outer, strict=True))
    return graph("Slice", x, starts, graph.shape(*ends), [2, 3])


def _framed(graph: Graph, x: Value, inner: Lines, read: tuple[Repeated, Repeated]) -> Value:
    """Take the pixels that are read, of which those beyond the border are copies of it."""
    starts, ends, before, after = [], [], [], []
    for line, axis in zip(inner, read, strict=True):
        end = graph("Add", axis.start, axis.pixels)
        starts.append(graph("Max", axis.start, 0))
        ends.append(graph("Min", end, line.size))
        before.append(graph("Max", graph("Sub", 0, axis.start), 0))
        after.append(graph("Max", graph("Sub", end, line.size), 0))
    x = graph("Slice", x, graph.shape(*starts), graph.shape(*ends), [2, 3])
    return graph("Pad", x, graph.shape(0, 0, *before, 0, 0, *after), mode="edge")


def _filters(graph: Graph, layer: CCLayer, rows: Repeated, columns: Repeated, step: int) -> Value:
    """Make the filters of a period, (C_out * p_h * p_w, C_in, U, U)."""
    vertical, horizontal, mix = factors(graph, layer, rows.offsets, columns.offsets)
    functions, m, c_out, c_in = mix.shape
    union = union_of(layer.kernel_size, step)
    matrices = mix.permute(0, 2, 1, 3).reshape(functions, -1)  # the constant of gathering
    x = graph("MatMul", graph("Reshape", vertical, [-1, functions]), matrices)
    x = graph("Transpose", graph("Reshape", x, [-1, c_out, m, c_in]), perm=[0, 1, 3, 2])
    x = graph("Reshape", x, [-1, m])  # (p_h * U * C_out * C_in, M)
    across = graph("Transpose", graph("Reshape", horizontal, [-1, m]), perm=[1, 0])
    x = graph("MatMul", x, across)
    x = graph("Reshape", x, graph.shape(-1, union, c_out, c_in, columns.number, union))
    x = graph("Transpose", x, perm=[2, 0, 4, 3, 1, 5])
    return graph("Reshape", x, [-1, c_in, union, union])


def interleaved(graph: Graph, x: Value, channels: int, p_h: Value | int, p_w: Value | int) -> Value:
    """Turn (N, channels * p_h * p_w, h, w) into (N, channels, h * p_h, w * p_w)."""
    h, w = (graph.size(x, dimension) for dimension in (2, 3))
    width = graph("Mul", w, p_w)
    # one axis at a time: runtimes move that in large pieces
    x = graph("Reshape", x, graph.shape(-1, p_w, graph("Mul", h, w)))
    x = graph("Transpose", x, perm=[0, 2, 1])
    x = graph("Reshape", x, graph.shape(-1, p_h, h, width))
    x = graph("Transpose", x, perm=[0, 2, 1, 3])
    return graph("Reshape", x, graph.shape(-1, channels, graph("Mul", h, p_h), width))
