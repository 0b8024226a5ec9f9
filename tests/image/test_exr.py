"""OpenEXR: linear light, multiplied colour, windows, layers, parts; and files that are not read."""

import io
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from ccsr import image
from ccsr.cli.main import main
from ccsr.image import Picture, exr, linear, profiles
from ccsr.image.hushed import hushed
from ccsr.image.picture import Metadata
from picture_formats import FLOATS, GREY, HALF_CLEAR_FLOATS, planes_of
from picture_formats import exr as made

OpenEXR = pytest.importorskip("OpenEXR")
NOISE = np.random.default_rng(0).uniform(-3, 40, (37, 53, 4)).astype(np.float32)


def stored(path: Path, planes: dict[str, Any], **header: Any) -> Path:
    """A file that the library writes."""
    OpenEXR.File({"type": OpenEXR.scanlineimage} | header, planes).write(str(path))
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("names", ["Y", "RGB"])
@pytest.mark.parametrize("way", ["plain", "piz", "tiled"])
def test_values_are_kept(tmp_path: Path, dtype: Any, names: str, way: str) -> None:
    values = NOISE[..., : len(names)].astype(dtype)
    planes = {name: np.ascontiguousarray(values[..., i]) for i, name in enumerate(names)}
    header: dict[str, Any] = {"compression": OpenEXR.PIZ_COMPRESSION} if way == "piz" else {}
    if way == "tiled":
        tiles = OpenEXR.TileDescription()
        tiles.xSize = tiles.ySize = 16
        header = {"type": OpenEXR.tiledimage, "tiles": tiles}
    (frame,) = image.read(stored(tmp_path / "a.exr", planes, **header)).frames
    assert frame.dtype == np.float32
    assert np.array_equal(frame, values.astype(np.float32))
    assert image.probe(tmp_path / "a.exr").size == (37, 53)


def test_the_colour_is_not_multiplied_in_the_picture(tmp_path: Path) -> None:
    planes = planes_of(HALF_CLEAR_FLOATS, "RGBA")
    (tmp_path / "a.exr").write_bytes(made(planes))
    assert np.array_equal(image.read(tmp_path / "a.exr").frames[0], HALF_CLEAR_FLOATS)
    image.write(image.read(tmp_path / "a.exr"), tmp_path / "b.exr")
    again = OpenEXR.File(str(tmp_path / "b.exr"), separate_channels=True).channels()
    for name, plane in planes.items():
        assert np.array_equal(again[name].pixels, plane)


def test_light_without_cover_is_said_to_be_lost(tmp_path: Path) -> None:
    planes = planes_of(HALF_CLEAR_FLOATS, "RGBA")
    planes["A"][3, 4] = 0
    picture = image.read(stored(tmp_path / "a.exr", planes))
    assert picture.dropped == ("light of transparent pixels",)
    assert (picture.frames[0][3, 4] == 0).all()


def test_it_comes_back_with_its_colours(tmp_path: Path) -> None:
    picture = image.read(stored(tmp_path / "a.exr", planes_of(FLOATS, "RGB")))
    assert picture.metadata.code == (1, 8)
    for name in ("b.tif", "b.exr"):
        assert image.write(picture, tmp_path / name) == ()
        again = image.read(tmp_path / name)
        assert np.array_equal(again.frames[0], FLOATS)
        assert again.metadata.code == (1, 8)


def test_other_software_shows_it_as_bright_as_it_is(tmp_path: Path) -> None:
    """Through the profile in the PNG, by LittleCMS, mid grey of light is 188 in sRGB."""
    light = np.full((8, 8, 3), 0.5, np.float32)
    picture = image.read(stored(tmp_path / "a.exr", planes_of(light, "RGB")))
    image.write(picture, tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as opened:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"]))
        shown = ImageCms.profileToProfile(opened, profile, ImageCms.createProfile("sRGB"))
    assert shown is not None
    assert abs(int(np.asarray(shown)[4, 4, 1]) - 188) <= 1


P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)  # red, green, blue, white
ACES = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)


@pytest.mark.parametrize(("told", "code"), [(P3, (12, 8)), (ACES, None), ((0.0,) * 8, (1, 8))])
def test_chromaticities(tmp_path: Path, told: Any, code: Any) -> None:
    path = stored(tmp_path / "a.exr", planes_of(FLOATS, "RGB"), chromaticities=told)
    assert image.read(path).metadata.code == code


def test_wide_colours_are_written_in_those_of_srgb(tmp_path: Path) -> None:
    """Pure red of P3, by the matrices of both."""
    red = np.zeros((4, 4, 3), np.float32)
    red[..., 0] = 1
    path = stored(tmp_path / "a.exr", planes_of(red, "RGB"), chromaticities=P3)
    assert image.write(image.read(path), tmp_path / "b.exr") == ()
    got = image.read(tmp_path / "b.exr").frames[0][1, 1]
    assert got == pytest.approx([1.2249, -0.0421, -0.0197], abs=3e-4)


@pytest.mark.parametrize("bits", [8, 16])
def test_levels_become_light(tmp_path: Path, bits: int) -> None:
    """By LittleCMS, from Adobe RGB to linear sRGB."""
    values = GREY.repeat(3, 2).astype(np.uint8)
    values[..., 1] = 255 - values[..., 1]
    values[..., 2] //= 3
    profile = profiles.adobe().profile(3)
    target = profiles.of_code(1, 8)
    assert target
    expected = ImageCms.profileToProfile(
        Image.fromarray(values), io.BytesIO(profile), io.BytesIO(target.profile(3)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    levels = values if bits == 8 else values.astype(np.uint16) * 257
    picture = Picture((levels,), Metadata(profile))
    assert image.write(picture, tmp_path / "a.exr") == ()
    got = image.read(tmp_path / "a.exr").frames[0]
    assert np.abs(got.clip(0, 1) * 255 - np.asarray(expected)).max() <= 1.01


@pytest.mark.parametrize("kind", range(5))
def test_curves_of_profiles(kind: int) -> None:
    """The five formulas, against their definitions."""
    g, a, b, c, d, e, f = 2.4, 0.9, 0.1, 0.3, 0.25, 0.05, 0.02
    parameters = {
        0: (g,),
        1: (g, a, b),
        2: (g, a, b, c),
        3: (g, a, b, c, d),
        4: (g, a, b, c, d, e, f),
    }
    numbers = b"".join(struct.pack(">i", round(n * 65536)) for n in parameters[kind])
    tag = struct.pack(">4sIHH", b"para", 0, kind, 0) + numbers
    x = np.linspace(0, 1.5, 31, dtype=np.float32)
    power = (a * x + b) ** g
    expected = {
        0: x**g, 1: power, 2: power + c, 3: np.where(x >= d, power, c * x),
        4: np.where(x >= d, power + e, c * x + f),
    }[kind]  # fmt: skip
    assert linear._light(x, tag) == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(linear._light(-x, tag)[1:], -linear._light(x, tag)[1:])


def test_a_sampled_curve() -> None:
    samples = (np.linspace(0, 1, 4096) ** 2 * 65535 + 0.5).astype(">u2")
    tag = struct.pack(">4sII", b"curv", 0, 4096) + samples.tobytes()
    x = np.linspace(0, 1, 99, dtype=np.float32)
    assert linear._light(x, tag) == pytest.approx(x**2, abs=1e-4)
    gamma = struct.pack(">4sIIH", b"curv", 0, 1, 512)
    assert linear._light(x, gamma) == pytest.approx(x**2, abs=1e-6)
    assert np.array_equal(linear._light(x, struct.pack(">4sII", b"curv", 0, 0)), x)


def test_a_profile_of_tables_goes_through_srgb(tmp_path: Path) -> None:
    table = bytes(range(256)) * 3
    corners = bytes(255 * (i >> k & 1) for i in range(8) for k in (2, 1, 0))
    lut = b"mft1" + struct.pack(">4xBBBx9i", 3, 3, 2, *np.diag([65536] * 3).ravel())
    profile = profiles._assembled({b"A2B0": lut + table + corners + table}, b"RGB ")
    profile = profile[:20] + b"Lab " + profile[24:]
    values = np.full((4, 4, 3), 40_000, np.uint16)
    lost = image.write(Picture((values,), Metadata(profile)), tmp_path / "a.exr")
    assert lost == ("colour profile (converted to sRGB)", "precision (16 bits became 8)")


def box(left: int, top: int, right: int, bottom: int) -> Any:
    return np.array([left, top], np.int32), np.array([right, bottom], np.int32)


@pytest.mark.parametrize(
    ("display", "place", "lost"),
    [
        (box(0, 0, 29, 19), (4, 3), ()),
        (box(6, 5, 12, 9), (4, 3), ("pixels outside the display window",)),
        (box(0, 0, 8, 7), (4, 3), ("pixels outside the display window",)),
        (box(0, 0, 8, 7), (100, 3), ("pixels outside the display window",)),
        (box(0, 0, 8, 7), (-100, 3), ("pixels outside the display window",)),
    ],
)
def test_windows(tmp_path: Path, display: Any, place: tuple[int, int], lost: Any) -> None:
    left, top = place
    height, width, _ = FLOATS.shape
    data = box(left, top, left + width - 1, top + height - 1)
    header = {"displayWindow": display, "dataWindow": data}
    picture = image.read(stored(tmp_path / "a.exr", planes_of(FLOATS, "RGB"), **header))
    (x0, y0), (x1, y1) = display
    whole = np.zeros((400, 400, 3), np.float32)  # with an origin of 200, 200
    whole[200 + top : 200 + top + height, 200 + left : 200 + left + width] = FLOATS
    expected = whole[200 + y0 : 201 + y1, 200 + x0 : 201 + x1]
    assert np.array_equal(picture.frames[0], expected)
    assert picture.dropped == lost
    assert image.probe(tmp_path / "a.exr").size == picture.size


def test_what_else_a_file_holds_is_named(tmp_path: Path) -> None:
    planes = planes_of(FLOATS, "RGB") | {"Z": GREY[..., 0].astype("f"), "id.X": GREY[..., 0] * 1.0}
    planes["id.X"] = planes["id.X"].astype("f")
    path = stored(tmp_path / "a.exr", planes, pixelAspectRatio=2.0)
    assert image.read(path).dropped == ("channels (Z, id.X)", "shape of the pixels")


def test_a_layer_is_taken_if_it_is_the_only_one(tmp_path: Path) -> None:
    planes = {f"beauty.{name}": plane for name, plane in planes_of(FLOATS, "RGB").items()}
    picture = image.read(stored(tmp_path / "a.exr", planes))
    assert np.array_equal(picture.frames[0], FLOATS)
    planes |= {f"sky.{name}": plane for name, plane in planes_of(FLOATS, "RGB").items()}
    with pytest.raises(OSError, match=r"several layers \(beauty, sky\): save one of them"):
        image.read(stored(tmp_path / "a.exr", planes))
    planes |= planes_of(2 * FLOATS, "RGB")
    picture = image.read(stored(tmp_path / "a.exr", planes))
    assert np.array_equal(picture.frames[0], 2 * FLOATS)
    (lost,) = picture.dropped
    assert lost.startswith("channels (")


def deep() -> dict[str, Any]:
    samples = np.empty((4, 5), object)
    for place in np.ndindex(4, 5):
        samples[place] = np.ones(2, "f")
    return dict.fromkeys("RGB", samples)


@pytest.mark.parametrize(
    ("planes", "header", "message"),
    [
        ({"Z": np.ones((4, 5), "f")}, {}, "expected channels R, G and B, or Y, got Z"),
        ({"Y": np.ones((4, 5), np.uint32)}, {}, "its channels are whole numbers: expected floats"),
        ({n: np.ones((4, 5), "f") for n in ("Y", "RY", "BY")}, {}, "luminance and chroma"),
        (deep(), {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION},
         "its pixels are deep"),
        ({"Y": np.full((4, 5), np.nan, "f")}, {}, "not finite"),
    ],
)  # fmt: skip
def test_what_is_not_read(tmp_path: Path, planes: Any, header: Any, message: str) -> None:
    path = stored(tmp_path / "a.exr", planes, **header)
    with pytest.raises(OSError, match=f"cannot read .*a.exr: .*{message}"):
        image.read(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.98])
def test_damaged_files_get_a_sentence_and_no_other_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], share: float
) -> None:
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "a.exr", planes_of(NOISE, "RGBA"), compression=OpenEXR.ZIP_COMPRESSION)
    data = (tmp_path / "a.exr").read_bytes()
    kept = data[: max(4, int(share * len(data)))]
    contents = {"cut": kept}
    if share < 0.9:  # the last of a stream is not looked at
        contents["wild"] = kept.ljust(len(data), b"\xa5")
    for name, content in contents.items():
        (tmp_path / f"{name}.exr").write_bytes(content)
        assert main(["upscale", f"{name}.exr", "--scale", "2", "--engine", "onnx"]) == 1
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith(f"ccsr: error: cannot read {name}.exr: it ")
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"B\0\2", b"\xff\0\2", "a name in it is no text"),
        (struct.pack("<4i", 0, 0, 15, 11), struct.pack("<4i", 0, 0, -2, 11), "damaged"),
    ],
)
def test_damaged_headers(tmp_path: Path, before: bytes, after: bytes, message: str) -> None:
    data = made(planes_of(FLOATS, "RGB"))
    assert before in data
    (tmp_path / "a.exr").write_bytes(data.replace(before, after))
    with pytest.raises(OSError, match=message):
        image.read(tmp_path / "a.exr")


def test_what_others_say_meanwhile_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed(b"(BAD_") as aside:
        other = threading.Thread(target=print, args=("a line of another thread",))
        other.start()
        other.join()
        print("of the library")
        os.write(2, b"an error of another thread\na.exr: (BAD_CHUNK) noise\n")
        assert sys.stdout.encoding
    assert aside.said == "of the library\n"
    assert capfd.readouterr() == ("a line of another thread\n", "an error of another thread\n")


def test_a_large_file_is_refused_by_its_header(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.exr", planes_of(FLOATS, "RGB"))
    data = path.read_bytes()
    (tmp_path / "b.exr").write_bytes(
        data.replace(struct.pack("<2i", FLOATS.shape[1] - 1, FLOATS.shape[0] - 1),
                     struct.pack("<2i", 99_999, 99_999))
    )  # fmt: skip
    with pytest.raises(OSError, match=r"million pixels|damaged"):
        image.read(tmp_path / "b.exr")


def test_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path / "a.exr", planes_of(FLOATS, "RGB"))
    monkeypatch.setattr(exr, "installed", lambda: False)
    with pytest.raises(OSError, match=r"cannot read .*OpenEXR.*pip install 'ccsr\[exr\]'"):
        image.read(path)
    image.write(Picture((GREY,)), tmp_path / "a.png")
    words = ["upscale", str(tmp_path / "a.png"), "--scale", "2", "-o", str(tmp_path / "b.exr")]
    assert main([*words, "--model", "light"]) == 1
    assert "b.exr: OpenEXR pictures need the package OpenEXR" in capsys.readouterr().err


def test_an_enlargement_keeps_what_is_brighter_than_white(tmp_path: Path) -> None:
    lamp = np.full((64, 64, 3), 0.2, np.float32)
    lamp[10:14, 10:14] = 30
    path = stored(tmp_path / "a.exr", planes_of(lamp, "RGB"))
    words = ["upscale", str(path), "--scale", "2", "--model", "light", "--quiet"]
    assert main([*words, "-o", str(tmp_path / "b.exr")]) == 0
    got = image.read(tmp_path / "b.exr").frames[0]
    assert got.max() > 20
    assert got[:6, :6] == pytest.approx(np.full((6, 6, 3), 0.2), abs=0.01)
    assert main([*words, "--format", "same"]) == 0
    assert (tmp_path / "a_2x.exr").exists()
