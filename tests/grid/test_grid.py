import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from ccsr.grid import (
    Axis,
    ProjectedGrid,
    checked_size,
    choose_grid,
    is_remembered,
    output_size,
)


def test_a_scale_is_centred_and_a_size_is_a_ratio() -> None:
    assert choose_grid((7, 9), scale=2.37) == ProjectedGrid.project(
        (7, 9), (17, 21), 2.37, "centred"
    )
    assert choose_grid((7, 9), size=(17, 21)) == ProjectedGrid.project((7, 9), (17, 21))


def test_a_grid_is_itself() -> None:
    grid = ProjectedGrid.project((7, 9), (17, 21))
    assert choose_grid((7, 9), grid=grid) is grid


def test_small_numbers_of_numpy_do_not_overflow() -> None:
    grid = ProjectedGrid.project((11, 13), (np.uint8(200), np.uint8(100)))
    assert math.prod(grid.size) == 20_000


def test_one_of_them_is_needed_and_one_suffices() -> None:
    for options in ({}, {"scale": 2.0, "size": (3, 3)}):
        with pytest.raises(ValueError, match="expected exactly one of scale"):
            choose_grid((7, 9), **options)


def test_numbers_and_pairs_of_other_libraries_are_taken() -> None:
    expected = choose_grid((7, 9), scale=(1.5, 2.0))
    scales: list[Any] = [
        [np.float32(1.5), np.int64(2)],
        np.array([1.5, 2]),
        torch.tensor([1.5, 2]),
        (torch.tensor(1.5), Fraction(2)),
        (Decimal("1.5"), 2),
    ]
    for scale in scales:
        assert choose_grid((7, 9), scale=scale) == expected
    single: list[Any] = [np.array(2.5), torch.tensor(2.5), Decimal("2.5"), np.float16(2.5)]
    for scale in single:
        assert choose_grid((7, 9), scale=scale) == choose_grid((7, 9), scale=2.5)
    sizes: list[Any] = [
        [np.int64(17), 21],
        np.array([17, 21], np.uint8),
        torch.tensor([17, 21]),
        torch.Size((17, 21)),
    ]
    for size in sizes:
        grid = choose_grid((7, 9), size=size)
        assert grid == choose_grid((7, 9), size=(17, 21))
        assert {type(side) for side in grid.size} == {int}


@pytest.mark.parametrize(
    "size",
    [9, (9,), (9.5, 9), (9.0, 9), np.array([9.0, 9.0]), (True, 9), {9, 8}, {9: 1, 8: 2}, "9x8",
        "98", (1, 2, 3), (math.nan, 9), np.zeros((2, 2), int), lambda size: None],
)  # fmt: skip
def test_a_size_is_two_whole_numbers(size: Any) -> None:
    with pytest.raises(ValueError, match=r"size must be two whole numbers \(height, width\), got"):
        choose_grid((7, 9), size=size)


@pytest.mark.parametrize(
    "scale",
    ["2", "2x3", b"22", (2, 2, 2), (), True, (True, 2), {2, 3}, {2: 1, 3: 1}, 2j, np.ones((2, 2)),
        np.array([True, True]), (x for x in (2, 3))],
)  # fmt: skip
def test_a_scale_is_a_number_or_two(scale: Any) -> None:
    with pytest.raises(
        ValueError, match=r"scale must be a number or \(vertical, horizontal\), got"
    ):
        choose_grid((7, 9), scale=scale)


@pytest.mark.parametrize("scale", [0, -1.5, math.inf, math.nan, 10**400, Decimal("NaN"), (2, -2)])
def test_a_scale_is_positive_and_finite(scale: Any) -> None:
    with pytest.raises(ValueError, match="scale must be positive and finite, got"):
        choose_grid((7, 9), scale=scale)


def test_a_grid_is_a_grid() -> None:
    wrong: Any = (17, 21)
    with pytest.raises(ValueError, match=r"grid must be a ProjectedGrid, got \(17, 21\)"):
        choose_grid((7, 9), grid=wrong)


def test_sizes_are_those_of_decimal_factors():
    """The rule, nearest and halves up, on the factor as it is written."""
    for hundredths in range(101, 400):
        factor = Fraction(hundredths, 100)
        for side in range(1, 400, 3):
            expected = math.floor(factor * side + Fraction(1, 2))
            assert output_size((side, 1), hundredths / 100)[0] == expected, (side, hundredths)


@pytest.mark.parametrize("scale", [1e-9, 9.9e-5, (2, 1e-7)])
def test_scales_that_leave_nothing_are_refused(scale: Any) -> None:
    assert output_size((300, 451), 1e-4) == (1, 1)
    for call in (output_size, choose_grid):
        with pytest.raises(ValueError, match=r"scale must be at least 0\.0001, got \d"):
            call((300, 451), scale)


def test_results_of_days_are_refused() -> None:
    assert checked_size((10**6, 10**6)) == (10**6, 10**6)
    calls = (
        lambda: output_size((10**5, 10**5), 10.1),
        lambda: choose_grid((10, 10), size=(10**6, 10**6 + 1)),
        lambda: choose_grid((10, 10), scale=10**5 + 1),
    )
    for call in calls:
        with pytest.raises(ValueError, match="at most 1,000,000 million pixels, got 10"):
            call()
    for size in ((0, 5), (5, 2**31)):
        with pytest.raises(ValueError, match=r"sizes must be 1 to 2147483647, got"):
            checked_size(size)


def test_what_is_remembered_of_an_axis_is_small() -> None:
    def axis(pixels: int, outputs: int) -> Axis:
        return ProjectedGrid.project((1, pixels), (1, outputs)).columns

    assert is_remembered(axis(64, 512))
    assert is_remembered(axis(8192, 512))
    assert not is_remembered(axis(64, 513))
    assert not is_remembered(axis(8192 * 2, 512))  # each reads thousands of pixels
    assert not is_remembered(axis(8_000_000, 1000))


@pytest.mark.parametrize("anchor", ["centred", "topleft"])
def test_scales_at_which_nothing_is_left_are_refused(anchor):
    """Positions would not be finite, or each output would read more pixels than fit."""
    for scale in (1e-320, 1e-5, (1.0, 1e-5)):
        with pytest.raises(ValueError, match=r"scale must be at least 0\.0001, got"):
            ProjectedGrid.project((5, 5), (3, 3), scale, anchor)
    assert ProjectedGrid.project((5, 5), (3, 3), 1e-5).scale == (0.6, 0.6)  # by the sizes alone


def test_a_grid_is_shifted_by_whole_pixels():
    grid = ProjectedGrid.project((5, 5), (3, 3))
    assert grid.shifted(np.int64(2), -1).columns.origin == grid.columns.origin + 1
    for by in (0.5, float("nan"), "a", None):
        with pytest.raises(ValueError, match="a grid is shifted by whole pixels, got"):
            grid.shifted(by, 0)
