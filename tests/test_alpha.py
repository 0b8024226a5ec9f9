import pytest
import torch

from ccsr.alpha import bleed, confine, surroundings
from ccsr.resample import ProjectedGrid


def test_visible_colours_stay_and_garbage_does_not_matter() -> None:
    torch.manual_seed(0)
    colour = torch.rand(3, 9, 14)
    alpha = (torch.rand(1, 9, 14) > 0.6).float()
    garbage = torch.where(alpha > 0, colour, torch.rand(3, 9, 14))
    filled = bleed(colour, alpha)
    assert torch.equal(torch.where(alpha > 0, filled, 0), torch.where(alpha > 0, colour, 0))
    assert torch.equal(filled, bleed(garbage, alpha))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (8, 8), (33, 17)])
def test_one_visible_colour_fills_everything(size: tuple[int, int]) -> None:
    colour = torch.zeros(3, *size)
    alpha = torch.zeros(1, *size)
    colour[:, -1, 0], alpha[:, -1, 0] = torch.tensor([0.9, 0.5, 0.1]), 0.01
    expected = torch.tensor([0.9, 0.5, 0.1])[:, None, None].expand_as(colour)
    assert torch.allclose(bleed(colour, alpha), expected, atol=1e-6)


def test_holes_take_the_nearest_colours() -> None:
    colour = torch.zeros(1, 8, 16)
    alpha = torch.zeros(1, 8, 16)
    colour[..., 15], alpha[..., 0], alpha[..., 15] = 1.0, 1.0, 1.0
    filled = bleed(colour, alpha)[0, 4]
    assert filled[1:4].max() < 0.2
    assert filled[12:15].min() > 0.8


def test_nothing_visible_changes_nothing() -> None:
    colour = torch.rand(3, 4, 4)
    assert torch.equal(bleed(colour, torch.zeros(1, 4, 4)), colour)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.37, 8.0])
def test_flat_areas_stay_flat_and_nothing_leaves_the_range(scale: float) -> None:
    torch.manual_seed(0)
    alpha = torch.zeros(1, 20, 60)
    alpha[..., 30:] = 0.6
    height, width = round(20 * scale), round(60 * scale)
    grid = ProjectedGrid.project((20, 60), (height, width))
    got = confine(torch.randn(1, height, width), alpha, grid)
    reach = 3 * max(1.0, 1 / scale)
    x = grid.columns.positions()
    assert (got[..., x < 29 - reach] == 0).all()
    assert (got[..., x > 30 + reach] == 0.6).all()
    assert got.min() >= 0
    assert got.max() <= 0.6


def test_confine_lets_an_interpolated_edge_through() -> None:
    alpha = torch.zeros(1, 1, 6)
    alpha[..., 3:] = 1.0
    grid = ProjectedGrid.project((1, 6), (1, 24))
    edge = torch.linspace(0, 1, 24)[None, None]
    middle = slice(8, 16)
    assert torch.equal(confine(edge, alpha, grid)[..., middle], edge[..., middle])


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 2.0, 2.37])
def test_a_window_is_confined_like_the_whole(scale: float) -> None:
    torch.manual_seed(0)
    alpha = torch.rand(1, 21, 30)
    grid = ProjectedGrid.project((21, 30), (round(21 * scale), round(30 * scale)))
    enlarged = torch.randn(1, *grid.size)
    rows, columns = slice(2, 5), slice(3, grid.columns.size)
    window = grid.window(rows, columns)
    near_rows, near_columns = surroundings(window, (21, 30))
    near = alpha[:, near_rows, near_columns]
    got = confine(
        enlarged[:, rows, columns], near, window.shifted(near_rows.start, near_columns.start)
    )
    assert torch.equal(got, confine(enlarged, alpha, grid)[:, rows, columns])
