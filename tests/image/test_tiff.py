"""TIFF as others write it: layouts and numbers of all kinds, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from ccsr import image
from ccsr.image import profiles
from tiffs import GREY_ALPHA, SIZE, noise, read, write


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_a_file_says_does_not_depend_on_its_kind(tmp_path: Path, channels: int) -> None:
    profile = profiles.adobe().profile(channels)
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' dc:title='Hill'/>"
    write(
        tmp_path / "a.tif",
        noise(channels),
        iccprofile=profile,
        resolution=(100, 50),
        resolutionunit="centimeter",
        software="a program",
        extratags=[(700, "B", len(xmp), xmp, True), (271, "s", 0, "Maker", True)],
        metadata=None,
        **(GREY_ALPHA if channels == 2 else {}),
    )
    described = image.read(tmp_path / "a.tif").metadata
    assert described.profile == profile
    assert described.xmp == xmp
    assert described.dpi == pytest.approx((254, 127))
    exif = Image.Exif()
    exif.load(described.exif)
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Software]) == ("Maker", "a program")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_does_not_depend_on_its_kind(tmp_path: Path, orientation: int) -> None:
    values = noise(1)[..., 0]
    options: dict[str, Any] = {
        "extratags": [(274, "H", 1, orientation, True)], "resolution": (300, 100),
        "resolutionunit": "inch", "metadata": None,
    }  # fmt: skip
    plain = image.read(write(tmp_path / "a.tif", values, **options))
    pairs = np.stack((values, np.full_like(values, 65535)), axis=-1)
    rare = image.read(write(tmp_path / "b.tif", pairs, **GREY_ALPHA, **options))
    assert np.array_equal(rare.frames[0][..., :1], plain.frames[0])
    assert rare.metadata.dpi == plain.metadata.dpi
    assert image.probe(tmp_path / "b.tif")[:3] == image.probe(tmp_path / "a.tif")[:3]
    assert image.probe(tmp_path / "b.tif").size == rare.size


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_may_be_zero(tmp_path: Path, byteorder: str, channels: int, dtype: Any) -> None:
    values = noise(channels, dtype)
    stored = values.copy()
    stored[..., 0] = np.iinfo(dtype).max - stored[..., 0]
    extra = ["unassalpha"] if channels == 2 else None
    options = {"photometric": "miniswhite", "extrasamples": extra, "byteorder": byteorder}
    assert np.array_equal(read(write(tmp_path / "a.tif", stored, **options)), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_colours_that_were_multiplied_by_alpha(
    tmp_path: Path, dtype: Any, channels: int, layout: str
) -> None:
    values = noise(channels, dtype)
    most = np.iinfo(dtype).max
    share = values[..., -1:] / most
    stored = np.rint(values[..., :-1] * share).astype(dtype)
    stored = np.concatenate((stored, values[..., -1:]), axis=-1)
    kind = "rgb" if channels == 4 else "minisblack"
    write(
        tmp_path / "a.tif",
        np.moveaxis(stored, 2, 0) if layout == "separate" else stored,
        photometric=kind,
        planarconfig=layout,
        extrasamples=["assocalpha"],
    )
    got = read(tmp_path / "a.tif")
    assert np.array_equal(got[..., -1], values[..., -1])
    error = np.abs(got[..., :-1].astype(float) - values[..., :-1]) * share
    assert error.max() <= 1.01  # a level of what is seen


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_channels_that_lie_apart(
    tmp_path: Path, channels: int, dtype: Any, tile: Any, compression: Any
) -> None:
    values = noise(channels, dtype)
    write(
        tmp_path / "a.tif",
        np.moveaxis(values, 2, 0),
        photometric="rgb" if channels > 2 else "minisblack",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        planarconfig="separate",
        tile=tile,
        compression=compression,
    )
    assert np.array_equal(read(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("minisblack", (0,)),
        ("minisblack", (2, 0)),
        ("minisblack", (0,) * 6),
        ("rgb", (0,)),
        ("rgb", (0, 0)),
        ("rgb", (2, 0)),
        ("rgb", (0, 2)),
        ("rgb", (0, 2, 0)),
    ],
)
def test_channels_beside_the_colours_are_told(
    tmp_path: Path, layout: str, dtype: Any, kind: str, extra: tuple[int, ...]
) -> None:
    """Only one that is called alpha (2) is transparency, wherever it stands."""
    colours = 3 if kind == "rgb" else 1
    values = noise(colours + len(extra), dtype)
    planes = np.moveaxis(values, 2, 0) if layout == "separate" else values
    write(
        tmp_path / "a.tif", planes, photometric=kind, planarconfig=layout, extrasamples=list(extra)
    )
    picture = image.read(tmp_path / "a.tif")
    alpha = [colours + extra.index(2)] if 2 in extra else []
    assert np.array_equal(picture.frames[0], values[..., [*range(colours), *alpha]])
    assert picture.dropped == (f"further channels ({len(extra) - len(alpha)})",)


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extra", [(2,), (0, 2), (0,)])
def test_inks_with_more_channels(
    tmp_path: Path, layout: str, dtype: Any, extra: tuple[int, ...]
) -> None:
    inks = noise(4 + len(extra), np.uint8)
    stored = inks.astype(dtype) * (1 if dtype is np.uint8 else 257)
    planes = np.moveaxis(stored, 2, 0) if layout == "separate" else stored
    write(
        tmp_path / "a.tif",
        planes,
        photometric="separated",
        planarconfig=layout,
        extrasamples=list(extra),
    )
    picture = image.read(tmp_path / "a.tif")
    only_inks = Image.frombytes("CMYK", SIZE[::-1], inks[..., :4].tobytes())
    assert np.array_equal(picture.frames[0][..., :3], np.asarray(only_inks.convert("RGB")))
    assert np.array_equal(
        picture.frames[0][..., 3:], inks[..., -1:] if 2 in extra else inks[..., :0]
    )
    further = ("further channels (1)",) if 0 in extra else ()
    assert tuple(name for name in picture.dropped if "channels" in name) == further


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks(tmp_path: Path, layout: str, dtype: Any) -> None:
    inks = noise(4, np.uint8)
    stored = inks.astype(dtype) * (1 if dtype is np.uint8 else 257)
    planes = np.moveaxis(stored, 2, 0) if layout == "separate" else stored
    write(tmp_path / "a.tif", planes, photometric="separated", planarconfig=layout)
    picture = image.read(tmp_path / "a.tif")
    expected = np.asarray(Image.frombytes("CMYK", SIZE[::-1], inks.tobytes()).convert("RGB"))
    assert np.array_equal(picture.frames[0], expected)
    assert picture.notes == ("CMYK converted to RGB",)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_palettes(tmp_path: Path, deep: bool, bits: int) -> None:
    palette = noise(3, np.uint8 if not deep else np.uint16, (2**bits, 1))[:, 0]
    index = noise(1, np.uint16, most=2**bits - 1)[..., 0].astype(f"u{bits // 8}")
    colours = palette.astype(np.uint16) * (1 if deep else 257)
    write(tmp_path / "a.tif", index, photometric="palette", colormap=colours.T)
    expected = palette[index]
    got = read(tmp_path / "a.tif")
    if deep and bits == 8:  # Pillow's palettes have 8 bits
        assert np.array_equal(got, expected >> 8)
    else:
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint32, np.int16, np.int32, np.uint64])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_wide_numbers_in_the_range_of_levels(
    tmp_path: Path, channels: int, dtype: Any, byteorder: Any, compression: Any
) -> None:
    values = noise(channels, dtype)
    options = {"photometric": "rgb" if channels == 3 else "minisblack", "byteorder": byteorder}
    write(tmp_path / "a.tif", values.squeeze(), compression=compression, **options)
    got = read(tmp_path / "a.tif")
    assert got.dtype == np.uint16
    assert np.array_equal(got, values)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            np.array([0, 2**32 - 1], np.uint32),
            r"whole numbers from 0 to 65535, got .*0 to 4.29\d+e",
        ),
        (np.array([-7, 300], np.int16), "whole numbers from 0 to 65535, got values from -7 to 300"),
        (np.array([-7, 300], np.int32), "whole numbers from 0 to 65535, got values from -7 to 300"),
        (np.array([-7, 100], np.int8), "signed numbers of 8 bits: store them as levels from 0"),
        (np.array([0, 1j], np.complex64), "it holds complex numbers: take their real part"),
    ],
    ids=["uint32", "int16", "int32", "int8", "complex"],
)
def test_numbers_that_are_no_levels(
    tmp_path: Path, channels: int, values: np.ndarray, reason: str
) -> None:
    stored = np.resize(values, (4, 6, channels))
    write(tmp_path / "a.tif", stored, photometric="rgb" if channels == 3 else "minisblack")
    with pytest.raises(OSError, match=rf"cannot read .*a\.tif: .*{reason}"):
        image.read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("photometric", "reason"),
    [(34892, "the raw data of a camera"), (8, "L.a.b. colours of more than 8 bits")],
)
def test_pixels_that_are_no_colours(tmp_path: Path, photometric: int, reason: str) -> None:
    write(tmp_path / "a.tif", noise(3), photometric=photometric)
    with pytest.raises(OSError, match=f"it holds {reason}.* not known here: convert it to RGB"):
        image.read(tmp_path / "a.tif")


def directory(offset: int, tags: dict[int, Any], values: bytes = b"") -> bytes:
    made = TiffImagePlugin.ImageFileDirectory_v2()
    made.update(tags)
    return made.tobytes(offset) + values


def single(compression: int, pixels: bytes, width: int = 2) -> bytes:
    tags = {256: width, 257: 1, 258: 8, 259: compression, 262: 1, 273: (0,), 277: 1, 278: 1}
    content = directory(8, tags | {279: (len(pixels),)}, pixels)
    return b"II*\0\x08\0\0\0" + content


@pytest.mark.parametrize(("compression", "name"), [(50001, "WEBP"), (34712, "JPEG2000")])
def test_a_compression_that_is_not_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: int, name: str
) -> None:
    (tmp_path / "a.tif").write_bytes(single(compression, b"RIFFxxxxWEBP"))
    with pytest.raises(OSError, match=f"the compression {name}.* needs the package imagecodecs"):
        image.read(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_a_compression_that_nobody_has(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(single(9, b"pixels"))
    with pytest.raises(
        OSError, match=r"JBIG_BW .* is not known here: store it without compression"
    ):
        image.read(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_compressed_pixels_that_are_damaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str
) -> None:
    picture = Image.fromarray(noise(3, np.uint8))
    picture.save(tmp_path / "a.tif", compression=compression)
    content = (tmp_path / "a.tif").read_bytes()
    damage = bytes(255 - byte for byte in content[1000:1500])
    (tmp_path / "a.tif").write_bytes(content[:1000] + damage + content[1500:])
    with pytest.raises(OSError, match=r"a\.tif: its compressed pixels are damaged"):
        image.read(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_a_truncated_page_of_a_rare_kind(tmp_path: Path) -> None:
    for options in ({}, {"compression": "zlib"}, {"planarconfig": "separate"}):
        values = np.moveaxis(noise(2), 2, 0) if "planarconfig" in options else noise(2)
        write(tmp_path / "a.tif", values, **GREY_ALPHA, **options)
        content = (tmp_path / "a.tif").read_bytes()
        (tmp_path / "a.tif").write_bytes(content[: len(content) - 2000])
        with pytest.raises(OSError, match=r"cannot read .*a\.tif"):
            image.read(tmp_path / "a.tif")


def test_the_profile_of_inks_is_used(tmp_path: Path) -> None:
    """A profile that cannot be read leaves Pillow's conversion."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write(tmp_path / "a.tif", noise(4), photometric="separated", iccprofile=srgb)
    write(tmp_path / "b.tif", noise(4), photometric="separated")
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))
    assert image.read(tmp_path / "a.tif").metadata.profile is None


@pytest.mark.parametrize("channels", [4, 5])
def test_inks_that_are_no_cmyk_are_refused(tmp_path: Path, channels: int) -> None:
    told = [(332, "H", 1, 2, True)]
    values = noise(channels, np.uint8)
    write(tmp_path / "a.tif", values, photometric="separated", extratags=told)
    with pytest.raises(OSError, match="its inks are others than cyan, magenta, yellow and black"):
        image.read(tmp_path / "a.tif")


def test_a_large_tiff_of_the_other_order_is_called_so(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", noise(3, np.uint8), photometric="rgb", bigtiff=True, byteorder=">")
    with pytest.raises(OSError, match="a BigTIFF with the highest byte first, which is not read"):
        image.read(tmp_path / "a.tif")
