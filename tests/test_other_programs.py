"""The recipes of docs/other-programs.md, each with what it calls or what stands in for that."""

import re
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from ccsr import ProjectedGrid, Upscaler
from ccsr.bundled import resource_dir
from ccsr.export import save
from ccsr.model import checkpoint
from documents import read

PAGE = read("docs/other-programs.md")
OPENCV, ONE_LINE, VAPOURSYNTH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SCALE = 2.5


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler.load("light", device="cpu", precision="fp32")


@pytest.fixture
def photo(upscaler, tmp_path, monkeypatch) -> Image.Image:
    """Small, and `photo.png` in the current folder, with the file that the recipes name."""
    monkeypatch.chdir(tmp_path)
    save("light_2.5x.onnx", upscaler.model, SCALE)
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        small = picture.convert("RGB").resize((47, 31))
    small.save("photo.png")
    return small


def test_opencv(upscaler, photo) -> None:
    exec(OPENCV, {})
    with Image.open("photo_2.5x.png") as result:
        given = np.asarray(result, int)
    expected = np.asarray(upscaler(photo, scale=SCALE), int)
    assert given.shape == expected.shape
    assert abs(given - expected).max() <= 1


def test_one_line_of_onnxruntime(upscaler, photo) -> None:
    names = {"onnxruntime": onnxruntime}
    names["photo"] = np.asarray(photo, np.float32) / 255
    exec(ONE_LINE, names)
    expected = upscaler.levels(names["photo"], scale=SCALE)
    assert np.abs(names["large"] - expected).max() < 1e-5


class Frame(list):
    """Three planes, as VapourSynth's frames have them."""

    def copy(self) -> "Frame":
        return Frame(plane.copy() for plane in self)


class Clip:
    """A clip of one frame that knows the two functions of the recipe."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.height, self.width = frame[0].shape
        self.std = SimpleNamespace(BlankClip=self.blank, ModifyFrame=self.modify)

    def blank(self, width: int, height: int) -> "Clip":
        return Clip(Frame(np.zeros((3, height, width), np.float32)))

    def modify(self, clips: "list[Clip]", selector) -> "Clip":
        result = selector(n=0, f=[clip.frame for clip in clips])
        assert result[0].shape == self.frame[0].shape
        return Clip(result)


def test_vapoursynth(upscaler, photo) -> None:
    x = np.asarray(photo, np.float32).transpose(2, 0, 1) / 255
    names = {"clip": Clip(Frame(x))}
    exec(VAPOURSYNTH, names)
    expected = upscaler.tensor(torch.from_numpy(x), scale=SCALE)
    result = torch.from_numpy(np.stack(names["clip"].frame))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(checkpoint.shipped()))
def test_tiles_overlap_by_what_a_network_sees(name) -> None:
    found = re.findall(r"(\d+)(?: pixels on each side)? for ((?:`[\w-]+`(?:, | and )?)+)", PAGE)
    (told,) = [pixels for pixels, names in found if f"`{name}`" in names]
    model, _ = checkpoint.load(checkpoint.resolve(name))
    for scale in (2, 3, 4):
        size = 200, 200
        grid = ProjectedGrid.project(size, (200 * scale, 200 * scale), (scale, scale), "centred")
        one = slice(100 * scale, 101 * scale)  # what one pixel becomes
        rows, *_ = model.crop(size, grid, model.route(size, grid), one, one)
        assert (100 - rows.start, rows.stop - 101) == (int(told), int(told))
