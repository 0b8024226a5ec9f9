"""Encoders, decoders and activations as ONNX operators."""

import math
import operator
from typing import Any

from torch import Tensor, fx, nn

from ccsr.export.graph import Graph, Value


def add_module(graph: Graph, module: nn.Module, x: Value) -> Value:
    """Add a module of convolutions, activations, sums and products, whatever its structure.

    Raises:
        ValueError: if it computes anything else.
    """
    traced = fx.symbolic_trace(nn.Sequential(module))
    values: dict[fx.Node, Value] = {}

    def value(argument: Any) -> Value | float:
        return values[argument] if isinstance(argument, fx.Node) else float(argument)

    for node in traced.graph.nodes:
        if node.op == "placeholder":
            values[node] = x
        elif node.op == "output":
            return values[node.args[0]]
        elif node.op == "call_module":
            values[node] = _layer(graph, traced.get_submodule(node.target), values[node.args[0]])
        elif node.target in _ARITHMETIC:
            values[node] = graph(_ARITHMETIC[node.target], *map(value, node.args))
        else:
            raise ValueError(
                f"cannot export {type(module).__name__}: no ONNX operator is known for "
                f"{node.target}, expected layers, sums and products"
            )
    raise AssertionError("a traced module ends in an output")


_ARITHMETIC = {operator.add: "Add", operator.sub: "Sub", operator.mul: "Mul"}


def _layer(graph: Graph, layer: nn.Module, x: Value) -> Value:
    match layer:
        case nn.Identity():
            return x
        case nn.ReLU():
            return graph("Relu", x)
        case nn.GELU(approximate="none"):
            erf = graph("Erf", graph("Div", x, math.sqrt(2)))
            return graph("Mul", graph("Mul", x, graph("Add", erf, 1.0)), 0.5)
        case nn.Conv2d(padding_mode="zeros", padding=tuple()):
            return convolution(graph, layer, x)
    raise ValueError(f"cannot export the layer {layer}: no ONNX operator is known for it")


def convolution(graph: Graph, layer: nn.Conv2d, x: Value) -> Value:
    """Add a convolution with zeros beyond the border."""
    assert isinstance(layer.padding, tuple)
    inputs: list[Value | Tensor] = [x, layer.weight]
    if layer.bias is not None:
        inputs.append(layer.bias)
    return graph(
        "Conv",
        *inputs,
        pads=layer.padding * 2,
        strides=layer.stride,
        dilations=layer.dilation,
        group=layer.groups,
    )
