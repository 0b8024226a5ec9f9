import math

import pytest
import torch

from ccsr.model.fields import FIELDS, CubicField, FourierField, taper


def test_taper_by_hand():
    offset = torch.tensor([0.0, 1.0, -1.0, 1.25, 1.5, -1.5, 7.0])
    expected = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0])
    torch.testing.assert_close(taper(offset, 3), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (2.37, 4.0), (0.5, 3.0)])
def test_fourier_factors_multiply_to_the_damped_sine(scale):
    torch.manual_seed(0)
    field = FourierField(3, basis=5).double()
    torch.nn.init.uniform_(field.log_damping, -4, -1)
    dy, dx = torch.rand(4, 3).double() - 0.5, torch.rand(6, 3).double() - 0.5  # taper is 1 here
    w_y, w_x = field.frequency
    angle = dy[:, None, :, None, None] * w_y + dx[None, :, None, :, None] * w_x + field.phase
    footprint = [1 / max(s, 1) for s in scale]
    square = (w_y * footprint[0]) ** 2 + (w_x * footprint[1]) ** 2
    shrink = math.prod(min(s, 1) for s in scale)
    expected = angle.sin() * torch.exp(-field.log_damping.exp() * square) * shrink
    torch.testing.assert_close(field(dy, dx, scale), expected)


def test_fourier_start():
    field = FourierField(3, basis=1000)
    assert field.frequency.abs().max() <= 4
    assert field.frequency.abs().max() > 3.9
    assert field.phase.abs().max() <= math.pi
    torch.testing.assert_close(field.log_damping.exp(), torch.full((1000,), 0.1))
    assert all(p.requires_grad for p in (field.frequency, field.phase, field.log_damping))


@pytest.mark.parametrize("name", ["fourier", "mlp"])
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_learned_fields_vanish_at_the_edge_of_their_support(name, kernel_size):
    field = FIELDS[name](kernel_size)
    edge = torch.tensor([[-kernel_size / 2, kernel_size / 2, kernel_size]])
    inside = torch.zeros(1, 1)
    assert field(edge, inside, (2.0, 2.0)).abs().max() < 1e-6
    assert field(inside, edge, (2.0, 2.0)).abs().max() < 1e-6
    assert field(inside, inside, (2.0, 2.0)).abs().max() > 1e-2


def test_cubic_has_one_size():
    with pytest.raises(ValueError, match="the cubic field has kernel_size 4, got 3"):
        CubicField(3)
