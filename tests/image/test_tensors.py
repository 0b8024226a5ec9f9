from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.image import Picture


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_tensors_and_back(channels: int, mode: str) -> None:
    values = noise(channels)
    picture = Picture((values,))
    x = image.to_tensor(picture)
    assert x.shape == (channels, 4, 5)
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1
    assert torch.equal(image.to_tensor(picture.to_pil()), x)
    back = image.to_image(x)
    assert back.mode == mode
    assert np.array_equal(Picture.of(back).frames[0], values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives(dtype: type) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None, :, None]
    assert np.array_equal(image.to_array(image.from_array(values), like=values), values)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_floats_of_every_precision_are_rounded_once(dtype: torch.dtype) -> None:
    x = torch.linspace(0, 1, 1001).to(dtype)
    expected = (x.double() * 255 + 0.5).floor().to(torch.uint8)
    assert torch.equal(image.to_uint8(x), expected)
    assert np.array_equal(np.array(image.to_image(x[None, None]))[0], expected)
    exact = x if dtype == torch.float64 else x.float()
    deep = image.to_array(x[None, None], like=np.zeros((1, 1, 1), np.uint16))
    assert np.array_equal(deep[0, :, 0], (exact * 65535 + 0.5).to(torch.int32).numpy())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image.to_image(torch.zeros(3, 4, 5, dtype=torch.uint8)), "point, got torch.uint8"),
        (lambda: image.to_image(np.zeros((3, 4, 5))), "floating point, got ndarray: make"),
        (lambda: image.to_tensor(np.zeros((4, 5, 3))), "a picture .* or a Picture, got ndarray"),
        (lambda: image.to_tensor(torch.zeros(3, 4, 5)), "a picture .* or a Picture, got Tensor"),
        (lambda: image.write(noise(3), "a.png"), "a picture of Pillow, got ndarray: .* array by"),
        (lambda: image.write(torch.zeros(3, 4, 5), "a.png"), "got Tensor: .* by to_image"),
        (lambda: image.write(Picture((noise(3),)), "a.jpg", {"quality": 3}), "an Output, got dict"),
        (lambda: image.check_output("a.jpg", "keep"), "expected an Output, got str: make one by"),
    ],
)
def test_what_is_of_another_kind(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_rounding_is_to_nearest_and_clamped() -> None:
    x = torch.tensor([-0.3, 0.49 / 255, 0.51 / 255, 1.5 / 255, 254.6 / 255, 1.7])
    kept = x.clone()
    assert image.to_uint8(x).tolist() == [0, 0, 1, 2, 255, 255]
    assert torch.equal(x, kept)


def test_doors_refuse_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"expected a tensor \(C, H, W\) .* got \(5, 2, 2\)"):
        image.to_image(torch.zeros(5, 2, 2))
    with pytest.raises(ValueError, match=r"with C of 1 to 4, got .* without its values"):
        image.to_image(torch.zeros(3, 2, 2, device="meta"))
    with pytest.raises(ValueError, match="some values of the tensor are NaN"):
        image.to_image(torch.full((3, 2, 2), torch.nan))
    with pytest.raises(ValueError, match="expected a single picture, got 2 frames or pages"):
        image.to_tensor(Picture((noise(1), noise(1))))


def test_a_picture_of_pillow_is_taken_in_any_mode() -> None:
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([0, 0, 0, 255, 0, 51])
    assert image.to_tensor(palette)[:, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    keyed = Image.new("RGB", (3, 2), (255, 0, 51))
    keyed.info["transparency"] = (255, 0, 51)
    assert image.to_tensor(keyed)[:, 0, 0].tolist() == pytest.approx([1, 0, 0.2, 0])
    floats = Image.new("F", (3, 2), 2.5)
    assert image.to_tensor(floats).tolist() == [[[2.5] * 3] * 2]
    assert image.to_tensor(Image.new("I;16", (3, 2), 65535)).tolist() == [[[1] * 3] * 2]
    assert image.to_tensor(Image.new("CMYK", (3, 2))).shape == (3, 2, 3)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 1), ("RGB", 3), ("RGBA", 3)])
def test_what_is_transparent_lies_on_white(mode, channels):
    picture = Image.new(mode, (3, 2), (40, 0) if mode == "LA" else None)
    if mode == "RGBA":
        picture.putpixel((0, 0), (10, 20, 30, 255))
        picture.putpixel((1, 0), (0, 0, 0, 51))  # a fifth of black
    pixels = image.opaque(image.Picture.of(picture))
    assert pixels.shape == (channels, 2, 3)
    assert pixels.dtype == torch.uint8
    last = pixels[:, 1, 2].tolist()
    assert last == [255 if "A" in mode else 0] * channels
    if mode == "RGBA":
        assert pixels[:, 0, 0].tolist() == [10, 20, 30]
        assert pixels[:, 0, 1].tolist() == [204, 204, 204]


def test_sixteen_bits_are_rounded_and_grey_becomes_colour(tmp_path):
    levels = np.array([[0, 128, 129, 65535]], np.uint16)[..., None]
    assert image.opaque(image.Picture((levels,))).flatten().tolist() == [0, 0, 1, 255]
    Image.new("L", (4, 3), 7).save(tmp_path / "grey.png")
    assert (image.read_rgb(tmp_path / "grey.png") == 7).all()
    assert image.read_rgb(tmp_path / "grey.png").shape == (3, 3, 4)


def test_a_picture_becomes_an_upright_tensor(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as picture:
        found = image.to_tensor(picture)
    assert found.shape == (3, 80, 60)
    assert torch.equal(found, image.to_tensor(image.read(tmp_path / "a.jpg")))
