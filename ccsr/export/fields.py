"""Separable kernel fields are evaluated in an ONNX graph, at offsets that the image's size decides.

A field is written as `W(dy, dx) = sum_f vertical_f(dy) sum_m mix[f, m] horizontal_m(dx)` with
matrices mix[f, m] (C_out x C_in), the same for all positions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Offsets, double
from ccsr.export.tracing import add_function
from ccsr.model.algorithms import span
from ccsr.model.cc_layer import CCLayer
from ccsr.model.fields import CubicField, FourierField, taper
from ccsr.resample import cubic

SAMPLES = 128  # per pixel, to find the functions that span a field


class Factors(NamedTuple):
    """The values of a field at the taps of two axes.

    Attributes:
        vertical: (H, taps_y, F).
        horizontal: (W, taps_x, M).
        mix: (F, M, C_out, C_in).
    """

    vertical: Value
    horizontal: Value
    mix: Tensor


def factors(graph: Graph, layer: CCLayer, rows: Offsets, columns: Offsets) -> Factors:
    """Add the evaluation of a layer's field to a graph.

    Raises:
        ValueError: if the field is not separable.
    """
    match layer.field:
        case FourierField():
            return _fourier(graph, layer, layer.field, rows, columns)
        case CubicField():
            vertical, horizontal = (_cubic(graph, axis.offset) for axis in (rows, columns))
            return Factors(vertical, horizontal, layer.weight[:, None])
    raise ValueError(
        f"cannot export a field of type {type(layer.field).__name__} at this scale: expected a "
        "'fourier' field, or one scale with few positions between pixels, such as 2"
    )


def _fourier(
    graph: Graph, layer: CCLayer, field: FourierField, rows: Offsets, columns: Offsets
) -> Factors:
    frequency, phase = field.frequency.detach(), field.phase.detach()
    angle = graph("Add", _angle(graph, rows.offset, frequency[0]), phase)
    waves = graph("Concat", graph("Sin", angle), graph("Cos", angle), axis=2)
    damping = graph("Mul", _damping(graph, field, 0, rows), _damping(graph, field, 1, columns))
    edge = _taper(graph, rows.offset, field.kernel_size)
    vertical = graph("Mul", graph("Mul", waves, edge), damping)

    with torch.no_grad():
        _, back = span(_cosines_and_sines(field))  # (M, 2, B)
    angle = _angle(graph, columns.offset, frequency[1])
    waves = graph("Concat", graph("Cos", angle), graph("Sin", angle), axis=2)
    waves = graph("Mul", waves, _taper(graph, columns.offset, field.kernel_size))
    horizontal = graph("MatMul", waves, back.flatten(1).mT.contiguous())
    mix = torch.einsum("mrb,boc->rbmoc", back, layer.weight.detach()).flatten(0, 1)
    return Factors(vertical, horizontal, mix)


def _cosines_and_sines(field: FourierField) -> Tensor:
    """Return the horizontal factors all over the support, without damping, as (samples, 2, B)."""
    half = field.kernel_size / 2
    offset = torch.linspace(-half, half, SAMPLES * field.kernel_size + 1)[:, None, None]
    angle = offset * field.frequency[1]
    waves = torch.cat((angle.cos(), angle.sin()), 1)
    return waves * taper(offset, field.kernel_size)


def _angle(graph: Graph, offset: Value, frequency: Tensor) -> Value:
    """Multiply offsets (size, taps) by frequencies (B,) to angles (size, taps, B)."""
    return graph("Mul", graph("Unsqueeze", offset, [2]), frequency)


def _damping(graph: Graph, field: FourierField, axis: int, taps: Offsets) -> Value:
    """Return the share that an output pixel's footprint leaves of each wave, twice over: (2 B,)."""
    strength = -field.log_damping.detach().exp() * field.frequency[axis].detach().square()
    footprint = graph("Max", graph("Mul", taps.scale, taps.scale), double(1.0))
    damping = graph("Exp", graph("Div", strength.repeat(2), graph.float(footprint)))
    return graph("Mul", damping, graph.float(graph("Min", taps.scale, double(1.0))))


def _taper(graph: Graph, offset: Value, kernel_size: int) -> Value:
    """Apply :func:`ccsr.model.fields.taper` to offsets (size, taps); returns (size, taps, 1)."""
    edge = add_function(graph, lambda offset: taper(offset, kernel_size), offset)
    return graph("Unsqueeze", edge, [2])


def _cubic(graph: Graph, offset: Value) -> Value:
    """Give the factors of a `CubicField` at offsets (size, taps): (size, taps, 1)."""
    weight = add_function(graph, cubic, offset)
    total = graph("ReduceSum", weight, [1], keepdims=1)
    return graph("Unsqueeze", graph("Div", weight, total), [2])
