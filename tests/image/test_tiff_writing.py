"""The one writer of TIFF, read back by Pillow and by tifffile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from ccsr import image
from ccsr.image import Metadata, tiff_writing
from ccsr.image.tiff_writing import Page

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def noise(channels: int, size: tuple[int, int] = (300, 200), dtype: Any = np.uint8) -> np.ndarray:
    highest = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, highest + 1, (*size, channels), dtype)


def described() -> Metadata:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Rating] = 4
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2001:02:03 04:05:06"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return Metadata(SRGB, exif.tobytes(), XMP, (300, 240))


def whole(values: np.ndarray, *metadata: Metadata) -> Page:
    return Page.of(values, *metadata)


def in_parts(values: np.ndarray, *metadata: Metadata) -> Page:
    """In pieces whose heights have nothing to do with the strips of the file."""

    def parts() -> Iterator[np.ndarray]:
        for top in range(0, len(values), 7):
            yield values[top : top + 7]

    return Page(values.shape, values.dtype, parts(), *metadata)


@pytest.fixture(params=[False, True], ids=["classic", "big"])
def big(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param:
        monkeypatch.setattr(tiff_writing, "LARGEST", 0)
    return bool(request.param)


@pytest.mark.parametrize("page", [whole, in_parts])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strip", [1, 3000, 1 << 20])
def test_others_read_the_same_pixels(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    big: bool,
    page: Any,
    channels: int,
    dtype: Any,
    strip: int,
) -> None:
    monkeypatch.setattr(tiff_writing, "_STRIP", strip)
    frames = (noise(channels, (97, 60), dtype), noise(4, (3, 5), dtype))
    tiff_writing.write(tmp_path / "a.tif", list(map(page, frames)))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff == big
        for values, read in zip(frames, file.pages, strict=True):
            assert np.array_equal(read.asarray().reshape(values.shape), values)
    if dtype is np.uint8 or channels == 1:  # what else Pillow reads, it cuts to 8 bits
        with Image.open(tmp_path / "a.tif") as opened:
            assert opened.n_frames == 2
            assert np.array_equal(np.asarray(opened).reshape(frames[0].shape), frames[0])
    assert all(map(np.array_equal, image.read(tmp_path / "a.tif").frames, frames))


@pytest.mark.parametrize("page", [whole, in_parts])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_and_in_parts_are_described_alike(
    tmp_path: Path, big: bool, page: Any, dtype: Any
) -> None:
    frames = (noise(3, dtype=dtype), noise(1, dtype=dtype))
    tiff_writing.write(tmp_path / "a.tif", [page(each, described()) for each in frames])
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for number, read in enumerate(file.pages):
            tags = read.tags
            assert tags.valueof("ExifTag")["DateTimeOriginal"] == "2001:02:03 04:05:06"
            assert tags.valueof("GPSTag")["GPSLatitudeRef"] == "N"
            assert (tags.valueof("Make"), tags.valueof(ExifTags.Base.Rating)) == ("Maker", 4)
            assert tags.valueof("XMP") == XMP
            resolution = tags.valueof("XResolution"), tags.valueof("YResolution")
            assert resolution == ((300, 1), (240, 1))
            assert tags.valueof("ResolutionUnit") == 2
            assert read.iccprofile == (None if number else SRGB)  # which fits no grey
    with Image.open(tmp_path / "a.tif") as opened:
        assert opened.info["dpi"] == (300, 240)
        assert opened.info["icc_profile"] == SRGB
        assert opened.info["xmp"] == XMP
        exif = opened.getexif()
        assert exif.get_ifd(ExifTags.IFD.Exif)[0x9003] == "2001:02:03 04:05:06"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"


def test_strips_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are held, however many there are."""
    monkeypatch.setattr(tiff_writing, "_STRIP", 1)
    asked = written = most = 0
    deflate = tiff_writing._deflate

    def parts() -> Iterator[np.ndarray]:
        nonlocal asked, most
        for _ in range(200):
            asked += 1
            most = max(most, asked - written)
            yield np.zeros((1, 9, 3), np.uint8)

    def counting(strip: np.ndarray) -> bytes:
        nonlocal written
        written += 1
        return deflate(strip)

    monkeypatch.setattr(tiff_writing, "_deflate", counting)
    page = Page((200, 9, 3), np.dtype(np.uint8), parts())
    tiff_writing.write(tmp_path / "a.tif", [page])
    assert asked == written == 200
    assert most <= tiff_writing._WORKERS + 2


@pytest.mark.parametrize("room", [59, 60])
def test_what_may_need_them_gets_64_bit_offsets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(tiff_writing, "LARGEST", room)
    page = whole(noise(3, (4, 5)))
    tiff_writing.write(tmp_path / "a.tif", [page])
    assert (tmp_path / "a.tif").read_bytes()[:3] == (b"II*" if room == 60 else b"II+")


def test_rows_that_are_missing_are_an_error(tmp_path: Path) -> None:
    page = Page((300, 2000, 3), np.dtype(np.uint8), [noise(3, (9, 2000))])
    with pytest.raises(ValueError, match="expected 300 rows in 2 strips, got 1 strip"):
        tiff_writing.write(tmp_path / "a.tif", [page])
