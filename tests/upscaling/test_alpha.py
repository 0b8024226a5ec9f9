import numpy as np
import pytest

from ccsr.grid import ProjectedGrid
from ccsr.upscaling import alpha as alpha_module
from ccsr.upscaling.alpha import bleed, confine, surroundings


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_visible_colours_stay_and_garbage_does_not_matter(kind: type[np.unsignedinteger]) -> None:
    rng = np.random.default_rng(0)
    colour, other = rng.integers(np.iinfo(kind).max, size=(2, 9, 14, 3), dtype=kind)
    alpha = (rng.random((9, 14, 1)) > 0.6).astype(kind)
    filled = bleed(colour, alpha)
    assert filled.dtype == kind
    assert np.array_equal(filled * alpha, colour * alpha)
    assert np.array_equal(filled, bleed(np.where(alpha > 0, colour, other), alpha))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (8, 8), (33, 17), (300, 2)])
def test_one_visible_colour_fills_everything(size: tuple[int, int]) -> None:
    colour = np.zeros((*size, 3), np.uint8)
    alpha = np.zeros((*size, 1), np.uint8)
    colour[-1, 0], alpha[-1, 0] = (230, 128, 26), 1
    assert (bleed(colour, alpha) == (230, 128, 26)).all()


def test_holes_take_the_nearest_colours() -> None:
    colour = np.zeros((8, 16, 1), np.uint8)
    alpha = np.zeros((8, 16, 1), np.uint8)
    colour[:, 15], alpha[:, 0], alpha[:, 15] = 255, 255, 255
    filled = bleed(colour, alpha)[4, :, 0]
    assert filled[1:4].max() < 51
    assert filled[12:15].min() > 204


@pytest.mark.parametrize("height", [1, 2, 7, 8, 9, 30])
def test_strips_do_not_show(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    colour = rng.integers(256, size=(height, 11, 3), dtype=np.uint8)
    alpha = (rng.random((height, 11, 1)) > 0.9).astype(np.uint8)
    whole = bleed(colour, alpha)
    monkeypatch.setattr(alpha_module, "STRIP", 4)
    assert np.array_equal(bleed(colour, alpha), whole)


def test_nothing_visible_changes_nothing() -> None:
    colour = np.random.default_rng(0).integers(256, size=(4, 4, 3), dtype=np.uint8)
    assert np.array_equal(bleed(colour, np.zeros((4, 4, 1), np.uint8)), colour)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.37, 8.0])
def test_flat_areas_stay_flat_and_nothing_leaves_the_range(scale: float) -> None:
    alpha = np.zeros((1, 20, 60), np.float32)
    alpha[..., 30:] = 0.6
    height, width = round(20 * scale), round(60 * scale)
    grid = ProjectedGrid.project((20, 60), (height, width))
    noise = np.random.default_rng(0).standard_normal((1, height, width), np.float32)
    got = confine(noise, alpha, grid)
    reach = 3 * max(1.0, 1 / scale)
    x = grid.columns.array()
    assert (got[..., x < 29 - reach] == 0).all()
    assert (got[..., x > 30 + reach] == np.float32(0.6)).all()
    assert got.min() >= 0
    assert got.max() <= np.float32(0.6)


def test_confine_lets_an_interpolated_edge_through() -> None:
    alpha = np.zeros((1, 1, 6), np.float32)
    alpha[..., 3:] = 1.0
    grid = ProjectedGrid.project((1, 6), (1, 24))
    edge = np.linspace(0, 1, 24, dtype=np.float32)[None, None]
    middle = slice(8, 16)
    assert np.array_equal(confine(edge, alpha, grid)[..., middle], edge[..., middle])


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 2.0, 2.37])
def test_a_window_is_confined_like_the_whole(scale: float) -> None:
    rng = np.random.default_rng(0)
    alpha = rng.random((1, 21, 30), np.float32)
    grid = ProjectedGrid.project((21, 30), (round(21 * scale), round(30 * scale)))
    enlarged = rng.standard_normal((1, *grid.size), np.float32)
    rows, columns = slice(2, 5), slice(3, grid.columns.size)
    window = grid.window(rows, columns)
    near_rows, near_columns = surroundings(window, (21, 30))
    near = alpha[:, near_rows, near_columns]
    got = confine(
        enlarged[:, rows, columns], near, window.shifted(near_rows.start, near_columns.start)
    )
    assert np.array_equal(got, confine(enlarged, alpha, grid)[:, rows, columns])


@pytest.mark.parametrize(
    ("size", "radius"), [((7, 9), 2), ((4, 30), 3), ((1, 1), 5), ((20, 6), 17)]
)
def test_the_largest_around_is_that_of_all_windows(size: tuple[int, int], radius: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, *size), np.float32)
    for dim, reach in ((1, (radius, 0)), (2, (0, radius))):
        sides = (2 * reach[0] + 1, 2 * reach[1] + 1)
        wide = np.pad(x, ((0, 0), (reach[0],) * 2, (reach[1],) * 2), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(wide, sides, (1, 2))
        expected = windows.max((-2, -1))
        assert np.array_equal(alpha_module._running_max(x, dim, radius), expected)
