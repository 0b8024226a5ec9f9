"""A continuous convolution layer is continuous in position, so no grid shows."""

import pytest
import torch

from ccsr.grid import Axis, ProjectedGrid
from ccsr.model import CCLayer
from ccsr.model.fields import FourierField, MLPField


def largest_steps(field, kernel_size):
    """Largest change of the output over 1/100 and over 1/1000 of a pixel, along a line."""
    torch.manual_seed(0)
    layer = CCLayer(3, 2, kernel_size, field, plan="reference")
    x = torch.randn(1, 3, 7, 40)
    line = ProjectedGrid(Axis(1, 1.0, 3.2), Axis(20_000, 1000.0, 10.0))
    with torch.no_grad():
        y = layer(x, line)[0, :, 0]
    return [(y[:, step:] - y[:, :-step]).abs().max() for step in (10, 1)]


@pytest.mark.parametrize("field", [FourierField, MLPField])
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_the_output_is_continuous_in_position(field, kernel_size):
    coarse, fine = largest_steps(field, kernel_size)
    assert fine < 0.15 * coarse  # differences shrink with the step: no jump remains


class Untapered(FourierField):
    """What the taper is for."""

    def factors(self, offset, scale, axis):
        self.kernel_size, kernel_size = 100, self.kernel_size
        factors = super().factors(offset, scale, axis)
        self.kernel_size = kernel_size
        return factors * (offset.abs() <= kernel_size / 2)[..., None, None]


def test_without_the_taper_it_would_jump():
    coarse, fine = largest_steps(Untapered, 3)
    assert fine > 0.5 * coarse


def grid_ratio(field, kernel_size):
    """Mean |second difference| at cell borders over its median over phases, at x10."""
    torch.manual_seed(0)
    layer = CCLayer(8, 64, kernel_size, field, plan="basis")
    x = torch.randn(1, 8, 40, 40)
    with torch.no_grad():
        y = layer(x, ProjectedGrid.project((40, 40), (400, 400)))
    second = y.diff(dim=3, n=2).abs().mean((0, 1, 2))  # [o] is centred on output o + 1
    by_phase = second[9:389].view(38, 10).mean(0)
    # the set of nearest pixels changes at half integers for odd K, at integers for even K
    border = by_phase[[0, 9]] if kernel_size % 2 else by_phase[[4, 5]]
    return border.mean() / by_phase.median()


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_no_grid_shows_at_large_factors(kernel_size):
    assert grid_ratio(FourierField, kernel_size) == pytest.approx(1, abs=0.15)
    assert grid_ratio(Untapered, kernel_size) > 2
