import errno
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from ccsr import image
from ccsr.image import Metadata, Output, Picture, backgrounds, modes, profiles
from picture_parts import only

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(channels: int, size: tuple[int, int] = (4, 5)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".webp"])
def test_lossless_formats_give_back_what_was_written(
    tmp_path: Path, channels: int, suffix: str
) -> None:
    values = noise(channels)
    image.write(Picture((values,)), tmp_path / f"out{suffix}", Output(lossless=True))
    got = only(tmp_path / f"out{suffix}")
    if suffix == ".webp" and channels < 3:  # which stores grey as colour
        values = np.concatenate((values[..., :1].repeat(3, 2), values[..., 1:]), 2)
    assert np.array_equal(got, values)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".gif"])
def test_the_other_formats_keep_size_and_look(tmp_path: Path, suffix: str) -> None:
    image.write(Image.new("RGB", (7, 3), (200, 100, 50)), tmp_path / f"out{suffix}")
    got = only(tmp_path / f"out{suffix}")
    assert got.shape == (3, 7, 3)
    assert np.abs(got.astype(int) - [200, 100, 50]).max() <= 4


def test_grey_stays_grey_in_jpeg(tmp_path: Path) -> None:
    image.write(Picture((noise(1),)), tmp_path / "a.jpg")
    assert only(tmp_path / "a.jpg").shape == (4, 5, 1)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_quality_counts(tmp_path: Path, suffix: str) -> None:
    picture = Picture((noise(3, (64, 64)),))
    for quality in (20, 98):
        image.write(picture, tmp_path / f"{quality}{suffix}", Output(quality=quality))
    sizes = [(tmp_path / f"{quality}{suffix}").stat().st_size for quality in (20, 98)]
    assert 2 * sizes[0] < sizes[1]


def test_a_background_goes_behind_transparency(tmp_path: Path) -> None:
    values = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
    red = Output(background=(255, 0, 0))
    image.write(Picture((values,)), tmp_path / "a.bmp", red)
    assert only(tmp_path / "a.bmp").tolist() == [[[255, 0, 0], [10, 20, 30], [204, 0, 0]]]
    image.write(Picture((values[..., [0, 3]],)), tmp_path / "a.bmp", red)
    assert only(tmp_path / "a.bmp")[0, :2].tolist() == [[255, 0, 0], [10, 10, 10]]
    image.write(Picture((values[..., [0, 3]],)), tmp_path / "a.jpg", Output(background=(9, 9, 9)))
    assert only(tmp_path / "a.jpg").shape == (1, 3, 1)
    with pytest.raises(ValueError, match="PNG holds transparency, and no colour shows behind"):
        image.write(Picture((values,)), tmp_path / "a.png", red)


@pytest.mark.parametrize("suffix", [".bmp", ".jpg", ".pfm"])
@pytest.mark.parametrize("kind", ["P3", "linear", "tables", "grey"])
def test_a_background_looks_the_same_in_every_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, kind: str
) -> None:
    """As Little CMS shows it: by curves and a matrix, or by what it makes of tables."""
    if kind == "tables":
        monkeypatch.setattr(backgrounds, "levels_of", lambda colour, profile: None)
    background = (100, 100, 100) if kind == "grey" else (200, 100, 50)
    channels = 2 if kind == "grey" else 4
    profile = {
        "P3": profiles.of_code(12, 13).profile(3),  # type: ignore[union-attr]
        "linear": profiles.of_linear(None).profile(3),
        "tables": profiles.of_code(9, 1).profile(3),  # type: ignore[union-attr]
        "grey": profiles.of_gamma(1 / 1.8, None).profile(1),  # type: ignore[union-attr]
    }[kind]
    values = np.zeros((16, 16, channels), np.uint8)
    path = tmp_path / f"a{suffix}"
    output = Output(quality=100 if suffix == ".jpg" else None, background=background)
    image.write(Picture((values,), Metadata(profile)), path, output)
    picture = image.read(path)
    stored = picture.frames[0]
    if suffix == ".bmp":  # which holds no profile, so it is sRGB
        shown = stored[0, 0]
    else:
        levels = stored if suffix == ".jpg" else (stored * 255 + 0.5).astype(np.uint8)
        shown = modes.in_srgb(levels, profile)[0, 0]
    assert np.abs(shown.astype(int) - background[: len(shown)]).max() <= (
        9 if kind == "linear" else 3
    )


def test_a_coloured_background_behind_grey_with_a_profile(tmp_path: Path) -> None:
    grey = profiles.of_gamma(1.0, None).profile(1)  # type: ignore[union-attr]
    values = np.array([[[128, 0], [128, 255]]], np.uint8).repeat(8, 0).repeat(8, 1)
    output = Output(quality=100, background=(255, 0, 0))
    dropped = image.write(Picture((values,), Metadata(grey)), tmp_path / "a.jpg", output)
    assert dropped == ("colour profile (converted to sRGB)",)
    got = image.read(tmp_path / "a.jpg")
    assert got.metadata.profile is None
    assert np.abs(got.frames[0][0, [0, -1]].astype(int) - [[255, 0, 0], [188, 188, 188]]).max() <= 2


def test_16_bits_are_rounded_where_there_are_8(tmp_path: Path) -> None:
    values = np.full((8, 8, 4), 32896, np.uint16)
    values[..., 3] = 65535
    image.write(Picture((values,)), tmp_path / "a.jpg")
    assert np.abs(only(tmp_path / "a.jpg").astype(int) - 128).max() <= 1


def test_gif_pixels_are_there_or_not(tmp_path: Path) -> None:
    values = np.array([[[9, 9, 9, 127], [9, 9, 9, 128], [9, 9, 9, 255]]], np.uint8)
    image.write(Picture((values,)), tmp_path / "a.gif")
    assert only(tmp_path / "a.gif")[..., -1].tolist() == [[0, 255, 255]]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_a_fitting_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    image.write(Picture((noise(3),), Metadata(SRGB)), tmp_path / f"out{suffix}")
    assert image.read(tmp_path / f"out{suffix}").metadata.profile == SRGB


def test_a_profile_of_another_kind_of_pixels_is_dropped(tmp_path: Path) -> None:
    image.write(Picture((noise(1),), Metadata(SRGB)), tmp_path / "out.png")
    assert image.read(tmp_path / "out.png").metadata.profile is None


# sRGB whose red and green primaries have changed places
SWAPPED = SRGB.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".gif", ".bmp"])
def test_colours_are_converted_where_no_profile_can_be(
    tmp_path: Path, channels: int, suffix: str
) -> None:
    values = np.array([[[255, 0, 0, 255], [0, 255, 0, 255]]], np.uint8)[..., :channels]
    image.write(Picture((values,), Metadata(SWAPPED)), tmp_path / f"out{suffix}")
    assert only(tmp_path / f"out{suffix}")[..., :3].tolist() == [[[0, 255, 0], [255, 0, 0]]]


def test_a_damaged_profile_converts_nothing(tmp_path: Path) -> None:
    damaged = bytes(16) + b"RGB " + bytes(108)
    values = np.array([[[255, 0, 0]]], np.uint8)
    for suffix in (".gif", ".png"):
        lost = image.write(Picture((values,), Metadata(damaged)), tmp_path / f"out{suffix}")
        assert lost == ("colour profile (damaged)",)
        assert np.array_equal(only(tmp_path / f"out{suffix}"), values)


def test_a_grey_profile_is_applied_where_grey_becomes_colour(tmp_path: Path) -> None:
    linear = grey_profile()
    values = np.array([[[0], [55], [255]]], np.uint8)
    picture = Picture((values,), Metadata(linear))
    image.write(picture, tmp_path / "out.webp", Output(lossless=True))
    encoded = 255 * (1.055 * (55 / 255) ** (1 / 2.4) - 0.055)
    got = only(tmp_path / "out.webp")[..., 0].tolist()
    assert got == [[0, pytest.approx(encoded, abs=1), 255]]


def grey_profile() -> bytes:
    """A grey profile whose curve is the identity: linear light."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)  # D50
    curve = b"curv" + bytes(8)
    names = b"desc\0\0\0\0\0\0\0\x02a\0" + bytes(80)
    tags = [(b"wtpt", white), (b"kTRC", curve), (b"desc", names), (b"cprt", b"text" + bytes(8))]
    table, content = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags:
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", start + len(content), len(value))
        content += value
    size = struct.pack(">I", 128 + len(table) + len(content))
    head = size + b"lcms\x02\x40\0\0mntrGRAYXYZ " + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + content


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("loop", [0, 4, 1])
def test_animations_keep_frames_and_timing(tmp_path: Path, suffix: str, loop: int) -> None:
    frames = tuple(np.full((8, 8, 3), level, np.uint8) for level in (0, 90, 250))
    path = tmp_path / f"a{suffix}"
    image.write(Picture(frames, durations=(40, 300, 1000), loop=loop), path)
    got = image.read(path)
    assert got.durations == (40, 300, 1000)
    if suffix != ".avif":
        assert got.loop == loop
    for values, frame in zip(got.frames, frames, strict=True):
        assert np.abs(values.astype(int) - frame[..., : values.shape[2]]).max() <= 4


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("order", ["aab", "aa", "abb", "aba"])
def test_equal_frames_stay_or_are_said_and_keep_their_time(
    tmp_path: Path, suffix: str, order: str
) -> None:
    shades = {"a": np.full((16, 16, 1), 40, np.uint8), "b": np.full((16, 16, 1), 200, np.uint8)}
    frames, durations = tuple(shades[each] for each in order), (100, 200, 300)[: len(order)]
    path = tmp_path / f"a{suffix}"
    dropped = image.write(image.Picture(frames, durations=durations), path)
    got = image.read(path)
    joined = order != "aba" and suffix in (".png", ".webp")
    assert ("equal frames (joined)" in dropped) == joined
    assert len(got.frames) == len(order) - joined
    if got.several:
        assert sum(got.durations) == sum(durations)


@pytest.mark.parametrize(
    ("suffix", "longest", "expected"),
    [
        (".png", 65_536, 65_540),  # hundredths
        (".png", 70_001, 70_000),
        (".png", 655_351, 655_400),  # tenths
        (".png", 1e9, 65_535_000),
        (".png", 70_010, 70_010),
        (".webp", 1 << 24, (1 << 24) - 1),
        (".gif", 655_360, 655_350),
        (".gif", 655_350, 655_350),
        (".avif", 1 << 24, 1 << 24),
    ],
)
def test_frames_that_last_long(
    tmp_path: Path, suffix: str, longest: float, expected: float
) -> None:
    """A delay has 16 bits in PNG and GIF, and 24 in WebP: the nearest that they hold."""
    frames = tuple(np.full((16, 16, 3), level, np.uint8) for level in (0, 90, 200))
    picture = Picture(frames, durations=(20, longest, 40))
    dropped = image.write(picture, tmp_path / f"a{suffix}")
    assert ("timing (of long frames)" in dropped) == (longest != expected)
    assert image.read(tmp_path / f"a{suffix}").durations == (20, expected, 40)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_a_large_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    """Those of printers and scanners have megabytes of tables."""
    tables = np.random.default_rng(0).integers(0, 256, 2_000_000, np.uint8).tobytes()
    profile = (len(SRGB) + len(tables)).to_bytes(4, "big") + SRGB[4:] + tables
    picture = Picture((noise(3),), Metadata(profile))
    assert image.write(picture, tmp_path / f"a{suffix}") == ()
    assert image.read(tmp_path / f"a{suffix}").metadata.profile == profile


def test_pages_keep_their_depth(tmp_path: Path) -> None:
    pages = (noise(3), noise(1, (2, 3)).astype(np.uint16) * 257, noise(4, (7, 1)))
    image.write(Picture(pages), tmp_path / "a.tif")
    got = image.read(tmp_path / "a.tif")
    for values, page in zip(got.frames, pages, strict=True):
        assert values.dtype == page.dtype
        assert np.array_equal(values, page)


def test_a_picture_beyond_the_limit_of_pixels_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    for suffix in (".png", ".jpg", ".tif", ".webp"):
        image.write(Picture((noise(3),)), tmp_path / f"a{suffix}")


def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    image.write(Picture((noise(1),)), path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*out\.png: No space left"):
        image.write(Picture((noise(3),)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        image.write(Picture((noise(3),)), tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_a_written_file_of_another_size_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Image.Image, stream: BinaryIO, file_format: str, **options: object) -> None:
        stream.write(wrong)

    Image.new("RGB", (1, 1)).save(tmp_path / "wrong.bmp")
    wrong = (tmp_path / "wrong.bmp").read_bytes()
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match=r"expected 5x4 pixels in the file, got 1x1"):
        image.write(Picture((noise(3),)), tmp_path / "out.bmp")


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("ü% #" * 50 + ".png")
    image.write(Picture((noise(3),)), path)
    assert image.read(path).size == (4, 5)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("frames", [1, 3])
def test_grey_with_transparency_keeps_it(tmp_path: Path, suffix: str, frames: int) -> None:
    """An animation's frames differ in their transparency alone."""
    made = []
    for number in range(frames):
        values = np.full((40, 40, 2), (90, 0), np.uint8)
        values[5 + 8 * number : 12 + 8 * number, 10:30, 1] = 255
        made.append(values)
    durations = (90.0,) * frames if frames > 1 else ()
    image.write(Picture(tuple(made), durations=durations), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as written:
        assert getattr(written, "n_frames", 1) == frames
        for number, values in enumerate(made):
            written.seek(number)
            assert np.array_equal(np.asarray(written.convert("RGBA"))[..., 3], values[..., 1])


def test_an_animation_is_described_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its XMP is written once, and to rewrite it for each frame would take minutes."""
    asked = []
    scaled = Metadata.at
    monkeypatch.setattr(Metadata, "at", lambda *given: asked.append(1) or scaled(*given))
    frames = tuple(np.full((4, 5, 3), i, np.uint8) for i in range(30))
    picture = Picture(frames, Metadata(xmp=b"<a/>", size=(2, 3)), durations=(50,) * 30)
    image.write(picture, tmp_path / "a.webp")
    assert len(asked) == 1
