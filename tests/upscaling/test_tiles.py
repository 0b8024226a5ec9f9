"""Windows of a stand-in whose result is known and whose memory is small."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ccsr.upscaling.tiles import Tiles


class Counting:
    """Counts how often each pixel is computed, if `check` lets it."""

    def __init__(self, size: tuple[int, int], check: Callable[[Tensor], object]) -> None:
        self.hits = torch.zeros(size)
        self.check = check
        self.calls = 0

    def window(self, rows: slice, columns: slice) -> Tensor:
        self.calls += 1
        self.check(self.hits[rows, columns])
        self.hits[rows, columns] += 1
        return self.hits[rows, columns]


def ignore(window: Tensor) -> None:
    pass


def cover(stand_in: Any, side: int, rows: slice, columns: slice) -> Tiles:
    tiles = Tiles(stand_in, side)
    for top, left, y in tiles.cover(rows, columns):
        assert torch.equal(y, stand_in.hits[top, left])
        assert max(y.shape) <= tiles.side
    return tiles


@pytest.mark.parametrize(("size", "side"), [((1, 1), 16), ((50, 70), 16), ((33, 16), 32)])
def test_windows_cover_every_pixel_once(size: tuple[int, int], side: int) -> None:
    counting = Counting(size, ignore)
    assert cover(counting, side, slice(0, size[0]), slice(0, size[1])).side == side
    assert (counting.hits == 1).all()


def test_a_region_is_all_that_is_covered() -> None:
    counting = Counting((40, 50), ignore)
    cover(counting, 16, slice(7, 29), slice(3, 50))
    assert (counting.hits[7:29, 3:] == 1).all()
    assert counting.hits.sum() == 22 * 47


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("could not create a memory object"),
    ],
)
def test_pieces_get_smaller_until_they_fit(error: Exception) -> None:
    def check(window: Tensor) -> None:
        if window.numel() > 900:
            raise error

    counting = Counting((100, 60), check)
    assert cover(counting, 100, slice(0, 100), slice(0, 60)).side == 25
    assert (counting.hits == 1).all()
    assert counting.calls < 20


def test_memory_that_never_suffices_is_an_error() -> None:
    def check(window: Tensor) -> None:
        raise MemoryError

    with pytest.raises(RuntimeError, match="out of memory even for a single pixel: close"):
        cover(Counting((100, 100), check), 16, slice(0, 100), slice(0, 100))


def test_other_errors_pass() -> None:
    def check(window: Tensor) -> None:
        raise RuntimeError("a shape is wrong")

    with pytest.raises(RuntimeError, match="a shape is wrong"):
        cover(Counting((9, 9), check), 16, slice(0, 9), slice(0, 9))
