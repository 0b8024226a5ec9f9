"""Projected grids in an ONNX graph know the size of the image only when it runs.

The formulas of :mod:`ccsr.grid`, in float64, for one axis and the anchor `centred`.
"""

import math
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import torch

from ccsr.export.graph import Graph, Value
from ccsr.export.tracing import add_function
from ccsr.grid import HALF, centred_origin, first_pixel, position, within_origin

LARGEST_DENOMINATOR = 4  # of a scale that is treated as a fraction


def double(value: float) -> torch.Tensor:
    """Return a float64 scalar, the type of positions."""
    return torch.tensor(value, dtype=torch.float64)


class Line(NamedTuple):
    """One axis of a grid laid over the image.

    Attributes:
        least: pixels per pixel of the image; where the scale is an input, the smallest.
        baked: whether that is the scale.
        scale: the same in the graph, a float64 scalar.
        size: number of pixels, an int64 scalar.
        origin: position in the image of pixel 0, a float64 scalar.
        pixels: of the image along this axis, an int64 scalar.
        first: index of the first of these pixels where the line is a part of a longer one, an int64
            scalar; `origin` is still that of pixel 0.
    """

    least: float
    baked: bool
    scale: Value
    size: Value
    origin: Value
    pixels: Value
    first: Value | int = 0

    @classmethod
    def image(cls, graph: Graph, pixels: Value) -> "Line":
        """Lay a line over the image that has exactly the image's own pixels."""
        scale, origin = graph.constant(double(1.0)), graph.constant(double(0.0))
        return cls(1.0, True, scale, pixels, origin, pixels)

    def project(self, graph: Graph, least: float, scale: Value | None = None) -> "Line":
        """Lay another line over the image whose own pixels this is, of `scale`, or of `least`."""
        baked = scale is None
        if baked and least == 1.0:
            return self
        if scale is None:
            scale = graph.constant(double(least))
        size = self._projected_size(graph, least, None if baked else scale)
        sizes = graph.double(self.pixels), graph.double(size)
        origin = add_function(graph, centred_origin, *sizes, scale, number=double)
        return Line(least, baked, scale, size, origin, self.pixels)

    def _projected_size(self, graph: Graph, least: float, scale: Value | None) -> Value:
        """Multiply the pixels by the scale and round, halves up, to at least 1."""
        exact = Fraction(least)
        if scale is None and exact.denominator <= LARGEST_DENOMINATOR:
            # in whole numbers, which every runtime has
            half, whole = exact.denominator, 2 * exact.denominator
            doubled = graph("Mul", self.pixels, 2 * exact.numerator)
            return graph("Max", graph("Div", graph("Add", doubled, half), whole), 1)
        factor = double(least) if scale is None else scale
        exactly = graph("Mul", graph.double(self.pixels), factor)
        size = graph("Floor", graph("Add", exactly, double(HALF)))
        return graph("Max", graph.whole(size), 1)


class Offsets(NamedTuple):
    """How far the neighbours of some positions of a line on another are from these.

    Attributes:
        offset: float32 (positions, neighbours), stretched where the grid reduces.
        scale: pixels per pixel of the inner grid, a float64 scalar.
    """

    offset: Value
    scale: Value


class Taps(NamedTuple):
    """The neighbours of each position of a line on another.

    Attributes:
        pixel: of the inner grid, clamped to it, int64 (size, neighbours).
        offsets: of them.
    """

    pixel: Value
    offsets: Offsets


def taps(
    graph: Graph, inner: Line, outer: Line, kernel_size: int, block: Value | None = None
) -> Taps:
    """Find the pixels of `inner` that lie under a kernel at each position of `outer`.

    The last position is repeated until their number is a multiple of `block`.
    """
    size = outer.size
    if block is not None:
        more = graph("Add", size, graph("Sub", block, 1))
        size = graph("Mul", graph("Div", more, block), block)
    steps = graph("Range", 0, size, 1)
    if block is not None:
        steps = graph("Min", steps, graph("Sub", outer.size, 1))
    if outer.first != 0:
        steps = graph("Add", steps, outer.first)
    steps = graph.double(steps)
    number, scale, stretch, positions, first = _first(graph, inner, outer, steps, kernel_size)
    neighbours = graph.double(graph("Range", 0, number, 1))
    pixel = graph("Add", graph("Unsqueeze", first, [1]), neighbours)
    offset = graph("Mul", graph("Sub", pixel, graph("Unsqueeze", positions, [1])), stretch)
    last = graph("Sub", inner.size, 1)
    index = graph("Min", graph("Max", graph.whole(pixel), 0), last)
    return Taps(index, Offsets(graph.float(offset), scale))


def needed(graph: Graph, inner: Line, outer: Line, kernel_size: int) -> Line:
    """Find the part of `inner` that a kernel at the positions of `outer` reads."""
    last = graph("Sub", graph("Add", outer.first, outer.size), 1)
    ends = graph.double(graph.shape(outer.first, last))
    number, *_, first = _first(graph, inner, outer, ends, kernel_size)
    start, stop = (graph.whole(graph("Gather", first, end)) for end in (0, 1))
    return part(graph, inner, start, graph("Add", stop, number))


def part(graph: Graph, line: Line, start: Value, stop: Value) -> Line:
    """Take the pixels of a line from `start` to `stop`, as far as it has them."""
    start, stop = graph("Max", start, 0), graph("Min", stop, line.size)
    return line._replace(first=start, size=graph("Sub", stop, start))


def _first(
    graph: Graph, inner: Line, outer: Line, steps: Value, kernel_size: int
) -> tuple[Value | int, Value, Value, Value, Value]:
    """Return number of taps, scale, stretch, positions and first taps of steps of `outer`."""
    scale = graph("Div", outer.scale, inner.scale)
    stretch = graph("Min", scale, double(1.0))
    number: Value | int
    if inner.baked and outer.baked:
        number = math.ceil(kernel_size / min(outer.least / inner.least, 1.0) - 1e-9)
    else:
        width = graph("Div", double(kernel_size), stretch)
        number = graph.whole(graph("Ceil", graph("Sub", width, double(1e-9))))
    add = partial(add_function, graph, number=double)
    origin = add(within, outer.origin, inner.origin, inner.scale)
    positions = add(position, steps, origin, scale)
    first = add(first_pixel, positions, graph("Div", double(kernel_size / 2), stretch))
    return number, scale, stretch, positions, first


def within(origin: Value, inner_origin: Value, inner_scale: Value) -> Value:
    """Give an input position in the index units of an inner line over the same input."""
    place: Value = within_origin(origin, inner_origin, inner_scale)
    return place
