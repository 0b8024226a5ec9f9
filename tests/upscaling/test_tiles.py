import pytest
import torch

from ccsr.upscaling.tiles import Window, for_each_window


def ignore(pixels: int) -> None:
    pass


def whole(height: int, width: int) -> Window:
    return slice(0, height), slice(0, width)


@pytest.mark.parametrize(("size", "tile"), [((1, 1), 16), ((50, 70), 16), ((33, 16), 32)])
def test_windows_cover_every_pixel_once_and_are_counted(size: tuple[int, int], tile: int) -> None:
    hits = torch.zeros(size)
    counts: list[int] = []

    def compute(rows: slice, columns: slice) -> None:
        hits[rows, columns] += 1
        assert max(hits[rows, columns].shape) <= tile

    assert for_each_window(whole(*size), tile, compute, counts.append) == tile
    assert (hits == 1).all()
    assert sum(counts) == hits.numel()


def test_a_region_is_all_that_is_covered() -> None:
    hits = torch.zeros(40, 50)

    def compute(rows: slice, columns: slice) -> None:
        hits[rows, columns] += 1

    for_each_window((slice(7, 29), slice(3, 50)), 16, compute, ignore)
    assert (hits[7:29, 3:] == 1).all()
    assert hits.sum() == 22 * 47


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
    hits = torch.zeros(100, 60)
    calls = 0

    def compute(rows: slice, columns: slice) -> None:
        nonlocal calls
        calls += 1
        if hits[rows, columns].numel() > 900:
            raise error
        hits[rows, columns] += 1

    assert for_each_window(whole(100, 60), 100, compute, ignore) == 25
    assert (hits == 1).all()
    assert calls < 20


def test_memory_that_never_suffices_is_an_error() -> None:
    def compute(rows: slice, columns: slice) -> None:
        raise MemoryError

    with pytest.raises(RuntimeError, match="out of memory even for a single pixel: close"):
        for_each_window(whole(100, 100), 16, compute, ignore)


def test_other_errors_pass() -> None:
    def compute(rows: slice, columns: slice) -> None:
        raise RuntimeError("a shape is wrong")

    with pytest.raises(RuntimeError, match="a shape is wrong"):
        for_each_window(whole(9, 9), 16, compute, ignore)
