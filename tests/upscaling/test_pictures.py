import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import Upscaler, sizes
from ccsr.bundled import resource_dir
from ccsr.image import Metadata, Picture, profiles, to_image, to_tensor
from ccsr.model import checkpoint


def photo(mode: str, width: int = 31, height: int = 22) -> Image.Image:
    with Image.open(resource_dir("samples") / "chelsea.png") as image:
        picture = image.convert("RGB").resize((width, height))
    picture = picture.convert(mode)
    if mode.endswith("A"):
        mask = np.zeros((height, width), np.uint8)
        mask[4:-5, 6:-4] = 255
        mask[10:12] //= 2
        picture.putalpha(Image.fromarray(mask))
    return picture


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("size", [(44, 62), (50, 71), (10, 13), (60, 11)])
def test_pictures_agree_with_pillow_away_from_the_border(
    bicubic: Upscaler, size: tuple[int, int]
) -> None:
    picture = photo("RGB")
    got = bicubic(picture, size=size)
    expected = picture.resize(size[::-1], Image.Resampling.BICUBIC)
    assert got.size == expected.size
    edge = tuple(max(2, math.ceil(2 * s / n)) + 1 for s, n in zip(size, (22, 31), strict=True))
    inside = (slice(edge[0], -edge[0]), slice(edge[1], -edge[1]))
    assert np.abs(pixels(got)[inside] - pixels(expected)[inside]).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pictures_keep_their_kind_and_profile(upscaler: Upscaler, mode: str) -> None:
    picture = photo(mode)
    profile = profiles.adobe().profile(len(mode))
    picture.info["icc_profile"] = profile
    got = upscaler(picture, scale=1.7)
    assert got.mode == mode
    assert got.size == (53, 37)
    assert got.info == {"icc_profile": profile}


def test_one_pixel(upscaler: Upscaler) -> None:
    for mode in ("L", "RGB", "RGBA"):
        assert upscaler(Image.new(mode, (1, 1)), scale=7.3).size == (7, 7)
        assert upscaler(Image.new(mode, (1, 1)), scale=0.1).size == (1, 1)


def test_grey_equals_grey_as_colour(upscaler: Upscaler) -> None:
    grey = photo("L")
    colour = upscaler.tensor(to_tensor(grey.convert("RGB")), scale=2)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    expected = pixels(to_image((colour * weights).sum(0, keepdim=True)))
    assert np.abs(pixels(upscaler(grey, scale=2)) - expected).max() <= 1


def test_orientation_and_palettes(upscaler: Upscaler) -> None:
    upright = photo("RGB")
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    expected = pixels(upscaler(upright, scale=2))
    assert np.array_equal(pixels(upscaler(turned, scale=2)), expected)
    palette = upright.quantize(16)
    expected = pixels(upscaler(palette.convert("RGB"), scale=2))
    assert np.array_equal(pixels(upscaler(palette, scale=2)), expected)


def test_hidden_colours_do_not_leak(upscaler: Upscaler) -> None:
    clean = photo("RGBA")
    dirty = np.asarray(clean).copy()
    hidden = dirty[..., 3] == 0
    dirty[hidden, :3] = np.random.default_rng(0).integers(0, 256, (hidden.sum(), 3))
    got = upscaler(Image.fromarray(dirty), scale=2.37)
    assert np.array_equal(pixels(got), pixels(upscaler(clean, scale=2.37)))


@pytest.mark.parametrize("hidden", ["white", "black", "lime"])
def test_edges_have_no_fringe(bicubic: Upscaler, hidden: str) -> None:
    picture = Image.new("RGBA", (20, 20), hidden)
    picture.putalpha(0)
    picture.paste((200, 40, 30, 255), (5, 5, 15, 15))
    got = pixels(bicubic(picture, scale=3.3))
    assert (got[got[..., 3] > 0][:, :3] == [200, 40, 30]).all()


def test_flat_alpha_stays_flat(upscaler: Upscaler) -> None:
    picture = photo("RGBA", 60, 50)
    got = pixels(upscaler(picture, scale=3))[..., 3]
    assert (got[:3] == 0).all()
    assert (got[50:120, 30:150] == 255).all()
    for level in (0, 77, 255):
        picture.putalpha(level)
        assert (pixels(upscaler(picture, scale=1.3))[..., 3] == level).all()


def test_an_opaque_picture_is_enlarged_like_one_without_alpha(upscaler: Upscaler) -> None:
    picture = photo("RGB")
    expected = pixels(upscaler(picture, size=(40, 50)))
    got = pixels(upscaler(picture.convert("RGBA"), size=(40, 50)))
    assert np.array_equal(got[..., :3], expected)


def test_load_by_path(tmp_path: Path, upscaler: Upscaler) -> None:
    checkpoint.save(tmp_path / "mine.safetensors", upscaler.model, {})
    loaded = Upscaler.load(tmp_path / "mine.safetensors", precision="fp32")
    expected = pixels(upscaler(photo("RGB"), scale=2))
    assert np.array_equal(pixels(loaded(photo("RGB"), scale=2)), expected)


def test_all_frames_of_a_picture_are_enlarged(upscaler: Upscaler) -> None:
    pages = tuple(np.asarray(photo("RGB", *size)) for size in ((8, 6), (4, 9)))
    shares: list[float] = []
    got = upscaler(Picture(pages), size=(12, 24), progress=shares.append)
    assert [page.shape for page in got.frames] == [(12, 24, 3), (18, 12, 3)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    alone = upscaler(Picture(pages[:1]), size=(12, 24))
    assert np.array_equal(got.frames[0], alone.frames[0])


def test_what_a_picture_says_about_itself_is_kept(upscaler: Upscaler) -> None:
    described = Metadata(xmp=b"<x/>", dpi=(72, 72))
    picture = Picture((np.zeros((3, 4, 3), np.uint16),), described, notes=("read so",))
    got = upscaler(picture, scale=2)
    assert got.metadata == described
    assert got.notes == ("read so",)
    assert got.frames[0].dtype == np.uint16


def test_wrong_sizes_and_scales(upscaler: Upscaler) -> None:
    picture = photo("RGB")
    options: list[dict[str, Any]] = [{}, {"scale": 2.0, "size": (4, 4)}]
    for wrong in options:
        with pytest.raises(ValueError, match="expected exactly one of scale"):
            upscaler(picture, **wrong)
    with pytest.raises(ValueError, match=r"scale must be positive and finite, got -2\.0"):
        upscaler(picture, scale=-2.0)
    text: Any = "2"
    with pytest.raises(ValueError, match="scale must be a number or"):
        upscaler(picture, scale=text)
    with pytest.raises(ValueError, match="sizes must be 1 to"):
        upscaler(picture, size=(0, 4))


def test_a_size_may_be_a_rule_for_the_picture_as_it_is_seen(bicubic: Upscaler) -> None:
    turned = photo("RGB", 30, 20)
    turned.getexif()[274] = 6  # shown upright: 20 wide, 30 high
    assert bicubic(turned, size=sizes.width(40)).size == (40, 60)
    assert bicubic(turned, size=sizes.longest(45)).size == (30, 45)
    assert bicubic(turned, size=lambda size: (size[0] + 1, size[1] + 2)).size == (22, 31)
    x = torch.rand(1, 3, 8, 6)
    by_rule = bicubic.tensor(x, size=sizes.fit((16, 99)))
    assert torch.equal(by_rule, bicubic.tensor(x, size=(16, 12)))
    with pytest.raises(ValueError, match="expected exactly one of scale"):
        bicubic.tensor(x, size=sizes.width(9), scale=2)
