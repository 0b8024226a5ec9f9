import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from ccsr.analysis import kernels
from ccsr.analysis.findings import Options
from ccsr.grid import Axis, ProjectedGrid
from ccsr.model import CCLayer
from ccsr.model.fields import CubicField, FourierField, MLPField


@pytest.mark.parametrize("field", [FourierField, MLPField])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (2.0, 3.0), (2.37, 1.5)])
def test_the_surface_is_what_the_layer_answers_to_an_impulse(
    field: type, scale: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    layer = CCLayer(2, 3, 3, field, bias=False, plan="reference").double().requires_grad_(False)
    x = torch.zeros(1, 2, 9, 9, dtype=torch.float64)
    x[0, 1, 4, 4] = 1
    grid = ProjectedGrid(*[Axis(round(9 * s), s, 0.1) for s in scale])
    y = layer(x, grid)[0].permute(1, 2, 0)  # (H, W, 3)
    dy, dx = (4 - axis.positions() for axis in (grid.rows, grid.columns))
    expected = kernels.surface(layer, dy, dx, scale)[..., 1]
    inside = (dy.abs() < 1.5)[:, None] & (dx.abs() < 1.5)
    assert int(inside.sum()) >= 9
    torch.testing.assert_close(y[inside], expected[inside])


def test_responses_of_known_functions() -> None:
    line = torch.linspace(-8, 8, 1025, dtype=torch.float64)
    frequency = torch.linspace(0, 1, 9, dtype=torch.float64)
    gaussian = kernels.response(torch.exp(-0.5 * line.square()), line, frequency)
    expected = math.sqrt(2 * math.pi) * torch.exp(-2 * (math.pi * frequency).square())
    torch.testing.assert_close(gaussian, expected, atol=1e-6, rtol=0)


def test_fixed_kernels_pass_what_is_constant_and_stop_whole_frequencies() -> None:
    for values in kernels.fixed_responses().values():
        assert math.isclose(float(values[0]), 1, abs_tol=0.01)
        assert float(values[64]) < 0.01  # one cycle per pixel: what a grid would show as
    assert float(kernels.FREQUENCIES[64]) == 1


def test_a_cubic_layer_has_the_response_of_bicubic() -> None:
    line = kernels.offsets(4)
    bicubic = kernels.fixed_responses()["bicubic"]
    layer = CCLayer(1, 1, 4, CubicField, bias=False).requires_grad_(False)
    torch.nn.init.ones_(layer.weight)
    middle = torch.zeros(1, 1, 9, 9, dtype=torch.float32)
    middle[0, 0, 4, 4] = 1
    grid = ProjectedGrid(Axis(1, 1.0, 4.0), Axis(len(line), 64.0, 4 - float(line[-1])))
    profile = layer(middle, grid)[0, 0, 0].double()
    torch.testing.assert_close(
        kernels.response(profile, line, kernels.FREQUENCIES), bicubic, atol=2e-3, rtol=0
    )


def test_the_strongest_filters_come_first() -> None:
    values = torch.zeros(2, 2, 3, 4)
    values[:, :, 2, 1] = 3
    values[:, :, 0, 3] = -5
    assert kernels.strongest(values, 2) == [(0, 3), (2, 1)]


def test_a_layer_behind_a_friendly_grid_works_at_what_is_left_of_the_scale() -> None:
    first, last = kernels.layers_of("light")
    assert first.own_scale(3.0) == (2, 2)
    assert last.own_scale(3.0) == (1.5, 1.5)
    assert last.own_scale(1.25) == (0.625, 0.625)


@pytest.mark.long
def test_the_table_the_pictures_and_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "FRAMES", 3)
    findings = kernels.analyse(Options())
    at_two = [record for record in findings.records if record["scale"] == 2]
    assert [record["change"] for record in at_two] == [0, 0]
    assert len(findings.tables[0].lines) == 1 + 2 * len(kernels.SCALES) + 2
    assert sorted(findings.pictures) == ["kernels-light-over-scale.webp", "kernels-light.webp"]
    for name, draw in findings.pictures.items():
        draw(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert getattr(picture, "n_frames", 1) == (4 if "over-scale" in name else 1)
