import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image

RGB_PROFILE, GREY_PROFILE = (bytes(16) + space + bytes(108) for space in (b"RGB ", b"GRAY"))
T = Image.Transpose


def noise(mode: str, width: int = 5, height: int = 4) -> Image.Image:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = np.random.default_rng(0).integers(0, 256, width * height * channels, np.uint8)
    return Image.frombytes(mode, (width, height), values.tobytes())


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("orientation", "stored_as"),
    [
        (1, None),
        (2, T.FLIP_LEFT_RIGHT),
        (3, T.ROTATE_180),
        (4, T.FLIP_TOP_BOTTOM),
        (5, T.TRANSPOSE),
        (6, T.ROTATE_90),
        (7, T.TRANSVERSE),
        (8, T.ROTATE_270),
    ],
)
def test_orientation_is_applied_and_not_written_again(
    tmp_path: Path, orientation: int, stored_as: Image.Transpose | None
) -> None:
    upright = noise("RGB")
    stored = upright if stored_as is None else upright.transpose(stored_as)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    got = image.read(tmp_path / "turned.png")
    assert np.array_equal(pixels(got), pixels(upright))
    image.write(got, tmp_path / "again.png")
    assert np.array_equal(pixels(image.read(tmp_path / "again.png")), pixels(upright))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", "L"),
        ("L", "L"),
        ("LA", "LA"),
        ("La", "LA"),
        ("P", "RGB"),
        ("PA", "RGBA"),
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
        ("RGBa", "RGBA"),
        ("RGBX", "RGB"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("HSV", "RGB"),
        ("LAB", "RGB"),
        ("I;16", "L"),
        ("I;16B", "L"),
    ],
)
def test_every_mode_becomes_grey_or_colour_with_or_without_alpha(mode: str, expected: str) -> None:
    picture = Image.new(mode, (3, 2))
    if mode in ("P", "PA"):
        picture.putpalette([200, 10, 10])
    before = picture.tobytes()
    got = image.upright(picture)
    assert got.mode == expected
    assert got.size == (3, 2)
    assert picture.tobytes() == before


@pytest.mark.parametrize(
    ("mode", "outside", "inside", "expected"),
    [("I", -1, 257, 1), ("I", 65536, 65535, 255), ("F", 1.5, 1.0, 255), ("F", -0.1, 0.5, 128)],
)
def test_32_bit_is_read_where_its_range_is_clear(
    tmp_path: Path, mode: str, outside: float, inside: float, expected: int
) -> None:
    Image.new(mode, (3, 2), inside).save(tmp_path / "deep.tif")
    assert image.read(tmp_path / "deep.tif").getpixel((0, 0)) == expected
    Image.new(mode, (3, 2), outside).save(tmp_path / "deep.tif")
    with pytest.raises(OSError, match=r"deep\.tif: expected 8 or 16 bits .* got values from"):
        image.read(tmp_path / "deep.tif")


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "bits.png")
    assert pixels(image.read(tmp_path / "bits.png")).tolist() == [[0, 255]]


def test_palette_transparency_becomes_alpha(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 10, 10, 5, 100, 50])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "key.png", transparency=0)
    picture.save(tmp_path / "table.png", transparency=bytes([7, 99]))
    assert pixels(image.read(tmp_path / "key.png")).tolist() == [
        [[200, 10, 10, 0], [5, 100, 50, 255]]
    ]
    assert pixels(image.read(tmp_path / "table.png"))[0, :, 3].tolist() == [7, 99]


def test_a_grey_palette_stays_grey(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 10, 10, 200, 200, 200])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "grey.png")
    picture.save(tmp_path / "key.png", transparency=0)
    assert pixels(image.read(tmp_path / "grey.png")).tolist() == [[10, 200]]
    assert pixels(image.read(tmp_path / "key.png")).tolist() == [[[10, 0], [200, 255]]]


def test_colour_keys_become_alpha(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "colour.png", transparency=(1, 2, 3))
    Image.new("L", (1, 1), 9).save(tmp_path / "grey.png", transparency=9)
    assert pixels(image.read(tmp_path / "colour.png")).tolist() == [[[1, 2, 3, 0]]]
    assert pixels(image.read(tmp_path / "grey.png")).tolist() == [[[9, 0]]]


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    Image.fromarray(values).save(tmp_path / "key.png", transparency=257)
    assert pixels(image.read(tmp_path / "deep.png")).tolist() == [[0, 0, 1, 1, 128, 255]]
    assert pixels(image.read(tmp_path / "key.png"))[0, :, 1].tolist() == [255] * 3 + [0, 255, 255]


def test_cmyk_without_a_usable_profile_takes_the_plain_formula() -> None:
    ink = Image.new("CMYK", (1, 1), (0, 255, 255, 0))
    assert pixels(image.upright(ink)).tolist() == [[[255, 0, 0]]]
    ink.info["icc_profile"] = b"damaged"
    assert pixels(image.upright(ink)).tolist() == [[[255, 0, 0]]]
    assert image.upright(ink).info == {}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_fitting_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    noise("RGB").save(tmp_path / "in.png", icc_profile=RGB_PROFILE)
    picture = image.read(tmp_path / "in.png")
    image.write(picture, tmp_path / f"out{suffix}")
    assert image.read(tmp_path / f"out{suffix}").info["icc_profile"] == RGB_PROFILE


@pytest.mark.parametrize(
    ("mode", "profile", "suffix"), [("L", RGB_PROFILE, ".png"), ("L", GREY_PROFILE, ".webp")]
)
def test_a_profile_of_another_kind_of_pixels_is_dropped(
    tmp_path: Path, mode: str, profile: bytes, suffix: str
) -> None:
    picture = noise(mode)
    picture.info["icc_profile"] = profile
    image.write(picture, tmp_path / f"out{suffix}")
    assert "icc_profile" not in image.read(tmp_path / f"out{suffix}").info


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_animations_and_pages_are_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(OSError, match="expected a single picture, got 3 frames or pages"):
        image.read(tmp_path / name)


def test_a_photo_with_previews_behind_it_is_read(tmp_path: Path) -> None:
    photo, preview = Image.new("RGB", (16, 8), "red"), Image.new("RGB", (4, 2))
    photo.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[preview])
    assert image.read(tmp_path / "phone.jpg").size == (16, 8)


@pytest.mark.parametrize("limit", [10, 15])  # Pillow's error, and its warning
def test_decompression_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    noise("RGB", 5, 5).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(OSError, match=r"bomb\.png: it has more than .* million pixels"):
        image.read(tmp_path / "bomb.png")


def test_files_that_are_no_images_are_named(tmp_path: Path) -> None:
    noise("RGB", 50, 50).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    for name, reason in {
        "cut.png": "truncated",
        "empty.png": "the file is empty",
        "text.jpg": "not an image",
        "dangling.png": "No such file",
        "missing.png": "No such file",
        ".": "Is a directory|Permission denied",
    }.items():
        with pytest.raises(OSError, match=f"cannot read .*{reason}") as caught:
            image.read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_lossless_formats_give_back_what_was_written(
    tmp_path: Path, mode: str, suffix: str
) -> None:
    image.write(noise(mode), tmp_path / f"out{suffix}")
    got = image.read(tmp_path / f"out{suffix}")
    assert got.mode == mode
    assert np.array_equal(pixels(got), pixels(noise(mode)))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".bmp"])
def test_the_other_formats_keep_size_and_look(tmp_path: Path, suffix: str) -> None:
    image.write(Image.new("RGB", (7, 3), (200, 100, 50)), tmp_path / f"out{suffix}")
    got = image.read(tmp_path / f"out{suffix}")
    assert got.size == (7, 3)
    assert np.abs(pixels(got).astype(int) - [200, 100, 50]).max() <= 3


@pytest.mark.parametrize(
    ("name", "size", "mode", "message"),
    [
        ("out.xyz", None, "RGB", r"no known format has the suffix '\.xyz', use one of \.png"),
        ("out", None, "RGB", "suffix ''"),
        ("out.jpg", None, "RGBA", r"JPEG has no transparency .* use \.png"),
        ("out.bmp", None, "LA", "BMP has no transparency"),
        ("out.jpg", (1, 65_501), "RGB", r"JPEG holds at most 65500 .* got 65501x1: use \.png"),
        ("out.webp", (16_384, 1), "RGB", "WEBP holds at most 16383"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    name: str, size: tuple[int, int] | None, mode: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        image.check_output(name, size, mode)


def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    image.write(noise("L"), path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*out\.png: No space left"):
        image.write(noise("RGB"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        image.write(noise("RGB"), tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_a_written_file_of_another_size_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Image.Image, path: Path, file_format: str, **options: object) -> None:
        path.write_bytes(wrong)

    Image.new("RGB", (1, 1)).save(tmp_path / "wrong.png")
    wrong = (tmp_path / "wrong.png").read_bytes()
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match=r"expected 5x4 pixels in the file, got 1x1"):
        image.write(noise("RGB"), tmp_path / "out.png")


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("ü% #" * 50 + ".png")
    image.write(noise("RGB"), path)
    assert image.read(path).size == (5, 4)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_tensors_and_back(mode: str) -> None:
    x = image.to_tensor(noise(mode))
    assert x.shape == (len(mode) if mode != "L" else 1, 4, 5)
    assert x.dtype == torch.float32
    assert x.min() >= 0
    assert x.max() <= 1
    back = image.to_image(x)
    assert back.mode == mode
    assert np.array_equal(pixels(back), pixels(noise(mode)))


def test_every_level_survives() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(image.to_uint8(levels.float() / 255), levels)


def test_rounding_is_to_nearest_and_clamped() -> None:
    x = torch.tensor([-0.3, 0.49 / 255, 0.51 / 255, 1.5 / 255, 254.6 / 255, 1.7])
    kept = x.clone()
    assert image.to_uint8(x).tolist() == [0, 0, 1, 2, 255, 255]
    assert torch.equal(x, kept)


def test_doors_refuse_other_shapes_and_modes() -> None:
    with pytest.raises(ValueError, match="expected mode L, LA, RGB or RGBA, got P"):
        image.to_tensor(Image.new("P", (1, 1)))
    with pytest.raises(ValueError, match=r"expected a tensor \(C, H, W\) .* got \(5, 2, 2\)"):
        image.to_image(torch.zeros(5, 2, 2))
