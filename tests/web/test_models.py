"""The networks that a page offers, and how long they are expected to take."""

import time
from pathlib import Path

import pytest
import torch

from ccsr.model.checkpoint import shipped
from ccsr.web.models import Models, Pace


def test_the_shipped_networks_are_offered_the_default_first():
    models = Models("base", {"device": "cpu"})
    assert models.default == "base"
    assert models.names[0] == "base"
    assert set(models.names) == {"auto", *shipped()}


def test_a_file_is_offered_before_them(network):
    models = Models(str(network), {"device": "cpu"})
    assert models.names == ["tiny.safetensors", "auto", *shipped()]
    assert models.upscaler("tiny.safetensors") is models.upscaler("tiny.safetensors")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no model called 'lite'"):
        Models("lite", {})
    with pytest.raises(FileNotFoundError, match="no model file at"):
        Models(str(tmp_path / "none.safetensors"), {})
    (tmp_path / "light.onnx").touch()
    with pytest.raises(
        ValueError, match=r"takes no ONNX file, got light\.onnx: give a model's name"
    ):
        Models(str(tmp_path / "light.onnx"), {})
    for name in ("../base", None, 3, "base.safetensors"):
        with pytest.raises(ValueError, match="model must be one of light, auto, base"):
            Models("light", {}).check(name)


def test_the_pace_is_measured_once_and_grows_with_the_work(network):
    models = Models(str(network), {"device": "cpu"})
    models.measure("tiny.safetensors")
    pace = models.pace["tiny.safetensors"]
    assert pace.outputs > 0
    assert pace.inputs >= 0
    assert 0 < pace.seconds((10, 10), (20, 20)) < pace.seconds((10, 10), (40, 40))
    models.measure("tiny.safetensors")
    assert models.pace["tiny.safetensors"] is pace


def test_what_is_set_up_at_each_scale_once_is_no_part_of_the_pace(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, seen = 0.0, set()

    def enlarge(x: torch.Tensor, *, scale: float) -> torch.Tensor:
        nonlocal now
        now += 1e-6 * scale**2 * x[0].numel() + (scale not in seen) * 7
        seen.add(scale)
        return x

    models = Models(str(network), {"device": "cpu"})
    monkeypatch.setattr(models.upscaler("tiny.safetensors"), "tensor", enlarge)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    models.measure("tiny.safetensors")
    assert models.pace["tiny.safetensors"].outputs == pytest.approx(1e-6)


def test_the_pace_approaches_what_pictures_take():
    pace = Pace(1e-6, 2e-6)
    for _ in range(20):
        pace.learn(pace.seconds((100, 100), (200, 200)), 0.5)
    assert pace.seconds((100, 100), (200, 200)) == pytest.approx(0.5, rel=1e-3)
    assert pace.outputs == pytest.approx(2 * pace.inputs)
