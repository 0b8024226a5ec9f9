"""A window of a network's result, computed from a crop, is that of the whole; so are strips."""

import math
from itertools import product

import pytest
import torch

from ccsr.model import network
from networks import EFFORTS, ELASTIC, GRADUAL, STACKS, TINY, grid_for, randomised, tiny


def in_windows(model, x, grid, via, tile):
    """The result put together from windows of `tile` pixels a side."""
    y = torch.full((len(x), 3, *grid.size), math.nan)
    for top, left in product(*(range(0, n, tile) for n in grid.size)):
        rows, columns = (
            slice(a, min(a + tile, n)) for a, n in zip((top, left), grid.size, strict=True)
        )
        crop = model.crop((x.shape[2], x.shape[3]), grid, via, rows, columns)
        part = x[..., crop.rows, crop.columns]
        y[..., rows, columns] = model.enlarge(part, crop.grid, crop.via)
    return y


@pytest.mark.thinned(3)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.37, (1.5, 4.0), (0.5, 3.0), 0.73, 8.0])
@pytest.mark.parametrize("anchor", ["centred", "ratio", "topleft"])
def test_a_crop_gives_the_window_of_the_whole(stack, scale, anchor):
    decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
    model = randomised(TINY | {"stack": stack, "decoder": decoder})
    size = (31, 26)
    grid = grid_for(size, scale, anchor)
    via = model.route(size, grid)
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = model(x, grid)
        height, width = grid.size
        for rows, columns in [
            (slice(0, height // 3 + 1), slice(width // 2, width)),  # at borders
            (slice(height // 2, height // 2 + 2), slice(width // 3, width // 3 + 2)),  # inside
        ]:
            crop = model.crop(size, grid, via, rows, columns)
            part = model(x[..., crop.rows, crop.columns], crop.grid, crop.via)
            torch.testing.assert_close(part, whole[..., rows, columns], rtol=0, atol=1e-5)


def test_a_crop_reads_no_more_than_it_needs():
    model = tiny()
    grid = grid_for((200, 200), 2.0)
    crop = model.crop(
        (200, 200), grid, model.route((200, 200), grid), slice(100, 104), slice(100, 104)
    )
    # two input pixels, CC layers of 3 taps on both grids, and three 3x3 convolutions
    assert crop.rows.stop - crop.rows.start <= 2 + 2 * (2 + 3)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("plan", ["reference", "phases", "basis"])
@pytest.mark.parametrize("scale", [1.5, 2.0, (0.5, 3.0), 2.37, (math.pi, 0.73)])
@pytest.mark.parametrize("tile", [7, 33])
def test_windows_of_every_size_together_give_the_whole(stack, plan, scale, tile):
    if plan == "phases" and scale in (2.37, (math.pi, 0.73)):
        pytest.skip("these scales have no short period")
    decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
    model = randomised(TINY | {"stack": stack, "decoder": decoder})
    if plan != "phases" or stack["name"] != "gradual":  # its inner scales are roots
        for layer in model.stack.layers:
            layer.plan = plan
    size = (14, 19)
    grid = grid_for(size, scale)
    via = model.route(size, grid)
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = model(x, grid, via)
        tiled = in_windows(model, x, grid, via, tile)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("stack", [GRADUAL, STACKS[2]])
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("scale", [1.5, (2.37, 1.0), (0.73, 3.0)])
def test_windows_are_exact_at_every_effort(stack, effort, scale, monkeypatch):
    model = randomised(ELASTIC | {"stack": stack})
    size, tile = (23, 38), 17
    grid = grid_for(size, scale)
    via = model.route(size, grid, effort)
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = model(x, grid, via)
        tiled = in_windows(model, x, grid, via, tile)
        torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
        monkeypatch.setattr(network, "STRIP_VALUES", 300)
        torch.testing.assert_close(model.enlarge(x, grid, via), whole, rtol=0, atol=1e-5)


def test_a_window_at_low_effort_does_not_read_the_whole_image():
    model = randomised(ELASTIC | {"stack": STACKS[2]})
    size = (200, 200)
    grid = grid_for(size, 2.0)
    via = model.route(size, grid, 0.25)
    crop = model.crop(size, grid, via, slice(100, 104), slice(100, 104))
    assert crop.rows.stop - crop.rows.start < 30
    assert crop.via[0].rows.size < 15


@pytest.mark.thinned(2)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("scale", [1.0, 2.0, 2.37, (0.5, 3.0), (4.0, 0.73)])
def test_strips_change_nothing(stack, scale, monkeypatch):
    decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
    model = randomised(TINY | {"stack": stack, "decoder": decoder})
    grid = grid_for((15, 12), scale)
    x = torch.rand(2, 3, 15, 12)
    with torch.no_grad():
        whole = model(x, grid)
        monkeypatch.setattr(network, "STRIP_VALUES", 300)
        strips = model.enlarge(x, grid)
    torch.testing.assert_close(strips, whole, rtol=0, atol=1e-5)
