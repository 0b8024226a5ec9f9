"""A window of the enlarged picture is computed from the part of the picture that it needs.

The graph finds that part itself, by the same steps as :meth:`ccsr.model.CCSR.crop`. So whoever runs
the file computes any picture window by window, in memory that does not grow with it.
"""

from typing import NamedTuple

from onnx import TensorProto, helper

from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Line, needed, part
from ccsr.export.layers import Lines
from ccsr.model import CCSR
from ccsr.model.encoder import Elastic
from ccsr.model.whole import BASE_KERNEL_SIZE

INPUTS = [
    helper.make_tensor_value_info("origin", TensorProto.INT64, [2]),
    helper.make_tensor_value_info("size", TensorProto.INT64, [2]),
]


class Cut(NamedTuple):
    """The part of the picture that is computed instead of the whole.

    Attributes:
        image: the part of the picture, (n, 3, h, w).
        lines: its own pixels.
        target: the window's positions on it.
    """

    image: Value
    lines: Lines
    target: Lines


def cut(
    graph: Graph,
    model: CCSR,
    image: Value,
    lines: list[Lines],
) -> Cut:
    """Take the window that the inputs `origin` and `size` name, (row, column) and (rows, columns).

    A runtime stops with an error where it does not lie within the enlarged picture.

    Args:
        graph: gets the operators.
        model: says how far it reaches.
        image: the whole picture.
        lines: of the picture, of the grids on the way, and of the whole target.
    """
    parts, targets = [], []
    for axis in (0, 1):
        own, *via, target = (each[axis] for each in lines)
        window = _window(graph, target, axis)
        held = _needed(graph, model, own, via, window)
        origin = graph("Sub", window.origin, graph.double(held.first))  # of a crop, as `shifted`
        targets.append(window._replace(origin=origin, pixels=held.size))
        parts.append(held)
    starts = graph.shape(*(each.first for each in parts))
    stops = graph.shape(*(graph("Add", each.first, each.size) for each in parts))
    image = graph("Slice", image, starts, stops, [2, 3])
    rows, columns = (Line.image(graph, each.size) for each in parts)
    return Cut(image, (rows, columns), (targets[0], targets[1]))


def _window(graph: Graph, target: Line, axis: int) -> Line:
    first, size = (graph("Gather", Value(name), axis) for name in ("origin", "size"))
    last = graph("Sub", graph("Add", first, size), 1)
    inside = graph(
        "And",
        graph("And", graph("LessOrEqual", 0, first), graph("LessOrEqual", first, last)),
        graph("Less", last, target.size),
    )
    reason = f"window_must_lie_within_the_enlarged_picture_{axis}"
    zero = graph("Gather", [0], graph.whole(graph("Not", inside)), name=reason)
    return target._replace(first=graph("Add", first, zero), size=size)


def _needed(graph: Graph, model: CCSR, own: Line, via: list[Line], window: Line) -> Line:
    """Find the pixels of the picture that the network and the base read for a window."""
    base = needed(graph, own, window, BASE_KERNEL_SIZE)
    outer = window
    encoded, *others = via if isinstance(model.encoder, Elastic) else [own, *via]
    kernel_sizes = model.stack.kernel_sizes
    for inner, kernel_size in zip(
        reversed([encoded, *others]), reversed(kernel_sizes), strict=True
    ):
        outer = needed(graph, inner, outer, kernel_size)
    outer = _join(graph, encoded, outer, needed(graph, encoded, window, BASE_KERNEL_SIZE))
    radius = model.encoder.radius
    outer = part(
        graph,
        encoded,
        graph("Sub", outer.first, radius),
        graph("Add", graph("Add", outer.first, outer.size), radius),
    )
    if isinstance(model.encoder, Elastic):
        outer = needed(graph, own, outer, model.encoder.head.kernel_size)
    return _join(graph, own, outer, base)


def _join(graph: Graph, line: Line, one: Line, other: Line) -> Line:
    """Find the shortest part of `line` that holds two parts of it."""
    start = graph("Min", one.first, other.first)
    ends = (graph("Add", each.first, each.size) for each in (one, other))
    return part(graph, line, start, graph("Max", *ends))
