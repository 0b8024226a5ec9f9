from pathlib import Path

import pytest
import torch

from ccsr.analysis import equivariance
from ccsr.analysis.equivariance import Subject, error
from ccsr.analysis.findings import Options, relative_error
from ccsr.grid import Axis, ProjectedGrid
from ccsr.model.fields import CubicField
from ccsr.resample import resize

photo = equivariance.moving_photo(None)


@pytest.mark.parametrize("scale", [1 / 3, 1 / 1.7, 0.5, 2.0, 2.37, 3.0])
def test_a_cc_layer_read_there_is_equivariant_at_every_whole_shift(scale: float) -> None:
    there, _ = equivariance.continuous(scale)
    for shift in (1.0, 2.0, 5.0):
        assert error(there, photo(0), photo(shift), shift) < 1e-5


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_a_strided_convolution_is_equivariant_at_multiples_of_its_stride(kernel_size: int) -> None:
    subject = equivariance.convolution(kernel_size, 2)
    assert error(subject, photo(0), photo(2), 2.0) < 1e-5
    assert error(subject, photo(0), photo(1), 1.0) > 0.05
    assert error(subject, photo(0), photo(3), 3.0) > 0.05


def test_a_moved_output_is_that_of_a_cc_layer_where_it_moves_by_whole_pixels() -> None:
    _, moved = equivariance.continuous(2.0)
    assert error(moved, photo(0), photo(1), 1.0) < 1e-5
    _, moved = equivariance.continuous(0.5)
    assert error(moved, photo(0), photo(2), 2.0) < 1e-5
    assert error(moved, photo(0), photo(1), 1.0) > 0.05


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_waves_move_by_fractions(shift: float) -> None:
    waves = equivariance.moving_waves()
    still, moved = waves(0), waves(shift)
    axis = Axis(still.shape[-1], 1.0, -shift)
    grid = ProjectedGrid(axis, axis)
    inside = (..., slice(8, -8), slice(8, -8))
    assert relative_error(resize(still, grid, "lanczos")[inside], moved[inside]) < 0.02
    assert relative_error(still[inside], moved[inside]) > 0.1


def test_fractions_cost_a_cubic_layer_little() -> None:
    there, moved = equivariance.continuous(0.5, CubicField)
    waves = equivariance.moving_waves()
    errors = [error(one, waves(0), waves(0.5), 0.5) for one in (there, moved)]
    assert errors[0] < 0.02 < errors[1]


def test_the_table_and_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(models: object, trust: object) -> list[Subject]:
        torch.manual_seed(0)
        return [equivariance.convolution(3, 2), *equivariance.continuous(2.0)]

    monkeypatch.setattr(equivariance, "subjects", few)
    findings = equivariance.analyse(Options())
    _, strided, there, moved = findings.tables[0].lines
    assert strided[0] == "/2 strided convolution 3, output moved"
    assert strided[2] == strided[4] == "0" != strided[1]
    assert there == ["x2 CC layer (random), read there", *["0"] * 8, "-", "-", "-"]
    assert moved[0] == "x2 CC layer (random), output moved"
    assert len(findings.records) == 8 + 3 + 8 + 8
    findings.pictures["equivariance.webp"](tmp_path / "equivariance.webp")
    assert (tmp_path / "equivariance.webp").stat().st_size > 10_000


def test_shipped_networks_are_among_the_subjects() -> None:
    names = [one.name for one in equivariance.subjects(["light"])]
    assert "x2.37 light, read there" in names
    assert len(set(names)) == len(names)


def test_a_network_is_equivariant_at_a_scale_that_is_not_whole() -> None:
    there, _ = equivariance.network("light", 2.37)
    assert error(there, photo(0), photo(3), 3.0) < 1e-4
