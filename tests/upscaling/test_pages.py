"""Pages that mix photos, text and patterns: a pattern does not damage what is beside it."""

import numpy as np
import pytest
import torch

from ccsr import Upscaler
from ccsr.grid import choose_grid
from ccsr.model.checkpoint import shipped
from pages import compose

SIDE = 112
SCALES = (1.1, 1.5, 2.0, 2.37, 3.0, 4.0)
AWAY = 12  # input pixels from a pattern
LEVELS = 2

pytestmark = pytest.mark.parametrize("name", sorted(shipped()))


def damage(upscaler: Upscaler, rng: np.random.Generator, scale: float) -> tuple[float, float]:
    """Share of the pixels away from the patterns that these change visibly, and largest change."""
    page = compose(rng, SIDE, int(rng.integers(1, 3)))
    grid = choose_grid((SIDE, SIDE), scale)
    both = upscaler.tensor(torch.stack((page.pixels, page.plain)), grid=grid)
    change = 255 * (both[0] - both[1]).abs().amax(0)
    rows, columns = (
        axis.positions().round().long().clamp(0, SIDE - 1) for axis in (grid.rows, grid.columns)
    )
    away = change[page.distance[rows][:, columns] > AWAY]
    return float((away > LEVELS).float().mean()), float(away.max())


@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_patterns_leave_the_rest_of_a_page_alone(name: str, scale: float) -> None:
    rng = np.random.default_rng(1)
    _, largest = damage(Upscaler.load(name, precision="fp32"), rng, scale)
    assert largest <= LEVELS


@pytest.mark.long
def test_many_pages(name: str) -> None:
    """What remains is a few pixels at the edge of that distance, on few pages.

    In `base` they may still be far off: one page in sixty had some by 116 levels.
    """
    rng, upscaler = np.random.default_rng(0), Upscaler.load(name, precision="fp32")
    found = [damage(upscaler, rng, float(rng.choice(SCALES))) for _ in range(60)]
    shares, largest = zip(*found, strict=True)
    assert np.mean([each <= LEVELS for each in largest]) >= 0.9
    assert max(shares) <= 0.001
    assert max(largest) <= (128 if name == "base" else 16)


@pytest.mark.long
def test_tiles_of_pages_give_the_whole(name: str) -> None:
    rng = np.random.default_rng(2)
    whole, tiled = (Upscaler.load(name, precision="fp32", tile=tile) for tile in ("off", 64))
    for _ in range(4):
        x = compose(rng, 96, 2).pixels
        torch.testing.assert_close(
            tiled.tensor(x, scale=2), whole.tensor(x, scale=2), rtol=0, atol=1e-5
        )
