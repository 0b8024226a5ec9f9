"""Projected grids in an ONNX graph, where the size of the image is known only when it runs.

The same arithmetic as :mod:`ccsr.resample`, in float64, for one axis and the anchor `centred`.
"""

from typing import NamedTuple

import torch

from ccsr.export.graph import Graph, Value

Factor = float | Value  # baked in, or a float64 scalar of the graph


def double(value: float) -> torch.Tensor:
    """A float64 scalar."""
    return torch.tensor(value, dtype=torch.float64)


class Line(NamedTuple):
    """One axis of a grid laid over the image.

    Attributes:
        factor: pixels per pixel of the image.
        size: number of pixels, an int64 scalar.
        origin: position in the image of pixel 0, a float64 scalar.
        pixels: of the image along this axis, an int64 scalar.
    """

    factor: Factor
    size: Value
    origin: Value
    pixels: Value

    @classmethod
    def image(cls, graph: Graph, pixels: Value) -> "Line":
        """The image's own pixels."""
        return cls(1.0, pixels, graph.constant(double(0.0)), pixels)

    def project(self, graph: Graph, factor: Factor) -> "Line":
        """A grid of `factor` over the image whose own pixels this is."""
        if factor == 1.0:
            return self
        scale = scalar(graph, factor)
        pixels = graph.double(self.pixels)
        half = double(0.5)
        size = graph("Floor", graph("Add", graph("Mul", pixels, scale), half))
        size = graph("Max", size, double(1.0))
        extent = graph("Div", graph("Sub", size, double(1.0)), scale)
        origin = graph("Mul", graph("Sub", graph("Sub", pixels, double(1.0)), extent), half)
        return Line(factor, graph.whole(size), origin, self.pixels)


class Taps(NamedTuple):
    """Neighbours of each position.

    Attributes:
        index: pixel of the inner grid, clamped to it, int64 (size, taps).
        offset: float32 (size, taps), stretched where the grid reduces.
        scale: pixels per pixel of the inner grid, a float64 scalar.
    """

    index: Value
    offset: Value
    scale: Value


def taps(graph: Graph, outer: Line, inner: Line, kernel_size: int, number: int) -> Taps:
    """The `number` pixels of `inner` under a kernel at each position of `outer`."""
    outer_scale, inner_scale = scalar(graph, outer.factor), scalar(graph, inner.factor)
    scale = graph("Div", outer_scale, inner_scale)
    stretch = graph("Min", scale, double(1.0))
    origin = graph("Mul", graph("Sub", outer.origin, inner.origin), inner_scale)
    index = graph.double(graph("Range", 0, outer.size, 1))
    position = graph("Add", graph("Div", index, scale), origin)
    reach = graph("Div", double(kernel_size / 2), stretch)
    first = graph("Add", graph("Floor", graph("Sub", position, reach)), double(1.0))
    steps = torch.arange(number, dtype=torch.float64)
    pixel = graph("Add", graph("Unsqueeze", first, [1]), steps)
    offset = graph("Mul", graph("Sub", pixel, graph("Unsqueeze", position, [1])), stretch)
    last = graph("Sub", inner.size, 1)
    clamped = graph("Min", graph("Max", graph.whole(pixel), 0), last)
    return Taps(clamped, graph.float(offset), scale)


def scalar(graph: Graph, factor: Factor) -> Value:
    """A factor as a value of the graph."""
    return graph.constant(double(factor)) if isinstance(factor, float) else factor
