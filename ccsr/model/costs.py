"""A layer takes the plan of :mod:`ccsr.model.algorithms` that is likely to be the fastest.

A cost is counted in multiplies of a convolution. What else takes time, making the filters above
all, is weighed by how much longer it took than such a multiply: fitted to measurements on one core;
`make bench ARGS=plans` repeats them and fits anew. Forward with backward costs three times as much,
whatever the plan, so that one set of weights serves both.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ccsr.grid import ProjectedGrid
from ccsr.model.algorithms import BLOCK, PERIOD_LIMIT, Plan
from ccsr.model.fields import SeparableField

if TYPE_CHECKING:
    from ccsr.model.cc_layer import CCLayer


class Weights(NamedTuple):
    """The costs of the parts of the plans, in multiplies of a convolution.

    Attributes:
        start: a plan's many small operations, however small the layer.
        lanes: input channels of a convolution that take no longer than one.
        kernel: one weight of one phase: made, placed and laid out for the convolution.
        output: one value of the result of `phases`.
        lines: one multiply of the rows' matrix products.
        band: one multiply of the columns' banded products.
        gathered: one value of the input, for each tap that reads its row.
        combined: one value of the result of a separable basis.
        projected: one multiply by the matrices of a field that is not separable.
        functions: one value of such a field.
        taken: one multiply of these with pixels.
    """

    start: float = 0.0
    lanes: int = 1
    kernel: float = 0.0
    output: float = 0.0
    lines: float = 3.0
    band: float = 3.0
    gathered: float = 0.0
    combined: float = 0.0
    projected: float = 3.0
    functions: float = 0.0
    taken: float = 24.0


CPU = Weights(5.5e7, 8, 380, 90, 1.5, 10.5, 95, 260, 15, 4300, 520)
OTHERS = Weights()  # not fitted: multiplies alone, with an allowance


def cheapest_plan(layer: "CCLayer", x: Tensor, grid: ProjectedGrid) -> Plan:
    """Choose between `phases` and `basis`."""
    weights = CPU if x.device.type == "cpu" else OTHERS
    by_phases = phases_cost(layer, x, grid, weights)
    return "phases" if by_phases <= basis_cost(layer, x, grid, weights) else "basis"


def phases_cost(layer: "CCLayer", x: Tensor, grid: ProjectedGrid, weights: Weights) -> float:
    """Estimate the plan `phases`: its filters and its convolution; infinite without a period."""
    union = outputs = phases = 1.0
    for axis in (grid.rows, grid.columns):
        period = axis.period(PERIOD_LIMIT)
        if period is None:
            return math.inf
        p, q = period
        union *= layer.kernel_size / axis.stretch + q - q / p  # taps, from the first phase to last
        outputs *= -(-axis.size // p) * p
        phases *= p
    channels_in = -(-layer.in_channels // weights.lanes) * weights.lanes
    convolution = union * channels_in + weights.output
    kernels = phases * union * layer.in_channels * weights.kernel
    per_channel = x.shape[0] * outputs * convolution + kernels
    return weights.start + layer.out_channels * per_channel


def basis_cost(layer: "CCLayer", x: Tensor, grid: ProjectedGrid, weights: Weights) -> float:
    """Estimate the plan `basis`, for the whole batch."""
    n, channels_in, h, w = x.shape
    height, width = grid.size
    channels_out, functions = layer.out_channels, layer.field.basis
    taps = [layer.kernel_size / axis.stretch for axis in (grid.rows, grid.columns)]
    if not isinstance(layer.field, SeparableField):
        project = n * h * w * channels_in * channels_out * functions * weights.projected
        per_value = weights.functions + n * channels_out * weights.taken
        return project + height * width * math.prod(taps) * functions * per_value
    spanning = 2 * functions if torch.is_grad_enabled() else functions / 2
    reads = n * height * w * taps[0] * channels_in
    lines = reads * (spanning * channels_out * weights.lines + weights.gathered)
    results = n * height * width * channels_out
    band = (taps[1] + BLOCK / grid.columns.scale) * spanning * weights.band
    return weights.start + lines + results * (band + weights.combined)
