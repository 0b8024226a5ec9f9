import struct
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from ccsr import image
from ccsr.image import Picture
from picture_parts import chunk, only

T = Image.Transpose
COLOURS = ("red", "green", "blue")


def noise(mode: str, width: int = 5, height: int = 4) -> Image.Image:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = np.random.default_rng(0).integers(0, 256, width * height * channels, np.uint8)
    return Image.frombytes(mode, (width, height), values.tobytes())


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


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
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_orientation_is_applied_and_not_written_again(
    tmp_path: Path, orientation: int, stored_as: Image.Transpose | None, suffix: str
) -> None:
    upright = Image.new("RGB", (16, 8))
    upright.paste((250, 0, 0), (0, 0, 8, 4))
    upright.paste((0, 0, 250), (0, 4, 8, 8))
    stored = upright if stored_as is None else upright.transpose(stored_as)
    path = tmp_path / f"turned{suffix}"
    options = {".webp": {"lossless": True}, ".avif": {"subsampling": "4:4:4", "quality": 100}}
    stored.save(path, exif=exif(orientation), **options.get(suffix, {}))
    assert image.probe(path).size == (8, 16)
    got = image.read(path)
    assert np.abs(got.frames[0].astype(int) - np.asarray(upright)).max() <= 12  # AVIF
    image.write(got, tmp_path / "again.png")
    assert np.array_equal(only(tmp_path / "again.png"), got.frames[0])
    with Image.open(tmp_path / "again.png") as again:
        assert 0x0112 not in again.getexif()


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiff(tmp_path: Path, orientation: int, compression: str | None) -> None:
    stored = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.tif", exif=exif, compression=compression)
    stored.save(tmp_path / "a.png", exif=exif)
    read = image.read(tmp_path / "a.tif")
    assert np.array_equal(read.frames[0], image.read(tmp_path / "a.png").frames[0])
    assert image.probe(tmp_path / "a.tif").size == read.size


def test_damaged_exif_turns_nothing(tmp_path: Path) -> None:
    noise("RGB").save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    assert only(tmp_path / "a.jpg").shape == (4, 5, 3)


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise("RGB").save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-12] + chunk(b"eXIf", exif(6).tobytes()[6:]) + content[-12:])
    assert only(path).shape == (5, 4, 3)


XMP = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><a tiff:Orientation="6"/></x>'


def told_behind(kind: str, told: bytes, by_exif: bool) -> bytes:
    """A picture of 4x5 pixels whose EXIF or XMP Pillow does not read by the header, if at all."""
    picture, data = noise("RGB", 4, 5), BytesIO()
    if kind == "PSD":
        number = 1058 if by_exif else 1060
        block = b"8BIM" + struct.pack(">HHI", number, 0, len(told)) + told + bytes(len(told) % 2)
        head = b"8BPS" + struct.pack(">H6xHIIHHI", 1, 3, 5, 4, 8, 3, 0)
        planes = np.asarray(picture).transpose(2, 0, 1).tobytes()
        return head + struct.pack(">I", len(block)) + block + bytes(6) + planes
    picture.save(data, kind)
    whole = data.getvalue()
    if kind == "PNG":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(told))
        return whole[:-12] + (chunk(b"eXIf", told) if by_exif else text) + whole[-12:]
    name = b"JpgTiffExif->JP2" if by_exif else bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    return whole + struct.pack(">I", 24 + len(told)) + b"uuid" + name + told


@pytest.mark.parametrize("kind", ["PNG", "JPEG2000", "PSD"])
@pytest.mark.parametrize("by_exif", [True, False])
def test_a_header_tells_the_size_upright(tmp_path: Path, kind: str, by_exif: bool) -> None:
    told = exif(6).tobytes()[6:] if by_exif else XMP
    (tmp_path / "a").write_bytes(told_behind(kind, told, by_exif))
    picture = image.read(tmp_path / "a")
    assert image.probe(tmp_path / "a").size == picture.size == (4, 5)
    upright = np.rot90(np.asarray(noise("RGB", 4, 5)), -1)
    assert kind == "JPEG2000" or np.array_equal(picture.frames[0], upright)


@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint8), (3, np.uint16), (2, np.uint16)])
def test_a_tiff_that_is_turned_by_its_xmp(tmp_path: Path, channels: int, dtype: Any) -> None:
    """As Pillow does it, whichever reader has the pixels."""
    values = np.random.default_rng(0).integers(0, 256, (5, 4, channels)).astype(dtype)
    told: dict[str, Any] = {"photometric": "rgb"}
    if channels == 2:
        told = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": 1}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, extratags=[(700, "B", len(XMP), XMP, True)], **told)
    assert image.probe(path).size == (4, 5)
    assert np.array_equal(only(path), np.rot90(values, -1))


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".jp2", ".pgm", ".tga", ".pcx", ".ico"])
def test_formats_that_are_read(tmp_path: Path, suffix: str) -> None:
    picture = noise("L", 32, 32)
    picture.save(tmp_path / f"a{suffix}")
    got = only(tmp_path / f"a{suffix}")
    assert np.array_equal(got[..., 0], np.asarray(picture))


@pytest.mark.parametrize("side", [16, 48, 256])
def test_icons_are_not_taken_for_tga(tmp_path: Path, side: int) -> None:
    picture = noise("RGBA", side, side)
    picture.save(tmp_path / "a.ico", sizes=[(side, side)])
    assert np.array_equal(only(tmp_path / "a.ico"), np.asarray(picture))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_2000_and_avif(tmp_path: Path, mode: str) -> None:
    picture = Image.linear_gradient("L").convert(mode)
    picture.save(tmp_path / "a.jp2")
    assert np.array_equal(only(tmp_path / "a.jp2").squeeze(), np.asarray(picture))
    assert features.check("avif")
    picture.save(tmp_path / "a.avif", quality=95)
    got = only(tmp_path / "a.avif").astype(int)
    assert np.abs(got[..., 0] - np.asarray(picture.convert("L"))).max() <= 6


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_animations_have_all_frames_and_their_timing(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (16, 12), colour) for colour in COLOURS]
    timing = {"duration": [100, 250, 40], "loop": 3}
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **timing)
    assert image.probe(path)[:3] == ((12, 16), 3, True)
    got = image.read(path)
    assert got.several == "animation"
    assert got.durations == (100, 250, 40)
    assert got.loop == {".avif": 0, ".gif": 4}.get(suffix, 3)
    for values, frame in zip(got.frames, frames, strict=True):
        assert np.abs(values.astype(int) - np.asarray(frame)).max() <= 12


def test_frames_of_a_gif_that_change_a_part_only(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 12), "white") for _ in range(3)]
    frames[1].paste("red", (2, 2, 6, 6))
    frames[2].paste("blue", (8, 8, 10, 10))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    got = image.read(tmp_path / "a.gif")
    for values, frame in zip(got.frames, frames, strict=True):
        assert np.array_equal(values, np.asarray(frame))


def test_frames_of_a_gif_that_leave_holes(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (16, 12)) for _ in range(2)]
    frames[0].paste("red", (0, 0, 8, 12))
    frames[1].paste("blue", (8, 0, 16, 12))
    image.write(Picture(tuple(map(np.asarray, frames)), durations=(50, 50)), tmp_path / "a.gif")
    got = image.read(tmp_path / "a.gif")
    for values, frame in zip(got.frames, frames, strict=True):
        assert np.array_equal(values[..., 3], np.asarray(frame)[..., 3])


def test_the_picture_for_viewers_without_animation_is_no_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in COLOURS]
    options = {"append_images": frames[1:], "default_image": True, "duration": 70}
    frames[0].save(tmp_path / "a.png", save_all=True, **options)
    got = image.read(tmp_path / "a.png")
    assert [tuple(frame[0, 0]) for frame in got.frames] == [(0, 128, 0), (0, 0, 255)]
    assert got.durations == (70, 70)


def test_a_photo_with_previews_behind_it_is_one_picture(tmp_path: Path) -> None:
    photo, preview = Image.new("RGB", (16, 8), "red"), Image.new("RGB", (4, 2))
    photo.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[preview])
    assert only(tmp_path / "phone.jpg").shape == (8, 16, 3)


def test_pages_may_differ_in_size_and_kind(tmp_path: Path) -> None:
    pages = [noise("RGB", 5, 4), noise("L", 7, 2), noise("RGBA", 3, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    got = image.read(tmp_path / "a.tif")
    assert got.several == "pages"
    for values, page in zip(got.frames, pages, strict=True):
        assert np.array_equal(values.squeeze(), np.asarray(page))


def test_files_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    noise("RGB", 50, 50).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    for name, reason in {
        "cut.png": "truncated",
        "empty.png": "the file is empty",
        "text.jpg": "not an image of a known kind, or damaged",
        "dangling.png": "No such file",
        "missing.png": "No such file",
        ".": "Is a directory|Permission denied",
    }.items():
        with pytest.raises(OSError, match=f"cannot read .*{reason}") as caught:
            image.read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_a_truncated_animation_is_not_silently_shorter(tmp_path: Path, suffix: str) -> None:
    frames = tuple(np.asarray(noise("RGB", 40, 30).rotate(90 * i)) for i in range(4))
    durations = () if suffix == ".tif" else (50.0,) * 4
    path = tmp_path / f"a{suffix}"
    image.write(Picture(frames, durations=durations), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(OSError, match=f"cannot read .*a{suffix}"):
        image.read(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
def test_the_content_decides_not_the_suffix(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (5, 4), "white").save(tmp_path / "a.bmp", kind)
    assert only(tmp_path / "a.bmp").min() >= 250


def test_other_programs_are_never_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(OSError, match="not an image of a known kind"):
        image.read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns=''/>", "SVG"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photo"),
        (b"\0\0\0\x20ftypisom\0\0\0\1", "a film"),
        (b"8BPS\0\2" + bytes(40), r"a large Photoshop file \(PSB\)"),
        (b"gimp xcf v011", r"a file of GIMP \(XCF\)"),
        (b"#?RADIANCE\n", "Radiance HDR"),
        (b"P7\nWIDTH 1\n", "PAM"),
    ],
)
def test_what_is_never_read_is_called_by_its_name(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    (tmp_path / "a.png").write_bytes(content + bytes(40))
    with pytest.raises(OSError, match=f"known kind: {kind} is not read, convert it to PNG first"):
        image.read(tmp_path / "a.png")


def test_a_page_that_was_saved_as_a_picture_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"<!DOCTYPE html>\n<html>404</html>")
    with pytest.raises(OSError, match="it is a page of the web"):
        image.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("bits", [16, 32])
def test_deep_photoshop_files_are_refused_with_a_sentence(tmp_path: Path, bits: int) -> None:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 20, 32, bits, 3)
    (tmp_path / "a.psd").write_bytes(head + bytes(14) + bytes(20 * 32 * 3 * bits // 8))
    with pytest.raises(OSError, match="of Photoshop 8 bits per channel are read"):
        image.read(tmp_path / "a.psd")


def test_what_decoders_say_comes_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 1a 5 255\n" + bytes(99))
    with pytest.raises(OSError, match=r"is damaged, or stored in a way .* known here \(.*int"):
        image.read(tmp_path / "a.ppm")


def test_a_hidden_default_image_is_not_shown(tmp_path: Path) -> None:
    """Of an animated PNG with one frame besides: the frame is what viewers show."""
    hidden, frame = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    hidden.save(tmp_path / "a.png", save_all=True, append_images=[frame], default_image=True)
    assert (only(tmp_path / "a.png") == [0, 0, 255]).all()


def test_heic_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(OSError, match=r"need the package pillow-heif, .* 'ccsr\[heif\]'"):
        image.read(tmp_path / "a.heic")


def test_heic_with_that_package(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = Image.new("RGB", (64, 48), (200, 100, 50))
    heif.from_pillow(picture).save(tmp_path / "a.heic", quality=95)
    assert image.probe(tmp_path / "a.heic").size == (48, 64)
    assert np.abs(only(tmp_path / "a.heic").astype(int) - [200, 100, 50]).max() <= 4


@pytest.mark.parametrize("last", ["first", "second"])
def test_threads_that_read_leave_the_filters_of_warnings(last: str) -> None:
    before = list(warnings.filters)
    first, second = image.steady_warnings(), image.steady_warnings()
    first.__enter__()
    second.__enter__()
    warnings.warn("of a decoder", stacklevel=1)
    leaving = [second, first] if last == "first" else [first, second]
    leaving[0].__exit__(None, None, None)
    warnings.warn("of the other's", stacklevel=1)
    leaving[1].__exit__(None, None, None)
    assert warnings.filters == before


def test_an_avif_that_is_shown_once_or_a_few_times(tmp_path: Path) -> None:
    """By the edit list of its track, and how long the track is (ISO/IEC 14496-12, 8.6.6)."""
    frames = tuple(np.full((16, 16, 3), 80 * i, np.uint8) for i in range(3))
    image.write(Picture(frames, durations=(100,) * 3), tmp_path / "a.avif")
    data = bytearray((tmp_path / "a.avif").read_bytes())
    assert image.read(tmp_path / "a.avif").loop == 0
    edits, track = data.index(b"elst") + 4, data.index(b"tkhd") + 4
    once = int.from_bytes(data[edits + 8 : edits + 16], "big")
    assert data[edits] == data[track] == 1
    data[track + 28 : track + 36] = (3 * once).to_bytes(8, "big")
    (tmp_path / "b.avif").write_bytes(data)
    assert image.read(tmp_path / "b.avif").loop == 3
    data[edits + 3] &= 0xFE
    (tmp_path / "c.avif").write_bytes(data)
    assert image.read(tmp_path / "c.avif").loop == 1
