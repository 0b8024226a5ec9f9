import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ccsr import Upscaler, device
from ccsr.grid import ProjectedGrid, choose_grid
from ccsr.image import Picture
from ccsr.model import CCSR
from ccsr.resample import resize
from ccsr.upscaling import upscaler as upscaler_module
from ccsr.upscaling.enlargement import FEATURES, Enlargement
from ccsr.upscaling.pixels import FloatSource
from networks import tiny


def levels(channels: int, bits: int) -> np.ndarray:
    """Smooth colours; alpha with a hole, an edge and an opaque part."""
    rows, columns = np.mgrid[0:21, 0:30] / 30
    planes = [rows, columns, rows * columns][: channels - (channels in (2, 4))]
    if channels in (2, 4):
        planes.append((columns * 3 - 1).clip(0, 1))
    kind = np.uint8 if bits == 8 else np.uint16
    return (np.stack(planes, 2) * np.iinfo(kind).max).astype(kind)


@pytest.mark.parametrize("scale", [2.37, 2, (1.5, 4.0), (0.6, 3.0), 0.73])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_do_not_show(scale: float | tuple[float, float], channels: int) -> None:
    x = torch.rand(2, channels, 45, 32)
    whole = Upscaler(tiny(), precision="fp32", tile="off").tensor(x, scale=scale)
    tiled = Upscaler(tiny(), precision="fp32", tile=16).tensor(x, scale=scale)
    assert torch.allclose(whole, tiled, atol=1e-5)


def test_a_tile_may_be_a_number_of_numpy() -> None:
    for tile in (64, np.int64(64)):
        upscaler, shares = Upscaler(tiny(), precision="fp32", tile=tile), list[float]()
        upscaler.tensor(torch.rand(3, 90, 90), scale=2, progress=shares.append)
        assert len(shares) == 9


def test_memory_that_runs_out_changes_nothing(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(3, 30, 30)
    expected = upscaler.tensor(x, scale=2.37)
    enlarge, sizes = upscaler.model.enlarge, list[int]()

    def small_only(x: Tensor, grid: ProjectedGrid, via: Any) -> Tensor:
        sizes.append(math.prod(grid.size))
        if sizes[-1] > 900:
            raise torch.OutOfMemoryError("out of memory")
        return enlarge(x, grid, via)

    monkeypatch.setattr(upscaler.model, "enlarge", small_only)
    assert torch.allclose(upscaler.tensor(x, scale=2.37), expected, atol=1e-5)
    assert max(sizes) > 900


def test_auto_tiles_follow_the_memory(monkeypatch: pytest.MonkeyPatch, upscaler: Upscaler) -> None:
    shares: list[float] = []
    upscaler.tensor(torch.rand(3, 30, 30), scale=2, progress=shares.append)
    assert shares == [1]
    shares.clear()
    monkeypatch.setattr(upscaler_module, "free_memory", lambda device: 1 << 20)
    upscaler.tensor(torch.rand(3, 30, 30), scale=2, progress=shares.append)
    assert len(shares) > 1
    assert shares[-1] == 1


def test_auto_tiles_follow_the_memory_that_may_be_taken() -> None:
    x = torch.rand(3, 500, 500)
    expected = Upscaler(tiny(), precision="fp32").tensor(x, scale=2)
    shares: list[float] = []
    small = Upscaler(tiny(), precision="fp32", memory=32 << 20)
    got = small.tensor(x, scale=2, progress=shares.append)
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert torch.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("scale", [0.9, 0.37, (0.2, 0.7), 0.01])
def test_a_reduction_is_bicubic_within_the_memory(
    scale: float | tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = 32 << 20
    upscaler = Upscaler(tiny(), precision="fp32", memory=memory)
    read, counts = FloatSource.read, list[int]()

    def counted(self: FloatSource, rows: slice, columns: slice) -> Tensor:
        part = read(self, rows, columns)
        counts.append(part.shape[2] * part.shape[3])
        return part

    monkeypatch.setattr(FloatSource, "read", counted)
    x = torch.rand(3, 1600, 1500)
    grid = choose_grid((1600, 1500), scale)
    expected = resize(x, grid).clamp(0, 1)
    assert torch.allclose(upscaler.tensor(x, scale=scale), expected, atol=1e-5)
    assert max(counts) * FEATURES * 3 * 4 <= memory


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_strips_together_are_the_whole(upscaler: Upscaler, channels: int, bits: int) -> None:
    values = levels(channels, bits)
    whole = upscaler.levels(values, scale=2.37)
    assert whole.shape == (50, 71, channels)
    assert whole.dtype == values.dtype
    tiled = Upscaler(upscaler.model, precision="fp32", tile=16)
    strips = list(tiled.strips(values, 17, scale=2.37))
    assert [len(strip) for strip in strips] == [17, 17, 16]
    difference = np.concatenate(strips).astype(int) - whole
    assert np.abs(difference).max() <= 1


def test_a_result_beyond_the_memory_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, upscaler: Upscaler
) -> None:
    monkeypatch.setattr(device, "free_memory", lambda device: 1 << 20)
    with pytest.raises(RuntimeError, match=r"a result of 4000x3000 pixels needs .* GiB .* smaller"):
        upscaler.tensor(torch.rand(3, 30, 40), scale=100)


def test_frames_beyond_the_memory_are_refused_before_the_first(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "free_memory", lambda device: 3 * 10 * 400 - 1)
    monkeypatch.setattr(Enlargement, "window", None)
    frames = (np.zeros((10, 10, 1), np.uint8),) * 10
    with pytest.raises(RuntimeError, match=r"a result of 10 times 20x20 pixels needs .* smaller"):
        upscaler(Picture(frames, durations=(50,) * 10), scale=2)


def poisoned(model: CCSR, bad: Callable[[], bool]) -> Callable[..., Tensor]:
    enlarge = model.enlarge
    return lambda *args: enlarge(*args) * (math.nan if bad() else 1)


def test_a_non_finite_tile_is_computed_again_in_float32(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(3, 9, 9)
    expected = upscaler.tensor(x, scale=2)
    mixed = Upscaler(upscaler.model, precision="bf16")
    poison = poisoned(mixed.model, lambda: torch.is_autocast_enabled("cpu"))
    monkeypatch.setattr(mixed.model, "enlarge", poison)
    with pytest.warns(UserWarning, match="computed again in float32: rows 0 to 18, columns 0 to"):
        assert torch.equal(mixed.tensor(x, scale=2), expected)
    said: list[str] = []
    mixed.warn = said.append
    mixed.tensor(x, scale=2)
    assert said == [
        "not finite in bfloat16, computed again in float32: rows 0 to 18, columns 0 to 18"
    ]


def test_what_stays_non_finite_is_an_error_that_names_the_place(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaler.model, "enlarge", poisoned(upscaler.model, lambda: True))
    with pytest.raises(RuntimeError, match="not finite in rows 0 to 18, columns 0 to 20"):
        upscaler.tensor(torch.rand(3, 9, 10), scale=2)
