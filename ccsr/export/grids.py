"""Projected grids in an ONNX graph, where the size of the image is known only when it runs.

The same arithmetic as :mod:`ccsr.resample`, in float64, for one axis and the anchor `centred`.
"""

import math
from typing import NamedTuple

import torch

from ccsr.export.graph import Graph, Value


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
        pixels = graph.double(self.pixels)
        half, one = double(0.5), double(1.0)
        size = graph("Max", graph("Floor", graph("Add", graph("Mul", pixels, scale), half)), one)
        extent = graph("Div", graph("Sub", size, one), scale)
        origin = graph("Mul", graph("Sub", graph("Sub", pixels, one), extent), half)
        return Line(least, baked, scale, graph.whole(size), origin, self.pixels)


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
    origin = graph("Mul", graph("Sub", outer.origin, inner.origin), inner.scale)
    steps = graph.double(graph("Range", 0, outer.size, 1))
    position = graph("Add", graph("Div", steps, scale), origin)
    reach = graph("Div", double(kernel_size / 2), stretch)
    first = graph("Add", graph("Floor", graph("Sub", position, reach)), double(1.0))
    pixel = graph("Add", graph("Unsqueeze", first, [1]), torch.arange(number).double())
    offset = graph("Mul", graph("Sub", pixel, graph("Unsqueeze", position, [1])), stretch)
    last = graph("Sub", inner.size, 1)
    index = graph("Min", graph("Max", graph.whole(pixel), 0), last)
    return Taps(number, index, graph.float(offset), scale)
