from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ccsr import image
from ccsr.image import Picture
from picture_parts import only


def of(picture: Image.Image) -> np.ndarray:
    (frame,) = Picture.of(picture).frames
    return frame


@pytest.mark.parametrize(
    ("mode", "channels"),
    [
        ("1", 1),
        ("L", 1),
        ("LA", 2),
        ("La", 2),
        ("P", 3),
        ("PA", 4),
        ("RGB", 3),
        ("RGBA", 4),
        ("RGBa", 4),
        ("RGBX", 3),
        ("CMYK", 3),
        ("YCbCr", 3),
        ("HSV", 3),
        ("LAB", 3),
        ("I;16", 1),
        ("I;16B", 1),
        ("I", 1),
        ("F", 1),
    ],
)
def test_every_mode_becomes_grey_or_colour_with_or_without_alpha(mode: str, channels: int) -> None:
    picture = Image.new(mode, (3, 2))
    if mode in ("P", "PA"):
        picture.putpalette([200, 10, 10])
    before = picture.tobytes()
    got = of(picture)
    assert got.shape == (2, 3, channels)
    assert got.dtype == {"I": np.uint16, "F": np.float32}.get(mode[0], np.uint8)
    assert picture.tobytes() == before


@pytest.mark.parametrize(
    ("mode", "outside", "inside", "expected"),
    [
        ("I", -1, 257, 257),
        ("I", 65536, 65535, 65535),
    ],
)
def test_32_bit_is_read_where_its_range_is_clear(
    tmp_path: Path, mode: str, outside: float, inside: float, expected: int
) -> None:
    Image.new(mode, (3, 2), inside).save(tmp_path / "deep.tif")
    assert only(tmp_path / "deep.tif").ravel().tolist() == [expected] * 6
    Image.new(mode, (3, 2), outside).save(tmp_path / "deep.tif")
    with pytest.raises(OSError, match=r"deep\.tif: expected 8 or 16 bits .* got values from"):
        image.read(tmp_path / "deep.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit_is_black_and_white(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / f"bits{suffix}")
    assert only(tmp_path / f"bits{suffix}").tolist() == [[[0], [255]]]


def test_palette_transparency_becomes_alpha(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 10, 10, 5, 100, 50])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "key.png", transparency=0)
    picture.save(tmp_path / "table.png", transparency=bytes([7, 99]))
    picture.save(tmp_path / "key.gif", transparency=0)
    for name in ("key.png", "key.gif"):
        assert only(tmp_path / name).tolist() == [[[200, 10, 10, 0], [5, 100, 50, 255]]]
    assert only(tmp_path / "table.png")[0, :, 3].tolist() == [7, 99]


def test_a_palette_of_which_grey_is_used_stays_grey(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 10, 10, 200, 200, 200, 255, 0, 0])  # no red in it
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "grey.png")
    picture.save(tmp_path / "key.png", transparency=0)
    assert only(tmp_path / "grey.png").tolist() == [[[10], [200]]]
    assert only(tmp_path / "key.png").tolist() == [[[10, 0], [200, 255]]]


def test_colour_keys_become_alpha(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "colour.png", transparency=(1, 2, 3))
    Image.new("L", (1, 1), 9).save(tmp_path / "grey.png", transparency=9)
    deep = Image.fromarray(np.array([[257, 258]], np.uint16))
    deep.save(tmp_path / "deep.png", transparency=257)
    assert only(tmp_path / "colour.png").tolist() == [[[1, 2, 3, 0]]]
    assert only(tmp_path / "grey.png").tolist() == [[[9, 0]]]
    assert only(tmp_path / "deep.png").tolist() == [[[257, 0], [258, 65535]]]


def test_to_8_bit_is_to_nearest(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    picture = Picture((values[..., None],))
    assert np.asarray(picture.convert("L")).tolist() == [[0, 0, 1, 1, 128, 255]]
    assert np.array_equal(np.asarray(picture.to_pil()), values)


def test_several_frames_are_no_picture_of_pillow() -> None:
    frame = np.zeros((2, 2, 1), np.uint8)
    for change in (Picture.to_pil, lambda picture: picture.convert("L")):
        with pytest.raises(ValueError, match="expected a single picture, got 2 frames or pages"):
            change(Picture((frame, frame)))


def test_unknown_modes() -> None:
    picture = Image.new("L", (1, 1))
    picture._mode = "XYZ"
    with pytest.raises(ValueError, match="Pillow's mode XYZ is not known here: convert it to RGB"):
        Picture.of(picture)


def test_cmyk_without_a_usable_profile_takes_the_plain_formula(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (1, 1), (0, 255, 255, 0))
    assert of(ink).tolist() == [[[255, 0, 0]]]
    ink.info["icc_profile"] = b"damaged"
    assert of(ink).tolist() == [[[255, 0, 0]]]
    assert Picture.of(ink).metadata.profile is None
    ink.save(tmp_path / "ink.tif")
    assert image.read(tmp_path / "ink.tif").notes == ("CMYK converted to RGB",)


def test_cmyk_goes_through_its_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def converted(
        picture: Image.Image, source: object, target: object, outputMode: str
    ) -> Image.Image:
        asked.append(f"{picture.mode} to {outputMode}")
        return Image.new("RGB", picture.size, (1, 2, 3))

    monkeypatch.setattr(ImageCms, "profileToProfile", converted)
    ink = Image.new("CMYK", (1, 1))
    ink.save(tmp_path / "ink.jpg", icc_profile=ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")).tobytes())  # fmt: skip
    got = image.read(tmp_path / "ink.jpg")
    assert got.frames[0].tolist() == [[[1, 2, 3]]]
    assert asked == ["CMYK to RGB"]
    assert got.metadata.profile is None


def test_a_palette_with_its_own_alpha_keeps_it() -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 9, 4), np.uint8)
    picture = Image.fromarray(values).quantize(16)  # as a TGA with a colour map of 32 bits is read
    assert picture.palette is not None
    assert picture.palette.mode == "RGBA"
    (values,) = Picture.of(picture).frames
    assert np.array_equal(values, np.asarray(picture.convert("RGBA")))
