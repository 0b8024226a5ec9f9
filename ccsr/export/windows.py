"""A window of the enlarged picture is computed from the part of the picture that it needs.

The graph finds that part itself, by the same steps as :meth:`ccsr.model.CCSR.crop`. So whoever runs
the file computes any picture window by window, in memory that does not grow with it.
"""

import math
from typing import NamedTuple

from onnx import TensorProto, helper

from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Line, needed, part
from ccsr.export.repeating import Lines
from ccsr.grid import HALF, ProjectedGrid, position
from ccsr.model import CCSR
from ccsr.model.encoder import Elastic
from ccsr.model.whole import BASE_KERNEL_SIZE

INPUTS = [
    helper.make_tensor_value_info(name, TensorProto.INT64, [2])
    for name in ("origin", "size", "corner", "whole")
]
SCALES = (
    1.0,
    1.01,
    1.25,
    1.5,
    1.99,
    2.0,
    2.37,
    3.0,
    8.0,
    64.0,
)  # that show how far a network reads


def picture(graph: Graph, image: Value) -> Lines:
    """Lay lines over the picture's own pixels.

    The inputs `corner` and `whole` say where in a larger picture `image` lies, and how large that
    is: zeros where it is the whole picture.
    """
    given = Value("whole")
    sizes = graph("Slice", graph("Shape", image), [2], [4])
    whole = graph("Where", graph("Less", 0, given), given, sizes)
    rows, columns = (Line.image(graph, graph("Gather", whole, axis)) for axis in (0, 1))
    return rows, columns


def radius(model: CCSR, least: float) -> int:
    """Find how many pixels around a position, at most, a window from the scale `least` on reads."""
    side, found = 4096, 0.0
    for scale in SCALES:
        if scale < least:
            continue
        pixels = math.floor(side * scale + HALF)
        grid = ProjectedGrid.project((side, side), (pixels, pixels), scale, "centred")
        route = model.route((side, side), grid)
        for index in range(pixels // 2, pixels // 2 + 8):
            part = slice(index, index + 1)
            rows = model.crop((side, side), grid, route, part, part).rows
            place = position(index, grid.rows.origin, scale)
            found = max(found, place - rows.start, rows.stop - 1 - place)
    return math.ceil(found) + 1


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
    starts, stops = zip(
        *(_within(graph, image, held, axis) for axis, held in enumerate(parts)), strict=True
    )
    image = graph("Slice", image, graph.shape(*starts), graph.shape(*stops), [2, 3])
    rows, columns = (Line.image(graph, each.size) for each in parts)
    return Cut(image, (rows, columns), (targets[0], targets[1]))


def _within(graph: Graph, image: Value, held: Line, axis: int) -> tuple[Value, Value]:
    """Count the needed pixels from where the given part of the picture begins."""
    corner = graph("Gather", Value("corner"), axis)
    start = graph("Sub", held.first, corner)
    stop = graph("Add", start, held.size)
    outside = graph("Or", graph("Less", start, 0), graph("Less", graph.size(image, 2 + axis), stop))
    reason = f"image_must_hold_all_that_the_window_needs_{axis}"
    zero = graph("Gather", [0], graph.whole(outside), name=reason)
    return graph("Add", start, zero), stop


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
