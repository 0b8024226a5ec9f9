"""Pictures of floats through a network."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from ccsr import Upscaler
from ccsr.image import Picture
from ccsr.upscaling import pixels, torch_engine
from ccsr.upscaling.pixels import LevelSource, usual_range
from networks import tiny


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(tiny(), device="cpu", precision="fp32")


def smooth(channels: int, size: tuple[int, int] = (24, 31)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    planes = [np.sin(rows / (3 + i) + columns / (5 - i)) / 2.5 + 0.5 for i in range(channels)]
    return np.stack(planes, -1).astype(np.float32)


def test_floats_are_what_tensors_are(upscaler: Upscaler) -> None:
    values = smooth(3)
    got = upscaler.levels(values, scale=2.3)
    expected = upscaler.tensor(torch.from_numpy(values).permute(2, 0, 1), scale=2.3)
    assert got.dtype == np.float32
    assert np.abs(got - expected.permute(1, 2, 0).numpy()).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_unit_does_not_matter(upscaler: Upscaler, channels: int) -> None:
    """Values of ten and of ten thousand times the range give ten thousand times the result."""
    values = smooth(channels)
    colours = channels - (channels in (2, 4))

    def times(factor: float) -> np.ndarray:
        scaled = values.copy()
        scaled[..., :colours] *= factor
        result = upscaler.levels(scaled, scale=(1.7, 2.2)).astype(np.float64)
        result[..., :colours] /= factor
        return result

    assert times(1e4) == pytest.approx(times(10), abs=2e-6)


def test_values_below_zero_are_kept(upscaler: Upscaler) -> None:
    values = smooth(3) * 10 - 4
    got = upscaler.levels(values, scale=2)
    assert got.min() == pytest.approx(values.min(), abs=1)
    assert got.max() == pytest.approx(values.max(), abs=1)
    assert got.min() < -2


@pytest.mark.parametrize("peak", [3.0, 1e3, 1e6])
@pytest.mark.parametrize("scale", [3.0, 0.6])
def test_a_lamp_changes_nothing_but_its_place(
    upscaler: Upscaler, peak: float, scale: float
) -> None:
    values = smooth(3, (60, 60))
    plain = upscaler.levels(values, scale=scale)
    lit = values.copy()
    lit[30:32, 30:32] = peak
    got = upscaler.levels(lit, scale=scale)
    rows, columns = (np.arange(n) / scale for n in got.shape[:2])
    far = (np.abs(rows - 30)[:, None] > 14) | (np.abs(columns - 30)[None] > 14)
    assert np.abs(got - plain)[far].max() < 1e-6
    assert got.min() > -0.1  # no ring of darkness around it
    assert got.max() <= peak
    if scale > 1:
        assert got.max() > 0.9 * peak


def test_strips_are_the_whole(upscaler: Upscaler) -> None:
    values = smooth(4, (40, 30))
    values[..., :3] *= 5
    values[7, 9, :3] = 900
    whole = upscaler.levels(values, scale=2.4)
    tiled = Upscaler(upscaler.model, device="cpu", precision="fp32", tile=16)
    parts: Iterator[np.ndarray] = tiled.strips(values, 13, scale=2.4)
    assert np.concatenate(list(parts)) == pytest.approx(whole, abs=1e-3)


def test_transparent_floats_have_no_fringe() -> None:
    upscaler = Upscaler(tiny(None), device="cpu", precision="fp32")  # bicubic
    values = np.full((24, 24, 4), (900, -900, 900, 0), np.float32)
    values[6:18, 6:18] = (7, 0, 0, 1)
    got = upscaler.levels(values, scale=2.37)
    seen = got[got[..., 3] > 0.01][..., :3]
    assert np.abs(seen - [7, 0, 0]).max() < 0.05
    assert got[..., 3].min() == 0
    assert got[..., 3].max() == 1


def test_the_usual_range() -> None:
    values = np.linspace(0, 1, 3000, dtype=np.float32).reshape(30, 100, 1)
    assert usual_range(values) == (0, 1)
    assert usual_range(values * 0.2 + 0.3) == (0, 1)
    low, high = usual_range(values * 20 - 8)
    assert (low, high) == pytest.approx((-7.9, 11.9), abs=0.01)
    values[0, 0] = 1e6
    assert usual_range(values) == (0, 1)


def test_other_types_are_refused(upscaler: Upscaler) -> None:
    for dtype in (np.float64, np.float16, np.int32):
        with pytest.raises(ValueError, match=r"levels .* of uint8, uint16 or float32"):
            upscaler.levels(smooth(3).astype(dtype), scale=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_what_is_finer_than_bfloat16_is_computed_in_float32(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, precision: str
) -> None:
    monkeypatch.setattr(torch_engine, "has_native_bfloat16", lambda device: True)
    model = tiny()
    upscaler = Upscaler(model, device="cpu", precision=precision)
    enlarge, seen = model.enlarge, list[bool]()

    def noted(*arguments: Any) -> torch.Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return enlarge(*arguments)

    monkeypatch.setattr(model, "enlarge", noted)
    values = (smooth(3) * (1 if dtype is np.float32 else 200)).astype(dtype)
    upscaler(Picture((values,)), scale=2)
    assert set(seen) == {precision == "bf16" or dtype is np.uint8}
    assert LevelSource(values).exact == (dtype is not np.uint8)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 2e38])
@pytest.mark.parametrize("channel", [0, 3])
def test_values_that_nothing_can_be_made_of_are_refused(
    upscaler: Upscaler, wrong: float, channel: int
) -> None:
    values = smooth(4)
    values[5, 7, channel] = wrong
    with pytest.raises(ValueError, match="expected finite values, at most 1e"):
        upscaler.levels(values, scale=2)


@pytest.mark.parametrize("shape", [(600, 1200, 3), (1, 3000, 3), (1700, 900, 3)])
def test_what_is_usual_is_seen_in_every_channel_and_column(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third value, or as many as a row has, would be one channel's, or one column's."""
    for sampled in (1 << 17, 1 << 18, 600_000, 1 << 20):
        monkeypatch.setattr(pixels, "SAMPLED", sampled)
        for part in (np.s_[..., 2], np.s_[:, shape[1] // 2 :]):
            values = np.zeros(shape, np.float32)
            values[part] = 7
            assert usual_range(values) == (0, 7)
