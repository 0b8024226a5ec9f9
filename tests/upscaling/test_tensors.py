import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ccsr import Upscaler
from ccsr.grid import ProjectedGrid, output_size
from ccsr.resample import resize
from ccsr.upscaling import torch_engine
from networks import tiny

SCALES = [1, 4 / 3, 1.5, 2, 2.37, 3, math.pi, 8, 0.5, 0.73, (1.5, 4.0), (0.5, 3.0)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(7, 10), (1, 1), (1, 9), (2, 2)])
def test_a_new_network_is_bicubic_at_the_promised_size(
    bicubic: Upscaler, scale: float | tuple[float, float], size: tuple[int, int]
) -> None:
    x = torch.rand(3, *size)
    got = bicubic.tensor(x, scale=scale)
    target = output_size(size, scale)
    grid = ProjectedGrid.project(size, target, scale, "centred")
    assert got.shape == (3, *target)
    assert torch.allclose(got, resize(x, grid).clamp(0, 1), atol=1e-6)


def test_tensors_of_every_layout(upscaler: Upscaler) -> None:
    x = torch.rand(2, 3, 9, 7)
    both = upscaler.tensor(x, size=(20, 15))
    assert both.shape == (2, 3, 20, 15)
    assert both.dtype == torch.float32
    assert both.min() >= 0
    assert both.max() <= 1
    grid = ProjectedGrid.project((9, 7), (20, 15))
    for one, expected in zip(x.double(), both, strict=True):
        assert torch.allclose(upscaler.tensor(one, grid=grid), expected, atol=1e-5)
    assert not both.is_inference()  # so that others may use it in a loss


def test_bfloat16_is_close(upscaler: Upscaler) -> None:
    x = torch.rand(3, 16, 16)
    expected = upscaler.tensor(x, scale=2.37)
    got = Upscaler(upscaler.model, precision="bf16").tensor(x, scale=2.37)
    assert got.dtype == torch.float32
    assert torch.allclose(got, expected, atol=0.02)


@pytest.mark.parametrize("native", [False, True])
def test_auto_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    monkeypatch.setattr(torch_engine, "has_native_bfloat16", lambda device: native)
    expected = torch.bfloat16 if native else torch.float32
    assert Upscaler(tiny(), device="cpu").dtype == expected
    assert Upscaler(tiny(), device="cpu", precision="fp32").dtype == torch.float32


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_ramp_of_sixteen_bits_never_steps_back(
    monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    """bfloat16 keeps 256 steps between two powers of two apart, such a picture has 32768."""
    monkeypatch.setattr(torch_engine, "has_native_bfloat16", lambda device: True)
    ramp = np.linspace(0, 65535, 300).astype(np.uint16)
    values = np.broadcast_to(ramp[None, :, None], (8, 300, channels)).copy()
    automatic = Upscaler.load("light", device="cpu")
    got = automatic.levels(values, scale=2.37).astype(int)
    assert np.diff(got[:, 9:-9], axis=1).min() >= 0
    asked = Upscaler.load("light", device="cpu", precision="bf16")
    assert np.abs(asked.levels(values, scale=2.37) - got).max() > 0
    view = automatic.view(values).window(slice(None), slice(None), scale=2.37)
    assert np.abs(view.astype(int) - got).max() <= 1


def test_sixteen_bits_are_not_reduced_to_eight(bicubic: Upscaler) -> None:
    values = np.full((9, 9, 3), 0x1234, np.uint16)
    assert (bicubic.levels(values, scale=1.5) == 0x1234).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "precision must be one of auto, fp32, bf16, got 'fp16'"),
        ({"device": "gpu"}, "device must be"),
        ({"tile": 8}, "tile must be auto, off or at least 16, got 8"),
        ({"tile": "big"}, "tile must be .* got 'big'"),
        ({"memory": 1 << 20}, "memory .* of bytes, at least 32 MiB, got 1048576"),
    ],
)
def test_unknown_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Upscaler(tiny(), **options)


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(2, 5, 5),
        torch.rand(5, 5),
        torch.rand(0, 3, 5, 5),
        torch.zeros(3, 5, 5, dtype=torch.uint8),
    ],
)
def test_wrong_tensors(upscaler: Upscaler, x: Tensor) -> None:
    with pytest.raises(ValueError, match="expected a floating-point tensor"):
        upscaler.tensor(x, scale=2)


def test_tensors_that_are_not_finite(upscaler: Upscaler) -> None:
    with pytest.raises(ValueError, match=r"got nan to nan: .* and replace NaN"):
        upscaler.tensor(torch.full((3, 4, 4), math.nan), scale=2)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 5), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5, 3), np.float64),
        np.zeros((4, 5, 3), np.int16),
    ],
)
def test_wrong_levels(upscaler: Upscaler, values: np.ndarray) -> None:
    for enlarge in (upscaler.levels, lambda array, scale: upscaler.strips(array, 8, scale=scale)):
        with pytest.raises(ValueError, match=r"expected levels \(h, w, C\) of uint8, uint16 or"):
            enlarge(values, scale=2)
