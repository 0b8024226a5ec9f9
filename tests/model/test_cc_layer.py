"""Identities of a continuous convolution layer; its continuity is in test_continuity.py."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from ccsr.grid import Axis, ProjectedGrid, output_size
from ccsr.model import CCLayer
from ccsr.model.costs import cheapest_plan
from ccsr.model.fields import CubicField, FourierField, MLPField

SCALES = [1.0, 4 / 3, 1.5, 2.0, 2.37, 3.0, math.pi, 8.0, 0.5, 0.73, (1.5, 4.0), (0.5, 3.0)]
LEARNED = [FourierField, MLPField]
PLANS = ["reference", "phases", "basis"]


def make_layer(field, plan=None, c_in=3, c_out=2, kernel_size=3, **arguments):
    torch.manual_seed(0)
    layer = CCLayer(c_in, c_out, kernel_size, partial(field, **arguments), plan=plan)
    torch.nn.init.normal_(layer.bias)
    return layer


def make_resize(plan=None):
    """A CC layer that is a bicubic resize: cubic field, identity matrix, no bias."""
    layer = CCLayer(1, 1, 4, CubicField, bias=False, plan=plan)
    torch.nn.init.ones_(layer.weight)
    return layer


def make_grid(size, scale, anchor="centred"):
    return ProjectedGrid.project(size, output_size(size, scale), scale, anchor)


def run(layer, x, grid):
    """The layer's output, or a skip where the forced plan cannot do this scale."""
    try:
        return layer(x, grid)
    except ValueError as error:
        assert "plan 'phases' needs a scale p/q" in str(error)  # noqa: PT017
        pytest.skip("irrational for 'phases'")


# 1. scale 1, same size: a Conv2d with the field sampled at integer offsets


@pytest.mark.parametrize("field", LEARNED)
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("plan", PLANS)
def test_scale_1_is_a_convolution(field, kernel_size, plan):
    layer = make_layer(field, plan, kernel_size=kernel_size)
    x = torch.randn(2, 3, 6, 7)
    offset = torch.arange(kernel_size) - (kernel_size - 1) // 2
    offsets = offset[None].float()
    kernel = layer.filters(layer.field(offsets, offsets, (1.0, 1.0)))[0, 0].permute(2, 3, 0, 1)
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    padded = F.pad(x, (before, after, before, after), mode="replicate")
    expected = F.conv2d(padded, kernel, layer.bias)
    torch.testing.assert_close(layer(x, make_grid((6, 7), 1.0)), expected, rtol=1e-4, atol=1e-5)


# 2. cubic field: Pillow's bicubic, enlarging and reducing


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("plan", PLANS)
def test_cubic_field_equals_pillow(scale, plan):
    picture = np.random.default_rng(0).random((24, 31), dtype=np.float32)
    h, w = output_size((24, 31), scale)
    pillow = Image.fromarray(picture).resize((w, h), Image.Resampling.BICUBIC)
    grid = ProjectedGrid.project((24, 31), (h, w))
    ours = run(make_resize(plan), torch.from_numpy(picture)[None, None], grid)[0, 0]
    margin = [math.ceil(2 * max(s, 1.0)) + 1 for s in grid.scale]
    interior = slice(margin[0], h - margin[0]), slice(margin[1], w - margin[1])
    assert ours[interior].numel() > 0
    torch.testing.assert_close(
        ours[interior], torch.from_numpy(np.array(pillow))[interior], rtol=0, atol=5e-6
    )


# 3. all plans equal the reference


@pytest.mark.thinned(4)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(7, 9), (1, 5), (6, 1), (1, 1), (13, 11)])
@pytest.mark.parametrize(
    ("field", "kernel_size", "anchor"),
    [
        (FourierField, 3, "centred"),
        (FourierField, 3, "topleft"),
        (FourierField, 4, "ratio"),
        (MLPField, 3, "ratio"),
        (MLPField, 4, "centred"),
    ],
)
def test_plans_agree(scale, size, field, kernel_size, anchor):
    grid = make_grid(size, scale, anchor)
    layer = make_layer(field, kernel_size=kernel_size)
    x = torch.randn(2, 3, *size)
    layer.plan = "reference"
    truth = layer(x, grid)
    assert truth.shape == (2, 2, *output_size(size, scale))
    plans = ["basis", *(["phases"] if all(periods(grid)) else [])]
    for layer.plan in plans:
        for form in (torch.contiguous_format, torch.channels_last):
            for gradients in (True, False):  # without them `basis` drops dependent functions
                with torch.set_grad_enabled(gradients):
                    y = layer(x.contiguous(memory_format=form), grid)
                torch.testing.assert_close(y, truth, rtol=1e-4, atol=2e-5)


def periods(grid):
    return [axis.period(32) for axis in (grid.rows, grid.columns)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("plan", PLANS)
def test_bfloat16_is_close_and_keeps_coordinates(scale, plan):
    # Far from the origin a bfloat16 coordinate would be off by whole pixels.
    layer = make_layer(FourierField, plan, kernel_size=3)
    x = torch.randn(1, 3, 4, 300)
    grid = make_grid((4, 300), scale)
    truth = run(layer, x, grid)
    y = layer.to(torch.float32)(x.bfloat16(), grid)
    assert y.dtype == torch.bfloat16
    error = (y.float() - truth).square().mean().sqrt() / truth.square().mean().sqrt()
    assert error < 0.01


def test_any_size_by_default():
    layer = make_layer(FourierField, kernel_size=3)
    x = torch.randn(1, 3, 337, 5)
    grid = ProjectedGrid.project((337, 5), (1000, 9))
    assert cheapest_plan(layer, x, grid) == "basis"
    assert layer(x, grid).shape == (1, 2, 1000, 9)


def test_basis_evaluates_a_fourier_field_per_axis_only():
    layer = make_layer(FourierField, "basis", kernel_size=3)
    evaluated = []
    factors = layer.field.factors
    layer.field.factors = lambda offset, *rest: (
        evaluated.append(offset.numel()) or factors(offset, *rest)
    )
    grid = ProjectedGrid.project((50, 60), (101, 133))
    layer(torch.randn(1, 3, 50, 60), grid)
    assert sum(evaluated) <= 3 * (101 + 133 + 2 * 16)


@torch.no_grad()
def test_where_no_pixel_is_near_only_the_bias_is_left():
    # A one-pixel kernel halfway between two pixels: the taper is zero on both.
    layer = make_layer(FourierField, "basis", kernel_size=1)
    between = ProjectedGrid(Axis(1, 2.0, 0.5), Axis(1, 2.0, 0.5))
    y = layer(torch.randn(1, 3, 2, 2), between)
    torch.testing.assert_close(y.flatten(), layer.bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("scale", "plan"), [(2.0, "phases"), (0.5, "phases"), (2.37, "basis")])
def test_cost_model_prefers_convolutions_for_few_phases(scale, plan):
    layer = make_layer(FourierField, kernel_size=3, c_in=32, c_out=32)
    assert cheapest_plan(layer, torch.empty(1, 32, 100, 100), make_grid((100, 100), scale)) == plan


# 4. a constant stays constant, a ramp the same ramp


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("plan", PLANS)
def test_constants_and_ramps_stay(scale, plan):
    grid = make_grid((31, 29), scale)
    layer = make_resize(plan)
    constant = run(layer, torch.full((1, 1, 31, 29), 0.7), grid)
    torch.testing.assert_close(constant, torch.full_like(constant, 0.7))
    rows, columns = (axis.positions().float() for axis in (grid.rows, grid.columns))
    y = layer(torch.arange(31.0)[:, None].expand(31, 29)[None, None], grid)[0, 0]
    x = layer(torch.arange(29.0).expand(31, 29)[None, None], grid)[0, 0]
    tolerance = 1e-5 if min(grid.scale) >= 1 else 0.03  # a stretched cubic is only almost linear
    for values, positions, axis in ((y[:, 2], rows, grid.rows), (x[2], columns, grid.columns)):
        inside = (positions > 3 / axis.stretch) & (positions < positions[-1] - 4 / axis.stretch)
        assert inside.any()
        torch.testing.assert_close(values[inside], positions[inside], rtol=0, atol=tolerance)


# 5. flips and transposes commute


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize("plan", PLANS)
def test_flips_and_transposes_commute(scale, kernel_size, plan):
    layer = make_layer(FourierField, plan, kernel_size=kernel_size)
    x = torch.randn(1, 3, 9, 12)
    grid = make_grid((9, 12), scale)
    y = run(layer, x, grid)
    flipped = copy.deepcopy(layer)
    flipped.field.frequency.data[1] *= -1  # W(dy, -dx)
    torch.testing.assert_close(flipped(x.flip(3), grid), y.flip(3), rtol=1e-4, atol=2e-5)
    transposed = copy.deepcopy(layer)
    transposed.field.frequency.data = layer.field.frequency.data.flip(0)
    other = ProjectedGrid(grid.columns, grid.rows)
    torch.testing.assert_close(transposed(x.mT, other), y.mT, rtol=1e-4, atol=2e-5)


# 6. shift-equivariance


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("plan", PLANS)
def test_a_shift_by_one_pixel_is_a_shift_by_s(scale, plan):
    layer = make_layer(FourierField, plan, kernel_size=3)
    x = torch.randn(1, 3, 8, 12)
    grid = make_grid((8, 12), float(scale))
    y, shifted = layer(x, grid), layer(x.roll(1, 3), grid)
    margin = 3 * scale
    torch.testing.assert_close(
        shifted[..., margin + scale : -margin],
        y[..., margin : -margin - scale],
        rtol=1e-4,
        atol=2e-5,
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("plan", PLANS)
def test_values_belong_to_places(scale, plan):
    # The image moves by one pixel, the grid with it: every value stays, at any scale.
    layer = make_layer(FourierField, plan, kernel_size=3)
    x = torch.randn(1, 3, 16, 16)
    grid = make_grid((16, 16), scale).window(slice(2, -2), slice(2, -2))
    y = run(layer, x, grid)
    moved = layer(x.roll((1, 1), (2, 3)), grid.shifted(-1, -1))
    keep = []
    for axis in (grid.rows, grid.columns):
        position, reach = axis.positions(), 2 / axis.stretch
        keep.append((position > reach) & (position < 14 - reach))
        assert keep[-1].any()
    torch.testing.assert_close(
        moved[:, :, keep[0]][..., keep[1]], y[:, :, keep[0]][..., keep[1]], rtol=1e-4, atol=2e-5
    )


# 7. windows


@pytest.mark.thinned(3)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("anchor", ["centred", "ratio", "topleft"])
def test_a_window_equals_the_window_of_the_whole(scale, plan, anchor):
    layer = make_layer(FourierField, plan, kernel_size=4)
    x = torch.randn(1, 3, 21, 19)
    grid = make_grid((21, 19), scale, anchor)
    rows, columns = slice(3, 8), slice(2, 9)
    whole = run(layer, x, grid)
    part = layer(x, grid.window(rows, columns))
    torch.testing.assert_close(part, whole[:, :, rows, columns], rtol=1e-4, atol=2e-5)


# 8. gradients


@pytest.mark.thinned(2)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("field", "arguments"), [(FourierField, {}), (MLPField, {"hidden": 3})])
@pytest.mark.parametrize("scale", [1.5, (0.5, 2.0)])
def test_gradcheck(plan, field, arguments, scale):
    layer = make_layer(field, plan, c_in=2, c_out=1, kernel_size=3, basis=2, **arguments).double()
    grid = make_grid((4, 3), scale)
    x = torch.randn(1, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def function(x, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, parameters, (x, grid))

    assert torch.autograd.gradcheck(function, (x, *values))


@pytest.mark.parametrize("plan", PLANS)
def test_autocast_decides_the_type_of_pixels_not_of_filters(plan) -> None:
    torch.manual_seed(0)
    layer = CCLayer(3, 4, 3, plan=plan)
    x, grid = torch.randn(1, 3, 6, 7), ProjectedGrid.project((6, 7), (12, 14))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        y = layer(x, grid)
    assert y.dtype == torch.bfloat16
    with torch.no_grad():
        assert torch.equal(y, layer(x.bfloat16(), grid))


def test_an_unknown_plan_is_refused() -> None:
    with pytest.raises(
        ValueError, match="plan must be one of reference, phases, basis, got 'fast'"
    ):
        CCLayer(3, 4, 3, plan="fast")


def test_a_field_without_functions_is_refused() -> None:
    with pytest.raises(ValueError, match="basis must be a whole number of at least 1, got 0"):
        CCLayer(3, 4, 3, partial(FourierField, basis=0))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("origin", [-50.0, -9.25, -2.5, 7.75, 50.0])
@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_far_outside_there_is_the_border(plan, origin, scale):
    """A grid of one's own may lie anywhere: all that it reads is the nearest pixel."""
    layer, x = make_layer(FourierField, plan), torch.randn(2, 3, 6, 7)
    grid = ProjectedGrid(Axis(5, scale, origin), Axis(4, scale, 50 - origin))
    wide = torch.nn.functional.pad(x, (100, 100, 100, 100), mode="replicate")
    expected = layer(wide, grid.shifted(-100, -100))
    torch.testing.assert_close(layer(x, grid), expected, rtol=0, atol=1e-5)
