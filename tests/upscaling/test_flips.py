import pytest
import torch

from ccsr.grid import Axis, ProjectedGrid
from ccsr.resample import resize
from ccsr.upscaling.flips import SYMMETRIES, Symmetry, flipped
from ccsr.upscaling.upscaler import Upscaler
from networks import tiny

SCALES = [1.3, 2.0, 2.37, (1.5, 3.0), 0.6]


@pytest.mark.parametrize("ensemble", ["flip", "scales:3", "flips,flips", "Flips", " "])
def test_words_that_mean_nothing(ensemble: str) -> None:
    with pytest.raises(
        ValueError, match=f"ensemble must be flips, or empty for none, got '{ensemble}'"
    ):
        Upscaler(tiny(), ensemble=ensemble)


@pytest.mark.parametrize("anchor", ["ratio", "centred", "topleft"])
def test_a_flipped_axis_has_the_same_positions_from_the_other_end(anchor: str) -> None:
    axis = Axis.project(7, 16, 2.3, anchor).window(3, 12)  # type: ignore[arg-type]
    there = flipped(axis, 7)
    torch.testing.assert_close(there.positions(), 6 - axis.positions().flip(0))
    torch.testing.assert_close(flipped(there, 7).positions(), axis.positions())
    assert there.scale == axis.scale


@pytest.mark.parametrize("one", SYMMETRIES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_symmetric_operator_commutes(scale: float | tuple[float, float], one: Symmetry) -> None:
    """Bicubic of the moved image, moved back, is bicubic, on any window of any grid."""
    x = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    pair = scale if isinstance(scale, tuple) else (scale, scale)
    size = round(12 * pair[0]), round(9 * pair[1])
    grid = ProjectedGrid.project((12, 9), size, pair, "topleft").window(slice(1, 6), slice(2, 5))
    got = one.undo(resize(one.do(x), one.grid(grid, x)))
    torch.testing.assert_close(got, resize(x, grid), atol=1e-6, rtol=0)


def test_flips_are_the_mean_of_eight_enlargements_of_flipped_images() -> None:
    model = tiny()
    x = torch.rand(3, 14, 11).round()  # black and white, beyond which results are cut
    plain = Upscaler(model, precision="fp32")
    total = torch.zeros(3, 28, 33)
    for rows, columns, transposed in SYMMETRIES:
        dims = [dim for dim, flip in ((1, rows), (2, columns)) if flip]
        turned = x.flip(dims).mT if transposed else x.flip(dims)
        y = plain.tensor(turned, size=(33, 28) if transposed else (28, 33))
        total += (y.mT if transposed else y).flip(dims)
    expected = total / 8
    got = Upscaler(model, precision="fp32", ensemble="flips").tensor(x, size=(28, 33))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(got, plain.tensor(x, size=(28, 33)), atol=1e-3)


def test_the_scales_of_a_turned_image_swap() -> None:
    grid = ProjectedGrid.project((12, 9), (18, 36))
    for one in SYMMETRIES:
        there = one.grid(grid, torch.zeros(1, 3, 12, 9))
        assert there.scale == ((4, 1.5) if one.transposed else (1.5, 4))


def test_tiles_do_not_show() -> None:
    x = torch.rand(3, 30, 21)
    whole, tiled = (
        Upscaler(tiny(), precision="fp32", tile=tile, ensemble="flips").tensor(x, scale=2.37)
        for tile in ("off", 20)
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
