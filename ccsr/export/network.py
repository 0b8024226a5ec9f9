"""A network becomes an ONNX graph, for one scale or with the scale as an input."""

import copy

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from ccsr.export import windows
from ccsr.export.folding import folded
from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Line, double
from ccsr.export.layers import add_cc_layer
from ccsr.export.repeating import Lines
from ccsr.export.tracing import add_function, add_module
from ccsr.grid import ProjectedGrid, Scale, Size, as_pair, as_size, output_size
from ccsr.model import CCSR, CCLayer, Network
from ccsr.model.conditioning import ConditionedConv, column_terms
from ccsr.model.encoder import Elastic, Encoder, Plain, computes_as
from ccsr.model.fields import CubicField
from ccsr.model.network import parts_of
from ccsr.model.residual import AROUND, BLEND, EVERY, Residual
from ccsr.model.stack import Stack
from ccsr.model.whole import BASE_KERNEL_SIZE, LARGEST_RESIDUAL

QUALITY = "quality"  # an input
LEAST_INPUTS = (1.0, 1.5)  # smallest scale as an input: the first from which a network has one way
LARGEST_INPUT = 1024.0  # largest: beyond, it is a mistake
LARGEST_SIDE = 1 << 16  # of a fixed size: beyond, it is a mistake
_SIZE: Size = (64, 64)  # any: how a route divides a scale does not depend on the size
_LARGE = 64.0  # a scale that stands for all large ones


def to_onnx(
    model: Network, scale: Scale | None, *, window: bool = False, size: Size | None = None
) -> onnx.ModelProto:
    """Write the network, at full effort, as a graph that gives what `Upscaler.tensor` gives.

    Where both axes reduce that is bicubic alone.

    Its input is `image`, float32 (n, 3, h, w), RGB in [0, 1], of any size; its output is
    `enlarged`, float32 (n, 3, H, W), clamped to [0, 1], with H = floor(h scale + 0.5), at least 1.

    Args:
        model: on any device, of any type of floats; the graph computes in float32.
        scale: output over input, or (vertical, horizontal). None adds the input `scale`, float64
            (2,), vertical and horizontal; values below the first of `LEAST_INPUTS` from which the
            network has one way are taken as that, and a runtime stops with an error at values
            beyond 1024 or that are not numbers.
        window: add the inputs `origin`, int64 (2,), the row and column of the enlarged picture
            where a window begins, and `size`, int64 (2,), its rows and columns. `enlarged` is that
            window alone, from the part of the image that it needs. Only with a scale of None.
            Where `image` is only a part of the picture, `corner`, int64 (2,), is the row and
            column where that begins, and `whole`, int64 (2,), the size (h, w) of the picture;
            where it is the whole, both are zeros. A network that is conditioned on it has the input
            `quality`, float32 (1,), too: of the JPEG that the picture was, 1 to 100 as libjpeg
            counts, or 0 where that is not known, as without a window always.
        size: (h, w) of one picture, for programs that ask for fixed sizes: the input is then
            `input`, (1, 3, h, w), and the output `output`, (1, 3, H, W). What follows from the
            sizes is computed now. Only with a scale.

    Raises:
        ValueError: if the scale is 1 and the network does not clean, not an input of a window, or
            an input where the size is fixed, if a side of `size` is not from 1 to 65536, or if the
            network has a part that cannot be exported at the scale.
    """
    model = parts_of(model if window else model.at_quality(None))
    if any(each.dtype != torch.float32 for each in model.parameters()):
        model = copy.deepcopy(model).float()
    size = None if size is None else as_size(size)
    _check(scale, window, size)
    if scale is not None and as_pair(scale) == (1, 1) and not model.cleans:
        raise ValueError(
            "expected a scale to export a network for, got 1: that is the picture, and only a "
            "network that cleans, such as photo, has something to do there"
        )
    _check_parts(model, window)
    graph = Graph()
    image = Value("input" if size else "image")
    rows, columns = windows.picture(graph, image) if window else _picture(graph, image)
    shape = (1, 3, *size) if size else ("n", 3, "height", "width")
    inputs = [_tensor(image, TensorProto.FLOAT, *shape)]
    if scale is None:
        inputs.append(_tensor("scale", TensorProto.DOUBLE, 2))
        least, route = fixed_route(model)
        given = graph("Max", _checked_scale(graph), double(least))
        vertical, horizontal = (graph("Gather", given, axis) for axis in (0, 1))
        target = (
            rows.project(graph, least, vertical),
            columns.project(graph, least, horizontal),
        )
    else:
        pair = as_pair(scale)
        route = _route(model, pair)
        target = rows.project(graph, pair[0]), columns.project(graph, pair[1])
    via = _via(graph, (rows, columns), route)
    if window:
        inputs += windows.INPUTS
        inputs += [_tensor(QUALITY, TensorProto.FLOAT, 1)] if model.conditioned else []
        image, (rows, columns), target = windows.cut(
            graph, model, image, [(rows, columns), *via, target]
        )
        via = _via(graph, (rows, columns), route)
    result = _add_bicubic(graph, image, (rows, columns), target)
    if scale is None or max(pair) >= 1:  # what reduces is bicubic
        bicubic = result if model.base == "none" else None
        residual = _add_network(graph, model, image, [(rows, columns), *via, target], bicubic)
        result = graph("Add", result, residual)
    result = graph("Clip", result, 0.0, 1.0)
    if size and scale is not None:
        output = _tensor("output", TensorProto.FLOAT, 1, 3, *output_size(size, scale))
        return folded(graph.model(inputs, result, output))
    output = _tensor("enlarged", TensorProto.FLOAT, "n", 3, "enlarged_height", "enlarged_width")
    return graph.model(inputs, result, output)


def _check(scale: Scale | None, window: bool, size: Size | None) -> None:
    if window and scale is not None:
        raise ValueError(f"a window needs the scale as an input too, got the scale {scale}")
    if size and scale is None:
        raise ValueError("a fixed size of the input needs one scale, but the scale is an input")
    if size and max(size) > LARGEST_SIDE:
        raise ValueError(
            f"expected sides from 1 to {LARGEST_SIDE} pixels, got {size} (height, width)"
        )


def _picture(graph: Graph, image: Value) -> Lines:
    """Lay lines over the picture's own pixels."""
    rows, columns = (Line.image(graph, graph.size(image, dimension)) for dimension in (2, 3))
    return rows, columns


def _via(graph: Graph, image: Lines, route: list[tuple[float, float]]) -> list[Lines]:
    """Lay the grids on the way over an image whose own pixels these are."""
    rows, columns = image
    return [(rows.project(graph, v), columns.project(graph, h)) for v, h in route]


def _checked_scale(graph: Graph) -> Value:
    """The input `scale`; reading it fails, with a name that says why, where it makes no sense."""
    scale = Value("scale")
    wrong = graph("Not", graph("LessOrEqual", scale, double(LARGEST_INPUT)))  # so is no number
    one = graph.constant(torch.ones(1, dtype=torch.float64))
    reason = f"scale_must_be_a_number_up_to_{LARGEST_INPUT:g}"
    return graph("Mul", scale, graph("Gather", one, graph.whole(wrong), name=reason))


def _tensor(name: str, kind: int, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _route(model: CCSR, scale: tuple[float, float]) -> list[tuple[float, float]]:
    """List the scales of the intermediate grids, all of which are centred."""
    grid = ProjectedGrid.project(_SIZE, output_size(_SIZE, scale), scale, "centred")
    route = model.route(_SIZE, grid)
    return [via.scale for via in (route if isinstance(model.encoder, Elastic) else route[1:])]


def fixed_route(model: CCSR) -> tuple[float, list[tuple[float, float]]]:
    """Find the scale from which on the intermediate grids are the same, and list their scales."""
    route = _route(model, (_LARGE, _LARGE))
    for least in LEAST_INPUTS:
        if _route(model, (least, least)) == route:
            return least, route
    raise ValueError(
        f"cannot keep the scale of a {type(model.stack).__name__.lower()!r} stack an input: "
        f"its inner grids are not the same from {LEAST_INPUTS[-1]} on, export it for one scale"
    )


def _check_parts(model: CCSR, window: bool) -> None:
    """Raise ValueError for parts that compute what a graph made of their layers would not.

    Those of other packages may have a forward of their own, which only encoders are traced for.
    """
    layers = [type(each).forward is CCLayer.forward for each in model.stack.layers]
    if type(model.stack).forward is not Stack.forward or not layers or not all(layers):
        raise ValueError(
            f"cannot export the stack {type(model.stack).__name__}: expected one of CC layers, "
            "without a forward of its own"
        )
    if window and model.conditioned and not computes_as(model.encoder, Plain):
        raise ValueError(
            f"cannot keep the quality an input of the encoder {type(model.encoder).__name__}: "
            "export it for one quality"
        )


def _add_network(
    graph: Graph, model: CCSR, image: Value, grids: list[Lines], bicubic: Value | None
) -> Value:
    """Add what `CCSR.read` computes beside the bicubic base, which a network without has within."""
    x, trust, inner, outer = _add_encoder(graph, model.encoder, graph("Sub", image, 0.5), grids)
    encoded, target = inner, outer[-1]
    for number, (layer, grid) in enumerate(zip(model.stack.layers, outer, strict=True)):
        assert isinstance(layer, CCLayer)
        x = add_module(graph, model.stack.activation, x) if number else x
        x = add_cc_layer(graph, layer, x, inner, grid)
        inner = grid
    residual = add_module(graph, model.decoder, x)
    if bicubic is not None:
        residual = graph("Sub", residual, bicubic)
    sane = graph("LessOrEqual", graph("Abs", residual), LARGEST_RESIDUAL)
    residual = graph("Where", sane, residual, 0.0)
    if trust is None:
        return residual
    share = graph("Clip", _add_bicubic(graph, trust, encoded, target, channels=1), 0.0, 1.0)
    return graph("Mul", residual, share)


def _add_encoder(
    graph: Graph, encoder: Encoder, x: Value, grids: list[Lines]
) -> tuple[Value, Value | None, Lines, list[Lines]]:
    """Add the features, how far to trust them, their grid, and list the grids that follow."""
    inner, *outer = grids
    if computes_as(encoder, Elastic):
        x = add_cc_layer(graph, encoder.head, x, inner, outer[0])
        return *_add_body(graph, encoder.body, x), outer[0], outer[1:]
    if computes_as(encoder, Plain):
        x = add_module(graph, encoder.head, x)
        return *_add_body(graph, encoder.body, x), inner, outer
    return add_module(graph, _OnImage(encoder), x, type(encoder).__name__), None, inner, outer


def _add_body(graph: Graph, body: Residual, x: Value) -> tuple[Value, Value | None]:
    """Add what `Residual.guarded` computes, and what conditioned blocks make of `quality`."""
    wild: Value | None = None
    for number, block in enumerate(body, 1):
        assert isinstance(block, nn.Sequential)
        hidden = _add_start(graph, block[:-1], x)
        hidden = hidden if wild is None else graph("Where", wild, 0.0, hidden)
        x = graph("Add", x, add_module(graph, block[-1], hidden))
        if body.limits and number % EVERY == 0:
            limit = body.limits[number // EVERY - 1]
            highest = graph("ReduceMax", x, axes=[1], keepdims=1)
            beyond = graph("Sub", 1.0, graph.float(graph("LessOrEqual", highest, float(limit))))
            around = graph("Greater", _pooled(graph, "MaxPool", beyond, AROUND), 0.0)
            wild = around if wild is None else graph("Or", wild, around)
        x = x if wild is None else graph("Where", wild, 0.0, x)
    if wild is None:
        return x, None
    cut = graph.float(wild)
    near = _pooled(graph, "AveragePool", cut, BLEND, count_include_pad=0)
    trust = graph("Mul", graph("Sub", 1.0, near), graph("Sub", 1.0, cut))
    return x, trust


def _add_start(graph: Graph, layers: nn.Sequential, x: Value) -> Value:
    """Add the layers of a block but its last, of which the first may be conditioned."""
    first, *others = layers
    if not isinstance(first, ConditionedConv):
        return add_module(graph, layers, x)
    told = add_function(graph, column_terms, graph("Unsqueeze", Value(QUALITY), [1]))
    shift = graph("Unsqueeze", graph("MatMul", told, first.shift), [2, 3])
    x = graph("Add", add_module(graph, first.at(None), x), shift)
    return add_module(graph, nn.Sequential(*others), x)


def _pooled(graph: Graph, operator: str, x: Value, radius: int, **attributes: int) -> Value:
    side = 2 * radius + 1
    return graph(operator, x, kernel_shape=[side, side], pads=[radius] * 4, **attributes)


class _OnImage(nn.Module):
    """Makes an encoder whose grid is the image's own a function of the image alone."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.encoder(x, self.encoder.grid((1, 1)))  # which it does not look at
        return features


def _add_bicubic(
    graph: Graph, image: Value, inner: Lines, outer: Lines, channels: int = 3
) -> Value:
    """Add bicubic as a CC layer on single colour planes."""
    layer = CCLayer(1, 1, BASE_KERNEL_SIZE, CubicField, bias=False)
    nn.init.ones_(layer.weight)
    planes = graph("Reshape", image, [-1, 1, 0, 0])
    planes = add_cc_layer(graph, layer, planes, inner, outer)
    return graph("Reshape", planes, [-1, channels, 0, 0])
