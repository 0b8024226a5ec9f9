import numpy as np
import pytest
import torch

from ccsr import device
from ccsr.grid import ProjectedGrid
from ccsr.upscaling.pixels import FloatSource, LevelSource, check_room, to_grey

GRID = ProjectedGrid.project((4, 5), (4, 5))
ALL = (slice(None), slice(None))


def picture(channels: int, kind: type[np.unsignedinteger] = np.uint8) -> np.ndarray:
    values = np.random.default_rng(0).integers(1, 256, (4, 5, channels)).astype(kind)
    return values * (257 if kind is np.uint16 else 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_levels_that_nothing_changes_come_back(
    channels: int, kind: type[np.unsignedinteger]
) -> None:
    values = picture(channels, kind)
    levels = LevelSource(values)
    result = levels.empty((4, 5))
    levels.store(result, *ALL, levels.read(*ALL), GRID)
    assert result.dtype == kind
    assert np.array_equal(result, values)


def test_a_window_of_levels_is_the_window_of_floats() -> None:
    values = picture(3)
    x = torch.from_numpy(values).permute(2, 0, 1)[None] / 255
    window = (slice(1, 3), slice(2, 5))
    expected = FloatSource(x).read(*window)
    torch.testing.assert_close(torch.from_numpy(LevelSource(values).read(*window)), expected)


def test_only_alpha_that_varies_is_a_second_image() -> None:
    values = picture(4)
    assert LevelSource(values).images == 2
    values[..., 3] = 77
    levels = LevelSource(values)
    assert levels.images == 1
    result = levels.empty((4, 5))
    levels.store(result, *ALL, levels.read(*ALL), GRID)
    assert np.array_equal(result, values)


def test_colours_under_holes_do_not_matter() -> None:
    values = picture(4)
    values[1:3, 1:3, 3] = 0
    other = values.copy()
    other[1:3, 1:3, :3] = 0
    assert np.array_equal(LevelSource(values).read(*ALL), LevelSource(other).read(*ALL))


def test_grey_floats_stay_grey() -> None:
    x = torch.rand(2, 1, 4, 5)
    levels = FloatSource(x)
    assert levels.read(*ALL).shape == (2, 3, 4, 5)
    result = levels.empty((4, 5))
    levels.store(result, *ALL, levels.read(*ALL), GRID)
    assert torch.allclose(result, x)
    assert torch.allclose(to_grey(levels.read(*ALL)), x)


def test_a_result_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = LevelSource(picture(3)), ProjectedGrid.project((4, 5), (100, 200))
    monkeypatch.setattr(device, "free_memory", lambda device: None)
    check_room([wanted])
    monkeypatch.setattr(device, "free_memory", lambda device: 20_000 * wanted[0].pixel_bytes)
    check_room([wanted])
    monkeypatch.setattr(device, "free_memory", lambda device: 1000)
    with pytest.raises(RuntimeError, match=r"a result of 200x100 pixels needs .* or for a \.tif"):
        check_room([wanted])
