"""Formulas and modules of the model become ONNX operators, as `torch.fx` follows them.

What the model computes is written once: the graph gets the model's own functions of positions and
offsets, and its encoders, decoders and activations, whatever their structure.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from ccsr.export.graph import Constant, Graph, Value


def add_function(
    graph: Graph,
    function: Callable[..., Any],
    *values: Value,
    number: Callable[[float], Constant] = float,
) -> Value:
    """Add a function of tensors that is made of arithmetic, comparisons and the like.

    Args:
        graph: gets the operators.
        function: of as many tensors as there are values.
        values: what it is applied to.
        number: makes constants of the type of the values from the function's numbers.

    Raises:
        ValueError: if it computes anything for which no ONNX operator is known.
    """
    name = getattr(function, "__name__", str(function))
    return _followed(graph, name, fx.symbolic_trace(function), values, number)


def add_module(graph: Graph, module: nn.Module, x: Value) -> Value:
    """Add a module of convolutions, activations, sums, products and joins of channels.

    Raises:
        ValueError: if it computes anything else.
    """
    name = type(module).__name__
    return _followed(graph, name, fx.symbolic_trace(nn.Sequential(module)), [x], float)


def _followed(
    graph: Graph,
    name: str,
    traced: fx.GraphModule,
    inputs: Sequence[Value],
    number: Callable[[float], Constant],
) -> Value:
    left = iter(inputs)
    values: dict[fx.Node, Value] = {}

    def value(argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return [value(each) for each in argument]
        return values[argument] if isinstance(argument, fx.Node) else number(argument)

    for node in traced.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(left)
        elif node.op == "output":
            return values[node.args[0]]
        elif node.op == "call_module":
            layer, (given,) = traced.get_submodule(node.target), node.args
            if getattr(layer, "inplace", False) and len(given.users) > 1:
                raise ValueError(
                    f"cannot export {name}: {layer} changes in place what is used once more: give "
                    "it inplace=False"
                )
            values[node] = _layer(graph, layer, values[given])
        elif node.target in _OPERATORS and not node.kwargs:
            made = _OPERATORS[node.target]
            arguments = [value(argument) for argument in node.args]
            values[node] = (
                graph(made, *arguments) if isinstance(made, str) else made(graph, *arguments)
            )
        else:
            raise ValueError(
                f"cannot export {name}: no ONNX operator is known for {node.target}, expected "
                "layers, sums and products"
            )
    raise AssertionError("what is traced ends in an output")


def _floor_division(graph: Graph, x: Value, divisor: Any) -> Value:
    return graph("Floor", graph("Div", x, divisor))


def _square(graph: Graph, x: Value) -> Value:
    return graph("Mul", x, x)


def _joined(graph: Graph, parts: list[Value], dimension: Any) -> Value:
    return graph("Concat", *parts, axis=int(dimension))


def _zeros(graph: Graph, x: Value) -> Value:
    return graph("Sub", x, x)


_OPERATORS: dict[Any, str | Callable[..., Value]] = {
    operator.add: "Add",
    operator.sub: "Sub",
    operator.mul: "Mul",
    operator.truediv: "Div",
    operator.floordiv: _floor_division,
    operator.le: "LessOrEqual",
    operator.lt: "Less",
    torch.where: "Where",
    torch.abs: "Abs",
    torch.cos: "Cos",
    torch.cat: _joined,
    torch.zeros_like: _zeros,
    "abs": "Abs",
    "clamp": "Clip",
    "square": _square,
}


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
            return _convolution(graph, layer, x)
    raise ValueError(f"cannot export the layer {layer}: no ONNX operator is known for it")


def _convolution(graph: Graph, layer: nn.Conv2d, x: Value) -> Value:
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
