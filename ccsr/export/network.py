"""A network as an ONNX file, for one scale or with the scale as an input."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper

from ccsr import __version__
from ccsr.arguments import scale_text
from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Factor, Line
from ccsr.export.layers import Lines, add_cc_layer
from ccsr.export.pointwise import add_module
from ccsr.files import replacing
from ccsr.model import CCSR, CCLayer
from ccsr.model.kernels import CubicField
from ccsr.resample import ProjectedGrid, Scale, as_pair, output_size

SAMPLE = (64, 64)  # any size: the factors of a stack's grids follow from the scale alone


def to_onnx(model: CCSR, scale: Scale, summary: Mapping[str, Any] | None = None) -> onnx.ModelProto:
    pair = as_pair(scale)
    graph = Graph()
    image = Value("image")
    size = [Line.image(graph, graph.size(image, dimension)) for dimension in (2, 3)]

    def lay(factors: tuple[Factor, Factor]) -> Lines:
        rows, columns = (line.project(graph, f) for line, f in zip(size, factors, strict=True))
        return rows, columns

    target = ProjectedGrid.project(SAMPLE, output_size(SAMPLE, pair), pair, "centred")
    via = [lay(grid.scale) for grid in model.route(SAMPLE, target)]
    grids = [lay((1.0, 1.0)), *via, lay(pair)]
    x = add_module(graph, model.encoder, graph("Sub", image, 0.5))
    stack = model.stack
    for layer, between, inner, outer in zip(stack.layers, stack.between, grids[:-1], grids[1:], strict=True):
        x = add_module(graph, between, add_cc_layer(graph, layer, x, inner, outer))
    x = add_module(graph, model.decoder, x)
    base = CCLayer(1, 1, 4, CubicField, bias=False)
    torch.nn.init.ones_(base.weight)
    h, w = (line.size for line in grids[0])
    planes = graph("Reshape", image, graph.shape(-1, 1, h, w))
    planes = add_cc_layer(graph, base, planes, grids[0], grids[-1])
    H, W = (line.size for line in grids[-1])
    base_image = graph("Reshape", planes, graph.shape(-1, 3, H, W))
    y = graph("Clip", graph("Add", base_image, x), 0.0, 1.0)
    return graph.model(
        "ccsr",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        helper.make_tensor_value_info(y, TensorProto.FLOAT, ["n", 3, "H", "W"]),
    )
