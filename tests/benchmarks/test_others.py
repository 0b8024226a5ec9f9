import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import others
from ccsr import image
from ccsr.grid import ProjectedGrid

GRID = ProjectedGrid.project((4, 5), (8, 10))


def refuse(text: str) -> None:
    raise AssertionError(text)


def use_spandrel(monkeypatch: pytest.MonkeyPatch, channels: int = 3) -> None:
    """A package that knows one network: it repeats every pixel, and goes beyond 1."""

    class Network:
        scale, input_channels = 2, channels

        def eval(self) -> "Network":
            return self

        def __call__(self, x: Tensor) -> Tensor:
            assert x.shape == (1, 3, 4, 5)
            return x.repeat_interleave(2, 2).repeat_interleave(2, 3) * 2

    def load(path: str) -> Network:
        assert Path(path).name == "net.pth"
        return Network()

    loader = SimpleNamespace(load_from_file=load)
    package = SimpleNamespace(ModelLoader=lambda device: loader)
    monkeypatch.setitem(sys.modules, "spandrel", package)  # type: ignore[arg-type]


def test_what_spandrel_reads_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_spandrel(monkeypatch)
    (tmp_path / "net.pth").touch()
    found = others.load(tmp_path, refuse)
    assert list(found) == ["net"]
    assert found["net"].factor == 2
    x = torch.rand(3, 4, 5)
    expected = (2 * x).clamp(0, 1).repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(found["net"].tensor(x, grid=GRID), expected)
    other = ProjectedGrid.project((4, 5), (12, 15))
    with pytest.raises(ValueError, match=r"a result of 15x12 from a network of factor 2, got 10x8"):
        found["net"].tensor(x, grid=other)


def test_what_opencv_reads_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Engine:
        def readModel(self, path: str) -> None:  # noqa: N802 - OpenCV's name
            asked.append(path)

        def setModel(self, name: str, factor: int) -> None:  # noqa: N802
            asked.append((name, factor))

        def upsample(self, bgr: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            bgr[..., 0] = 255  # blue
            return bgr.repeat(2, 0).repeat(2, 1)

    engine = SimpleNamespace(DnnSuperResImpl_create=Engine)
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(dnn_superres=engine))  # type: ignore[arg-type]
    path = tmp_path / "FSRCNN_x2.pb"
    path.touch()
    found = others.load(tmp_path, refuse)
    assert asked == [str(path), ("fsrcnn", 2)]
    x = image.to_float(torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8))
    y = found["FSRCNN_x2"].tensor(x, grid=GRID)
    assert torch.equal(y[:2], x[:2].repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert torch.equal(y[2], torch.ones(8, 10))


def test_what_cannot_be_read_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace())  # type: ignore[arg-type]
    for name in ("EDSR_x3.pb", "net.pth", "read.me"):
        (tmp_path / name).touch()
    said: list[str] = []
    assert others.load(tmp_path, said.append) == {}
    opencv, spandrel, text = said
    assert opencv.endswith("cv2 has no dnn_superres: install opencv-contrib-python")
    assert "left out net.pth: ModuleNotFoundError" in spandrel
    assert text == "left out read.me: neither spandrel nor OpenCV reads files of that name"
    said.clear()
    use_spandrel(monkeypatch, channels=1)
    assert others.load(tmp_path, said.append) == {}
    assert "expected a network of 3 channels, got 1" in said[1]
