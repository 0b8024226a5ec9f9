import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, PngImagePlugin

from ccsr import Upscaler, image
from ccsr.image import Metadata, Output, Picture

SUBJECT_AREA = 37396
EXIF, GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description dc:title="Hill" '
    'tiff:Orientation="6" tiff:ImageWidth="16" exif:PixelXDimension="16" '
    'exif:GPSLatitude="48,51N"><exif:PixelYDimension>12</exif:PixelYDimension>'
    "<exif:GPSLongitude>2,21E</exif:GPSLongitude>"
    "<xmp:Thumbnails><rdf:Alt><xmpGImg:image>AAAA</xmpGImg:image></rdf:Alt></xmp:Thumbnails>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
SUFFIXES = (".jpg", ".png", ".webp", ".tif", ".avif")
DEPTHS = [(suffix, 8) for suffix in SUFFIXES] + [(".png", 16), (".tif", 16)]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG that says all that a camera and an editor say."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Orientation] = 1
    exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = 240.0
    exif[ExifTags.Base.ResolutionUnit] = 2
    exif[ExifTags.Base.ImageWidth] = 16
    exif.get_ifd(EXIF).update(
        {
            ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06",
            ExifTags.Base.ExposureTime: 0.005,
            ExifTags.Base.ExifImageWidth: 16,
            ExifTags.Base.ExifImageHeight: 12,
            ExifTags.Base.FocalPlaneXResolution: 5000.0,
            SUBJECT_AREA: (4, 5, 2, 3),
            ExifTags.Base.MakerNote: b"secret",
        }
    )
    exif.get_ifd(GPS).update(
        {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0,) * 3}
    )
    options = {"exif": exif, "xmp": XMP.encode(), "dpi": (240, 240)}
    Image.new("RGB", (16, 12), "green").save(tmp_path / "photo.jpg", **options)
    return tmp_path / "photo.jpg"


@pytest.mark.parametrize("policy", ["keep", "no-gps"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_texts_beyond_ascii_are_kept(tmp_path: Path, suffix: str, policy: Any) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Jörg Müller".encode()
    exif.get_ifd(EXIF)[ExifTags.Base.LensModel] = "Jörgs Linse".encode()
    exif.get_ifd(EXIF)[ExifTags.Base.CameraOwnerName] = "Jörg Müller".encode()
    Image.new("RGB", (16, 12)).save(tmp_path / "photo.jpg", exif=exif)
    image.write(
        image.read(tmp_path / "photo.jpg"), tmp_path / f"a{suffix}", Output(metadata=policy)
    )
    with Image.open(tmp_path / f"a{suffix}") as opened:
        read = opened.getexif()
        details = read.get_ifd(EXIF)
    for text, expected in (
        (read[ExifTags.Base.Artist], "Jörg Müller"),
        (details[ExifTags.Base.LensModel], "Jörgs Linse"),
        (details[ExifTags.Base.CameraOwnerName], "Jörg Müller"),
    ):
        stored = text if isinstance(text, bytes) else text.encode("latin-1")
        assert stored.decode() == expected


def rewritten(
    photo: Path,
    suffix: str,
    output: Output | None = None,
    bits: int = 8,
    factors: tuple[int, int] = (1, 1),
) -> Any:
    picture = image.read(photo).map(lambda values: values.repeat(factors[0], 0))
    picture = picture.map(lambda values: values.repeat(factors[1], 1))
    if bits == 16:
        picture = picture.map(lambda values: values.astype(np.uint16) * 257)
    path = photo.with_name(f"out{suffix}")
    image.write(picture, path, output or Output())
    with Image.open(path) as opened:
        opened.load()
        return opened


def xmp_of(opened: Any) -> bytes:
    xmp = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else xmp


@pytest.mark.parametrize(("suffix", "bits"), DEPTHS)
def test_what_stays_true_is_kept(photo: Path, suffix: str, bits: int) -> None:
    opened = rewritten(photo, suffix, bits=bits)
    exif = opened.getexif()
    assert exif[ExifTags.Base.Make] == "Maker"
    details = exif.get_ifd(EXIF)
    assert details[ExifTags.Base.DateTimeOriginal] == "2001:02:03 04:05:06"
    assert float(details[ExifTags.Base.ExposureTime]) == pytest.approx(0.005)
    assert details[ExifTags.Base.MakerNote] == b"secret"
    assert exif.get_ifd(GPS)[ExifTags.GPS.GPSLatitude] == (48, 48, 48)
    assert b'dc:title="Hill"' in xmp_of(opened)
    assert b'exif:GPSLatitude="48,51N"' in xmp_of(opened)
    if suffix in (".jpg", ".png", ".tif"):
        assert opened.info["dpi"] == pytest.approx((240, 240), abs=0.02)  # whole dots per metre


@pytest.mark.parametrize(("suffix", "bits"), DEPTHS)
def test_what_counts_pixels_is_scaled(photo: Path, suffix: str, bits: int) -> None:
    """A picture of 16x12 pixels that becomes one of 32x36."""
    opened = rewritten(photo, suffix, bits=bits, factors=(3, 2))
    exif = opened.getexif()
    assert exif.get(ExifTags.Base.ImageWidth, 32) == 32  # that of the TIFF itself
    details = exif.get_ifd(EXIF)
    assert details[ExifTags.Base.ExifImageWidth] == 32
    assert details[ExifTags.Base.ExifImageHeight] == 36
    assert float(details[ExifTags.Base.FocalPlaneXResolution]) == pytest.approx(10_000)
    assert details[SUBJECT_AREA] == (8, 15, 4, 9)
    for words in (b'tiff:ImageWidth="32"', b'PixelXDimension="32"', b"PixelYDimension>36<"):
        assert words in xmp_of(opened)


@pytest.mark.parametrize(("suffix", "bits"), DEPTHS)
def test_what_would_be_false_is_not(photo: Path, suffix: str, bits: int) -> None:
    opened = rewritten(photo, suffix, bits=bits)
    exif = opened.getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    for word in (b"Orientation", b"humbnail", b"AAAA"):
        assert word not in xmp_of(opened)
    assert image.read(photo).dropped == ("XMP xmp:Thumbnails",)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_thumbnail_is_dropped_and_said(tmp_path: Path, suffix: str) -> None:
    """In the second directory of EXIF, which Pillow does not write: offsets by hand."""
    first = struct.pack("<HHHIII", 1, 0x010F, 2, 4, int.from_bytes(b"abc\0", "little"), 26)
    second = struct.pack("<HHHIII", 1, 0x0103, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + first + second
    Image.new("RGB", (16, 12)).save(tmp_path / "a.jpg", exif=exif)
    picture = image.read(tmp_path / "a.jpg")
    assert picture.dropped == ("thumbnail",)
    image.write(picture, tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as opened:
        assert opened.getexif()[0x010F] == "abc"
        assert not opened.getexif().get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize(("suffix", "bits"), DEPTHS)
def test_no_gps_drops_the_place_only(photo: Path, suffix: str, bits: int) -> None:
    opened = rewritten(photo, suffix, Output(metadata="no-gps"), bits)
    exif = opened.getexif()
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif.get_ifd(EXIF)[ExifTags.Base.DateTimeOriginal] == "2001:02:03 04:05:06"
    assert not exif.get_ifd(GPS)
    assert ExifTags.Base.MakerNote not in exif.get_ifd(EXIF)
    assert b'dc:title="Hill"' in xmp_of(opened)
    content = photo.with_name(f"out{suffix}").read_bytes()
    for word in (b"GPS", b"48,51N", b"2,21E", b"secret"):
        assert word not in content


@pytest.mark.parametrize(("suffix", "bits"), DEPTHS)
def test_strip_leaves_nothing(photo: Path, suffix: str, bits: int) -> None:
    opened = rewritten(photo, suffix, Output(metadata="strip"), bits)
    assert not set(opened.getexif()) & {ExifTags.Base.Make, EXIF, GPS}
    assert xmp_of(opened) == b""
    assert opened.info.get("dpi", (1, 1)) == (1, 1)
    for word in (b"Maker", b"2001", b"Hill"):
        assert word not in photo.with_name(f"out{suffix}").read_bytes()


def test_no_gps_drops_the_place_in_words() -> None:
    spaces = (
        'xmlns:p="http://ns.adobe.com/photoshop/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:c="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/" '
        'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    )
    fields = (
        "<p:City>Berlin</p:City><c:Location>Home Street 5</c:Location><p:Credit>Me</p:Credit>"
        "<e:LocationShown><rdf:Bag><rdf:li><e:City>Paris</e:City></rdf:li></rdf:Bag></e:LocationShown>"
    )
    words = f'<a {spaces} dc:title="Hill" p:Country="Germany" c:CountryCode="DE">{fields}</a>'
    kept = Metadata(xmp=words.encode()).under("no-gps").xmp
    assert kept is not None
    for word in (b"Berlin", b"Home", b"Paris", b"Germany", b"DE"):
        assert word not in kept
    assert b"Hill" in kept
    assert b"<p:Credit>Me" in kept


@pytest.mark.parametrize("name", [b"my:GPSLatitude", b"drone-dji:GpsLatitude", b"x:longitude"])
def test_a_place_under_a_prefix_of_its_own_takes_the_rest_with_it(name: bytes) -> None:
    described = Metadata(xmp=b'<a %b="1" dc:title="Hill"/>' % name)
    assert described.under("keep").xmp == described.xmp
    assert described.under("no-gps").xmp is None


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_no_dpi_is_invented(tmp_path: Path, suffix: str) -> None:
    Image.new("L", (3, 2)).save(tmp_path / f"a{suffix}")
    picture = image.read(tmp_path / f"a{suffix}")
    assert picture.metadata.dpi is None
    for name in ("b.png", "b.tif", "b.jpg", "b.bmp"):
        image.write(picture, tmp_path / name)
        assert image.read(tmp_path / name).metadata.dpi is None


def test_xmp_of_a_png(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP)
    Image.new("L", (3, 2)).save(tmp_path / "a.png", pnginfo=text)
    assert b"Hill" in (image.read(tmp_path / "a.png").metadata.xmp or b"")


def test_xmp_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    long = XMP.replace("Hill", "H" * 300_000).encode()
    Image.new("L", (3, 2)).save(tmp_path / "a.webp", xmp=long)
    assert image.read(tmp_path / "a.webp").metadata.xmp is None


def test_damaged_metadata_do_not_cost_the_picture(tmp_path: Path) -> None:
    for number, exif in enumerate((b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0junk", b"x" * 99)):
        path = tmp_path / f"{number}.jpg"
        Image.new("RGB", (8, 8), "red").save(path, exif=exif)
        picture = image.read(path)
        assert picture.size == (8, 8)
        image.write(picture, tmp_path / f"{number}.tif")


def test_metadata_that_a_jpeg_cannot_hold_are_left_out(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * 70_000
    described = Metadata(exif=exif.tobytes(), xmp=b"y" * 70_000)
    image.write(Picture((np.zeros((8, 8, 3), np.uint8),), described), tmp_path / "a.jpg")
    assert image.read(tmp_path / "a.jpg").metadata == Metadata()


def test_the_shape_that_tifffile_describes_is_not_kept(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 4, 3), np.uint16), photometric="rgb")
    with Image.open(tmp_path / "a.tif") as opened:
        assert "shape" in opened.getexif()[270]
    image.write(Upscaler.load("light")(image.read(tmp_path / "a.tif"), scale=2), tmp_path / "b.tif")
    with Image.open(tmp_path / "b.tif") as opened:
        assert 270 not in opened.getexif()
    assert tifffile.imread(tmp_path / "b.tif").shape == (10, 8, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize(
    ("orientation", "dpi"), [(1, (100, 200)), (3, (100, 200)), (6, (200, 100))]
)
def test_a_quarter_turn_swaps_the_resolutions(
    tmp_path: Path, suffix: str, orientation: int, dpi: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (10, 20)).save(tmp_path / f"a{suffix}", dpi=(100, 200), exif=exif)
    picture = image.read(tmp_path / f"a{suffix}")
    assert picture.metadata.dpi == pytest.approx(dpi, abs=0.01)
    image.write(picture, tmp_path / f"b{suffix}")
    assert image.read(tmp_path / f"b{suffix}").metadata.dpi == pytest.approx(dpi, abs=0.01)


def test_fields_that_are_not_kept_are_named(tmp_path: Path) -> None:
    """But for how a file stores its pixels, which an enlargement says itself."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "abc"
    exif[ExifTags.Base.YCbCrPositioning] = 1
    exif[ExifTags.Base.ImageHistory] = "cut"
    exif[ExifTags.Base.UniqueCameraModel] = "one"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert image.read(tmp_path / "a.jpg").dropped == ("EXIF ImageHistory", "EXIF UniqueCameraModel")
    tags = [(65000, "s", 0, "mine", True), (297, "H", 2, (0, 1), True)]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), extratags=tags)
    assert "EXIF 65000" in image.read(tmp_path / "a.tif").dropped
    assert "EXIF PageNumber" not in image.read(tmp_path / "a.tif").dropped


@pytest.mark.parametrize("suffix", [".bmp", ".gif"])
def test_a_resolution_that_was_asked_for_is_no_exif(tmp_path: Path, suffix: str) -> None:
    picture = Picture((np.zeros((8, 8, 3), np.uint8),))
    described = picture.metadata.printed(200)
    dropped = image.write(Picture(picture.frames, described), tmp_path / f"a{suffix}")
    assert dropped == (("resolution",) if suffix == ".gif" else ())
