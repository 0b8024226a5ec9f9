"""Functions of PyTorch as ONNX operators, by the names that PyTorch gives their arguments.

`ARITHMETIC` takes numbers as constants of the type of its values, `LAYERS` as they are. `MODULES`
take the module first, with the weights that it has now.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.export.graph import Graph, Value

_PADDING = {"constant": "constant", "replicate": "edge", "reflect": "reflect"}


def _unary(name: str) -> Callable[..., Value]:
    def add(graph: Graph, input: Value) -> Value:
        return graph(name, input)

    return add


def _binary(name: str) -> Callable[..., Value]:
    def add(graph: Graph, input: Value, other: Any) -> Value:
        return graph(name, input, other)

    return add


def _sum(name: str) -> Callable[..., Value]:
    def add(graph: Graph, input: Value, other: Any, *, alpha: Any = None) -> Value:
        return graph(name, input, other if alpha is None else graph("Mul", other, alpha))

    return add


def _floor_division(graph: Graph, input: Value, other: Any) -> Value:
    return graph("Floor", graph("Div", input, other))


def _power(graph: Graph, input: Value, exponent: Any) -> Value:
    return graph("Pow", input, exponent)


def _square(graph: Graph, input: Value) -> Value:
    return graph("Mul", input, input)


def _clamp(graph: Graph, input: Value, min: Any = None, max: Any = None) -> Value:
    bounds = (Value("") if bound is None else bound for bound in (min, max))
    return graph("Clip", input, *bounds)


def _where(graph: Graph, condition: Value, input: Any, other: Any) -> Value:
    return graph("Where", condition, input, other)


def _zeros(graph: Graph, input: Value) -> Value:
    return graph("Sub", input, input)


def _joined(graph: Graph, tensors: Sequence[Value], dim: int = 0) -> Value:
    return graph("Concat", *tensors, axis=dim)


def _relu(graph: Graph, input: Value, inplace: bool = False) -> Value:
    return graph("Relu", input)


def _leaky_relu(
    graph: Graph, input: Value, negative_slope: float = 0.01, inplace: bool = False
) -> Value:
    return graph("LeakyRelu", input, alpha=negative_slope)


def _prelu(graph: Graph, input: Value, weight: Tensor) -> Value:
    return graph("PRelu", input, weight.view(-1, 1, 1))


def _silu(graph: Graph, input: Value, inplace: bool = False) -> Value:
    return graph("Mul", input, graph("Sigmoid", input))


def _gelu(graph: Graph, input: Value, approximate: str = "none") -> Value:
    if approximate == "none":
        grown = graph("Erf", graph("Div", input, math.sqrt(2)))
    else:
        cube = graph("Mul", graph("Mul", input, graph("Mul", input, input)), 0.044715)
        grown = graph("Tanh", graph("Mul", graph("Add", input, cube), math.sqrt(2 / math.pi)))
    return graph("Mul", graph("Mul", input, graph("Add", grown, 1.0)), 0.5)


def _convolution(
    graph: Graph,
    input: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Value:
    strides, dilations = _pair(stride), _pair(dilation)
    if padding == "same":  # what is odd stands after, as PyTorch pads
        beyond = [(side - 1) * d for side, d in zip(weight.shape[2:], dilations, strict=True)]
        before = [each // 2 for each in beyond]
        pads = [*before, *(a - b for a, b in zip(beyond, before, strict=True))]
    else:
        pads = [0] * 4 if padding == "valid" else _pair(padding) * 2
    inputs = (input, weight) if bias is None else (input, weight, bias)
    return graph("Conv", *inputs, pads=pads, strides=strides, dilations=dilations, group=groups)


def _pair(value: Any) -> list[int]:
    return [value] * 2 if isinstance(value, int) else list(value) * (2 // len(value))


def _padded(
    graph: Graph,
    input: Value,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    if mode not in _PADDING:
        raise ValueError(f"expected padding by {', '.join(_PADDING)}, got {mode}")
    before, after = list(pad[::2]), list(pad[1::2])
    missing = [0] * (4 - len(before))
    pads = [*missing, *reversed(before), *missing, *reversed(after)]
    return graph("Pad", input, pads, float(value or 0), mode=_PADDING[mode])


def _convolved(graph: Graph, layer: nn.Conv2d, input: Value) -> Value:
    padding: str | Sequence[int] = layer.padding
    if layer.padding_mode != "zeros":
        pad = layer._reversed_padding_repeated_twice
        input, padding = _padded(graph, input, pad, layer.padding_mode), [0]
    numbers = layer.stride, padding, layer.dilation, layer.groups
    return _convolution(graph, input, layer.weight, layer.bias, *numbers)


def _normalized(graph: Graph, layer: nn.BatchNorm2d, input: Value) -> Value:
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        raise ValueError("expected statistics that were kept in training")
    factor = layer.weight if layer.affine else torch.ones_like(mean)
    offset = layer.bias if layer.affine else torch.zeros_like(mean)
    return graph("BatchNormalization", input, factor, offset, mean, variance, epsilon=layer.eps)


def _table(*rows: tuple[Callable[..., Value], Sequence[Any]]) -> dict[Any, Callable[..., Value]]:
    return {name: add for add, names in rows for name in names}


ARITHMETIC = _table(
    (_sum("Add"), (operator.add, operator.iadd, torch.add, "add", "add_")),
    (_sum("Sub"), (operator.sub, operator.isub, torch.sub, "sub", "sub_")),
    (_binary("Mul"), (operator.mul, operator.imul, torch.mul, "mul", "mul_")),
    (_binary("Div"), (operator.truediv, operator.itruediv, torch.div, "div", "div_")),
    (_floor_division, (operator.floordiv,)),
    (_binary("LessOrEqual"), (operator.le,)),
    (_binary("Less"), (operator.lt,)),
    (_binary("GreaterOrEqual"), (operator.ge,)),
    (_binary("Greater"), (operator.gt,)),
    (_binary("Max"), (torch.maximum,)),
    (_binary("Min"), (torch.minimum,)),
    (_power, (operator.pow, torch.pow, "pow")),
    (_square, (torch.square, "square")),
    (_where, (torch.where,)),
    (_unary("Neg"), (operator.neg, torch.neg, "neg")),
    (_unary("Abs"), (operator.abs, torch.abs, "abs")),
    (_unary("Cos"), (torch.cos,)),
    (_clamp, (torch.clamp, "clamp", "clamp_")),
    (_zeros, (torch.zeros_like,)),
    (_unary("Sigmoid"), (torch.sigmoid, F.sigmoid, "sigmoid", "sigmoid_")),
    (_unary("Tanh"), (torch.tanh, F.tanh, "tanh", "tanh_")),
)

LAYERS = _table(
    (_joined, (torch.cat, torch.concat)),
    (_relu, (F.relu, torch.relu, F.relu_, torch.relu_, "relu", "relu_")),
    (_leaky_relu, (F.leaky_relu,)),
    (_prelu, (F.prelu, torch.prelu)),
    (_silu, (F.silu,)),
    (_gelu, (F.gelu,)),
    (_convolution, (F.conv2d, torch.conv2d)),
    (_padded, (F.pad,)),
)

MODULES: dict[type[nn.Module], Callable[..., Value]] = {
    nn.Conv2d: _convolved,
    nn.BatchNorm2d: _normalized,
}
