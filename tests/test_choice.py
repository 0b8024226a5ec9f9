import pytest

from ccsr.choice import choose_grid
from ccsr.resample import ProjectedGrid


def test_a_scale_is_centred_and_a_size_is_a_ratio() -> None:
    assert choose_grid((7, 9), scale=2.37) == ProjectedGrid.project(
        (7, 9), (17, 21), 2.37, "centred"
    )
    assert choose_grid((7, 9), size=(17, 21)) == ProjectedGrid.project((7, 9), (17, 21))


def test_a_grid_is_itself() -> None:
    grid = ProjectedGrid.project((7, 9), (17, 21))
    assert choose_grid((7, 9), grid=grid) is grid


def test_one_of_them_is_needed_and_one_suffices() -> None:
    for options in ({}, {"scale": 2.0, "size": (3, 3)}):
        with pytest.raises(ValueError, match="expected exactly one of scale"):
            choose_grid((7, 9), **options)
