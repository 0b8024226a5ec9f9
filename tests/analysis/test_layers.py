import pytest
import torch

from ccsr.analysis import layers
from ccsr.analysis.layers import Resizer

RESIZERS = [
    layers.strided(3),
    layers.strided(4),
    layers.transposed(3),
    layers.transposed(4),
    layers.pixel_shuffle(),
    layers.max_pool(),
    layers.nearest(),
    layers.bilinear(0.5, corners=True),
    layers.bilinear(0.5, corners=False),
    layers.bilinear(2, corners=True),
    layers.bilinear(2, corners=False),
    layers.continuous(0.5),
    layers.continuous(1 / 1.7),
    layers.continuous(2),
    layers.continuous(1.7),
    layers.continuous(to=[30, 99]),
]


@pytest.mark.parametrize("size", [20, 21])
@pytest.mark.parametrize("resizer", RESIZERS, ids=lambda one: one.name)
def test_a_ramp_shows_where_every_output_looks(resizer: Resizer, size: int) -> None:
    ramp = torch.arange(float(size)).expand(1, 1, size, size)
    y = (resizer.run(ramp) - resizer.run(-ramp)) / 2  # of a maximum, the middle of its window
    axis = resizer.axis(size)
    assert y.shape == (1, 1, axis.size, axis.size)
    seen, expected = y[0, 0, axis.size // 2].double(), axis.positions()
    if resizer.name in ("pixel shuffle", "nearest"):  # both outputs of a pixel show that pixel
        seen, expected = (each.unflatten(0, (-1, 2)).mean(1) for each in (seen, expected))
    margin = 4 if axis.scale < 1 else 8
    reduces = "CC layer /" in resizer.name  # cubics of other widths reproduce ramps only nearly
    torch.testing.assert_close(
        seen[margin:-margin],
        expected[margin:-margin],
        rtol=0,
        atol=0.02 if reduces else 1e-4,
        msg=resizer.name,
    )


@pytest.mark.parametrize("resizer", RESIZERS, ids=lambda one: one.name)
def test_a_constant_stays_where_no_border_is_near(resizer: Resizer) -> None:
    y = resizer.run(torch.ones(1, 1, 20, 20))
    assert torch.allclose(y[..., 2:-2, 2:-2], torch.ones(()), atol=1e-5)
