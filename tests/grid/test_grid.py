import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

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
    assert choose_grid((7, 9), scale=[np.float32(1.5), np.int64(2)]) == expected  # type: ignore[arg-type]
    assert choose_grid((7, 9), size=[np.int64(17), 21]) == choose_grid((7, 9), size=(17, 21))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [{"size": 9}, {"size": (9,)}, {"size": (9.5, 9)}, {"scale": "2"}, {"scale": (2, 2, 2)}],
)
def test_what_is_neither_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected exactly one of scale .* whole numbers .* got"):
        choose_grid((7, 9), **options)


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
