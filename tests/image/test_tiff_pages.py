"""Which directories of a TIFF are pages, and what each page says about itself."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from ccsr import image
from ccsr.image.profiles import of_gamma
from tiffs import GREY, GREY_ALPHA, SIZE, noise, read, write


@pytest.mark.parametrize("kind", [1, 4], ids=["reduced", "mask"])
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (2, np.uint16), (3, np.uint16)])
def test_copies_and_masks_are_no_pages(
    tmp_path: Path, kind: int, channels: int, dtype: Any
) -> None:
    values = noise(channels, dtype)
    options = {1: GREY, 2: GREY_ALPHA, 3: {"photometric": "rgb"}}[channels]
    copy = values[::2, ::2] if kind == 1 else np.ones(SIZE, bool)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(values.squeeze(), metadata=None, **options)
        other = options if kind == 1 else {"photometric": "mask"}
        file.write(copy.squeeze(), metadata=None, subfiletype=kind, **other)
    assert np.array_equal(read(tmp_path / "a.tif"), values)
    assert image.probe(tmp_path / "a.tif")[:3] == (SIZE, 1, False)
    picture = image.read(tmp_path / "a.tif")
    image.check(tmp_path / "a.png", picture)  # which holds no pages
    assert picture.dropped == (("transparency mask",) if kind == 4 else ())


def test_copies_by_the_old_tag_and_in_front(tmp_path: Path) -> None:
    values = noise(1, np.uint8)[..., 0]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(values[::2, ::2], metadata=None, extratags=[(255, "H", 1, 2, True)])
        file.write(values, metadata=None)
    assert np.array_equal(read(tmp_path / "a.tif")[..., 0], values)


def test_copies_alone_are_no_picture(tmp_path: Path) -> None:
    write(tmp_path / "b.tif", noise(1), subfiletype=1)
    for reader in (image.read, image.probe):
        with pytest.raises(OSError, match=r"b\.tif: it holds reduced copies of a picture only"):
            reader(tmp_path / "b.tif")


def test_directories_below_a_page_are_no_pages(tmp_path: Path) -> None:
    values = noise(3)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(values, metadata=None, subifds=2, photometric="rgb")
        for step in (2, 4):
            file.write(values[::step, ::step], metadata=None, subfiletype=1, photometric="rgb")
    assert np.array_equal(read(tmp_path / "a.tif"), values)


def test_pages_of_kinds_that_different_readers_know(tmp_path: Path) -> None:
    pages = [noise(2), noise(3, np.uint8), noise(3), noise(1), noise(4, np.uint8, (5, 9))]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(pages[0], metadata=None, **GREY_ALPHA)
        file.write(pages[1], metadata=None, photometric="rgb", compression="zlib")
        planes = np.moveaxis(pages[2], 2, 0)
        file.write(planes, metadata=None, photometric="rgb", planarconfig="separate")
        file.write(pages[3][..., 0], metadata=None)
        file.write(pages[4], metadata=None, photometric="rgb", extrasamples=["unassalpha"])
    picture = image.read(tmp_path / "a.tif")
    assert len(picture.frames) == len(pages)
    assert all(map(np.array_equal, picture.frames, pages))
    assert picture.dropped == ()
    assert image.probe(tmp_path / "a.tif")[:3] == (SIZE, 5, False)


def test_a_volume_is_no_picture(tmp_path: Path) -> None:
    values = np.zeros((16, 16, 16, 2), np.uint16)
    write(tmp_path / "a.tif", values, tile=(16, 16, 16), volumetric=True, **GREY_ALPHA)
    with pytest.raises(OSError, match="a volume, not a picture: take a slice"):
        image.read(tmp_path / "a.tif")


def test_a_chain_that_bites_its_tail_ends(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(2), metadata=None, **GREY_ALPHA)
        file.write(noise(1)[..., 0], metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, second = (page.offset for page in file.pages)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    (entries,) = struct.unpack_from("<H", content, second)
    struct.pack_into("<I", content, second + 2 + 12 * entries, first)
    (tmp_path / "a.tif").write_bytes(content)
    assert len(image.read(tmp_path / "a.tif").frames) == 2


def test_each_page_keeps_what_is_said_about_it(tmp_path: Path) -> None:
    """Its colours above all: they would be others by the profile of the first page."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    first, second = srgb + b"1   ", srgb + b"2   "
    grey = of_gamma(1 / 1.8, None).profile(1)
    pages = [
        (noise(3, np.uint8), first, 72),
        (noise(3, np.uint16), second, 300),
        (noise(1, np.uint8)[..., 0], grey, None),
        (noise(3, np.uint8, (5, 9)), None, 150),
    ]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for values, profile, dpi in pages:
            told = {"resolution": (dpi, dpi), "resolutionunit": 2} if dpi else {}
            kind = "rgb" if values.ndim == 3 else "minisblack"
            named = {"iccprofile": profile, "description": f"page at {dpi}", "metadata": None}
            file.write(values, photometric=kind, **named, **told)  # type: ignore[arg-type]
        file.write(noise(4, np.uint8), photometric="separated", iccprofile=first, metadata=None)
    picture = image.read(tmp_path / "a.tif")
    assert picture.notes == ("CMYK converted to RGB",)
    assert picture.metadata == picture.descriptions[0]
    image.write(picture, tmp_path / "b.tif", image.Output(metadata="no-gps"))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert [page.iccprofile for page in file.pages] == [first, second, grey, None, None]
        texts = [page.description for page in file.pages]
        assert texts == ["page at 72", "page at 300", "page at None", "page at 150", ""]
    again = image.read(tmp_path / "b.tif").descriptions
    assert [each.dpi and round(each.dpi[0]) for each in again] == [72, 300, None, 150, None]
