"""The choice among the plans; how often it is the faster one is measured by `make bench`."""

import math
import time
from functools import partial

import pytest
import torch

from ccsr.grid import ProjectedGrid
from ccsr.model import CCLayer
from ccsr.model.costs import CPU, OTHERS, cheapest_plan, phases_cost
from ccsr.model.fields import FourierField, MLPField

HEAVY = (48, 12, 3, partial(FourierField, basis=20))
LAST = (12, 3, 3, partial(FourierField, basis=32))
INSEPARABLE = (16, 16, 3, MLPField)


@pytest.mark.parametrize(
    ("layer", "batch", "side", "target", "gradients", "plan"),
    [
        # many phases and few outputs: making the filters costs more than using them
        (HEAVY, 16, 32, 76, True, "basis"),
        (HEAVY, 4, 16, 46, True, "basis"),
        (HEAVY, 2, 8, 19, True, "basis"),
        (HEAVY, 2, 8, 19, False, "basis"),
        (LAST, 4, 48, 38, True, "basis"),
        # few phases: one convolution
        (HEAVY, 1, 96, 192, False, "phases"),
        (HEAVY, 16, 48, 96, True, "phases"),
        (LAST, 1, 96, 72, False, "phases"),
        # a field that is not separable has no fast basis
        (INSEPARABLE, 1, 96, 240, False, "phases"),
        # no period
        (HEAVY, 1, 337, 1000, False, "basis"),
    ],
)
def test_the_faster_plan_is_chosen(layer, batch, side, target, gradients, plan):
    made = CCLayer(*layer)
    x = torch.empty(batch, layer[0], side, side)
    with torch.set_grad_enabled(gradients):
        assert cheapest_plan(made, x, ProjectedGrid.project((side, side), (target, target))) == plan


def test_filters_count():
    layer, grid = CCLayer(*HEAVY), ProjectedGrid.project((8, 8), (19, 19))
    x = torch.empty(1, 48, 8, 8)
    few, many = (phases_cost(layer, x.expand(n, -1, -1, -1), grid, CPU) for n in (1, 2))
    assert many < 1.1 * few  # the filters of 361 phases, made once for all
    few, many = (phases_cost(layer, x.expand(n, -1, -1, -1), grid, OTHERS) for n in (1, 2))
    assert many == pytest.approx(2 * few)
    without = ProjectedGrid.project((337, 8), (1000, 19))
    assert phases_cost(layer, x, without, CPU) == math.inf


@pytest.mark.long
@pytest.mark.parametrize(("batch", "side", "target"), [(2, 8, 19), (4, 48, 38), (4, 48, 96)])
def test_the_choice_is_not_far_from_the_faster_plan(batch, side, target):
    layer = CCLayer(*LAST)
    x = torch.rand(batch, 12, side, side)
    grid = ProjectedGrid.project((side, side), (target, target))
    chosen = cheapest_plan(layer, x, grid)
    seconds = {}
    for layer.plan in ("phases", "basis"):
        rounds = []
        for _ in range(3):
            start = time.process_time()
            layer(x, grid).sum().backward()
            rounds.append(time.process_time() - start)
        seconds[layer.plan] = min(rounds)
    assert seconds[chosen] < 3 * min(seconds.values())
