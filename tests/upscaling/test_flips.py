from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from ccsr.grid import Axis, ProjectedGrid
from ccsr.model import build
from ccsr.resample import resize
from ccsr.upscaling.flips import SYMMETRIES, Ensemble, flipped, moved
from ccsr.upscaling.upscaler import Upscaler
from networks import tiny

SCALES = [1.3, 2.0, 2.37, (1.5, 3.0), 0.6]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Ensemble()),
        ("flips", Ensemble(1, True)),
        ("scales", Ensemble(3)),
        ("scales:5", Ensemble(5)),
        ("scales:1,flips", Ensemble(1, True)),
        ("flips, scales:2", Ensemble(2, True)),
    ],
)
def test_the_words_of_the_command_line(text: str, expected: Ensemble) -> None:
    assert Ensemble.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip", "ensemble must be scales, scales:N, .* got 'flip': did you mean 'flips'"),
        ("scales:", "got 'scales:'"),
        ("scales:two", "got 'scales:two'"),
        ("flips:2", "got 'flips:2'"),
        ("scales:0", "an ensemble has 1 to 9 intermediate grids, got 0"),
        ("scales:10", "1 to 9 intermediate grids, got 10"),
    ],
)
def test_words_that_mean_nothing(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ensemble.parse(text)


@pytest.mark.parametrize("scale", SCALES)
def test_an_ensemble_of_one_is_the_plain_result(scale: float | tuple[float, float]) -> None:
    x = torch.rand(3, 14, 11)
    plain = Upscaler(tiny(), precision="fp32").tensor(x, scale=scale)
    one = Upscaler(tiny(), precision="fp32", ensemble="scales:1").tensor(x, scale=scale)
    assert torch.equal(one, plain)


@pytest.mark.parametrize("anchor", ["ratio", "centred", "topleft"])
def test_a_flipped_axis_has_the_same_positions_from_the_other_end(anchor: str) -> None:
    axis = Axis.project(7, 16, 2.3, anchor).window(3, 12)  # type: ignore[arg-type]
    there = flipped(axis, 7)
    torch.testing.assert_close(there.positions(), 6 - axis.positions().flip(0))
    torch.testing.assert_close(flipped(there, 7).positions(), axis.positions())
    assert there.scale == axis.scale


@pytest.mark.parametrize("scale", SCALES)
def test_flips_of_a_symmetric_operator_change_nothing(scale: float | tuple[float, float]) -> None:
    """Bicubic commutes with flips and turns, on any window of any grid."""

    def bicubic(x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid]) -> Tensor:
        return resize(x, grid)

    x = torch.rand(2, 3, 12, 9, dtype=torch.float64)
    pair = scale if isinstance(scale, tuple) else (scale, scale)
    size = round(12 * pair[0]), round(9 * pair[1])
    grid = ProjectedGrid.project((12, 9), size, pair, "topleft").window(slice(1, 6), slice(2, 5))
    got = Ensemble(flips=True).run(bicubic, x, grid, ())
    torch.testing.assert_close(got.double(), resize(x, grid), atol=1e-6, rtol=0)


def test_flips_are_the_mean_of_eight_enlargements_of_flipped_images() -> None:
    model = tiny()
    x = torch.rand(3, 14, 11)
    plain = Upscaler(model, precision="fp32")
    total = torch.zeros(3, 28, 33)
    for rows, columns, transposed in SYMMETRIES:
        dims = [dim for dim, flip in ((1, rows), (2, columns)) if flip]
        turned = x.flip(dims).mT if transposed else x.flip(dims)
        y = plain.model(
            turned[None],
            ProjectedGrid.project(
                (turned.shape[1], turned.shape[2]), (33, 28) if transposed else (28, 33)
            ),
        )[0].detach()
        total += (y.mT if transposed else y).flip(dims)
    expected = (total / 8).clamp(0, 1)
    got = Upscaler(model, precision="fp32", ensemble="flips").tensor(x, size=(28, 33))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(got, plain.tensor(x, size=(28, 33)), atol=1e-3)


def test_the_scales_of_a_turned_image_swap() -> None:
    grid = ProjectedGrid.project((12, 9), (18, 36))
    for one in SYMMETRIES:
        there = moved(grid, torch.zeros(1, 3, 12, 9), one)
        assert there.scale == ((4, 1.5) if one.transposed else (1.5, 4))


def test_scales_are_the_mean_over_finer_intermediate_grids() -> None:
    model = tiny()
    x = torch.rand(1, 3, 12, 8)
    grid = ProjectedGrid.project((12, 8), (36, 24))
    vias = [ProjectedGrid.project((12, 8), size) for size in ((24, 16), (30, 20), (36, 24))]
    own, friendly = model.route((12, 8), grid)
    assert friendly == vias[0]
    results = [model(x, grid, [own, via])[0] for via in vias]
    expected = torch.stack(results).mean(0).clamp(0, 1).detach()
    got = Upscaler(model, precision="fp32", ensemble="scales:3").tensor(x[0], grid=grid)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("ensemble", ["flips", "scales:2", "scales:2,flips"])
def test_tiles_do_not_show(ensemble: str) -> None:
    x = torch.rand(3, 30, 21)
    whole, tiled = (
        Upscaler(tiny(), precision="fp32", tile=tile, ensemble=ensemble).tensor(x, scale=2.37)
        for tile in ("off", 20)
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_a_network_without_intermediate_grids_has_no_scales() -> None:
    field = {"name": "fourier", "kernel_size": 3, "basis": 4}
    model = build(
        encoder={"name": "light", "channels": 4, "blocks": 1},
        stack={"name": "direct", "channels": 4, "field": field},
        decoder={"name": "pointwise"},
    )
    with pytest.raises(ValueError, match=r"no intermediate grid, .* no scales .* use flips"):
        Upscaler(model, ensemble="scales:2")
