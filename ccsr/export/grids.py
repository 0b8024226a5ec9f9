"""Projected grids in an ONNX graph, where the size of the image is known only when it runs.

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
    """A float64 scalar."""
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
    """

    least: float
    baked: bool
    scale: Value
    size: Value
    origin: Value
    pixels: Value

    @classmethod
    def image(cls, graph: Graph, pixels: Value) -> "Line":
        """The image's own pixels."""
        scale, origin = graph.constant(double(1.0)), graph.constant(double(0.0))
        return cls(1.0, True, scale, pixels, origin, pixels)

    def project(self, graph: Graph, least: float, scale: Value | None = None) -> "Line":
        """A grid over the image whose own pixels this is: of `scale`, or baked in, of `least`."""
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
        """Pixels times the scale, rounded, halves up; at least 1."""
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


class Taps(NamedTuple):
    """Neighbours of each position.

    Attributes:
        number: of neighbours per position.
        pixel: of the inner grid, clamped to it, int64 (size, number).
        offset: float32 (size, number), stretched where the grid reduces.
        scale: pixels per pixel of the inner grid, a float64 scalar.
    """

    number: int
    pixel: Value
    offset: Value
    scale: Value


def taps(graph: Graph, inner: Line, outer: Line, kernel_size: int) -> Taps:
    """The pixels of `inner` under a kernel at each position of `outer`."""
    number = math.ceil(kernel_size / min(outer.least / inner.least, 1.0) - 1e-9)
    scale = graph("Div", outer.scale, inner.scale)
    stretch = graph("Min", scale, double(1.0))
    add = partial(add_function, graph, number=double)
    origin = add(_within, outer.origin, inner.origin, inner.scale)
    steps = graph.double(graph("Range", 0, outer.size, 1))
    positions = add(position, steps, origin, scale)
    first = add(first_pixel, positions, graph("Div", double(kernel_size / 2), stretch))
    pixel = graph("Add", graph("Unsqueeze", first, [1]), torch.arange(number).double())
    offset = graph("Mul", graph("Sub", pixel, graph("Unsqueeze", positions, [1])), stretch)
    last = graph("Sub", inner.size, 1)
    index = graph("Min", graph("Max", graph.whole(pixel), 0), last)
    return Taps(number, index, graph.float(offset), scale)


def _within(origin: Value, inner_origin: Value, inner_scale: Value) -> Value:
    within: Value = within_origin(origin, inner_origin, inner_scale)
    return within
