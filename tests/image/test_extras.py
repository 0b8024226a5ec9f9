"""What a file holds beside its pixels: it is said, and no time is left in what is written."""

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, PngImagePlugin

from ccsr import image
from ccsr.image import Output, Picture, boxes
from picture_parts import chunk, left

VIDEO = struct.pack(">I4s4sI", 24, b"ftyp", b"mp42", 0) + b"isommp42" + bytes(200)


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, len(content) + 2) + content


def with_segment(marker: int, content: bytes, **options: object) -> bytes:
    whole = jpeg(**options)
    return whole[:2] + segment(marker, content) + whole[2:]


MPF = segment(0xE2, b"MPF\0" + bytes(40))
GAIN = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lambda p: jpeg(progressive=p), ()),
        (lambda p: jpeg(progressive=p) + VIDEO, ("motion video",)),
        (lambda p: jpeg(progressive=p) + b"MotionPhoto_Data" + VIDEO, ("motion video",)),
        (lambda p: with_segment(0xE2, b"MPF\0" + bytes(9), progressive=p) + jpeg(),
         ("further pictures",)),
        (lambda p: jpeg(progressive=p) + jpeg()[:2] + GAIN + jpeg()[2:], ("gain map",)),
        (lambda p: with_segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0", progressive=p) + jpeg()
         + VIDEO, ("motion video", "gain map")),
        (lambda p: jpeg(progressive=p) + bytes(400), ()),
        (lambda p: jpeg(progressive=p) + b"a note", ("bytes behind the picture",)),
        (lambda p: jpeg(progressive=p, comment=b"hi"), ("comment",)),
        (lambda p: with_segment(0xED, b"Photoshop 3.0\0008BIM\4\4\0\0" + struct.pack(">I", 4)
         + b"\x1c\2\0\0"), ("IPTC",)),
        (lambda p: with_segment(0xEB, b"JP\0\1jumb....c2pa"), ("content credentials",)),
        (lambda p: with_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)),
         ("extended XMP",)),
        (lambda p: with_segment(0xE1, b"FLIR\0\1" + bytes(9), progressive=p), ("segment FLIR",)),
        (lambda p: with_segment(0xE5, bytes(9), progressive=p), ("segment APP5",)),
        (lambda p: with_segment(0xE0, b"JFXX\0\x10" + bytes(9)), ("thumbnail",)),
        (lambda p: with_segment(0xEC, b"Ducky\0\1", progressive=p), ()),
        (lambda p: with_segment(0xED, b"Photoshop 3.0\0008BIM\7\xd0\0\0"
         + struct.pack(">I", 4) + bytes(4)), ("Photoshop resources",)),
    ],
)  # fmt: skip
def test_what_a_jpeg_holds_beside_it(tmp_path: Path, data, expected, progressive: bool) -> None:
    assert left(tmp_path, "a.jpg", data(progressive)) == expected


@pytest.mark.parametrize(("word", "name"), [(b"", "further pictures"), (b"HDRGainMap", "gain map")])
def test_several_pictures_of_a_phone(tmp_path: Path, word: bytes, name: str) -> None:
    """Pillow takes such a JPEG, a whole MPO, for a format of its own."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 2  # Adobe RGB
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8))
    photo.save(
        tmp_path / "a.jpg",
        "MPO",
        save_all=True,
        append_images=[photo],
        exif=exif.tobytes(),
        quality=60,
    )
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment(0xFE, b"hi") + data[2:] + word)
    picture = image.read(tmp_path / "a.jpg")
    assert picture.dropped == ("comment", name)
    assert picture.metadata.profile
    assert str(picture.coding) == "JPEG of quality 60"


def test_directories_below_a_page_of_tiff(tmp_path: Path) -> None:
    values = np.zeros((8, 8, 3), np.uint8)
    for reduced, byteorder, expected in (
        (1, "<", ()),
        (1, ">", ()),
        (0, "<", ("further pictures",)),
        (0, ">", ("further pictures",)),
    ):
        with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=byteorder) as file:
            file.write(values, photometric="rgb", subifds=2)
            file.write(values[::2, ::2], photometric="rgb", subfiletype=1)
            file.write(values, photometric="rgb", subfiletype=reduced)
        assert image.read(tmp_path / "a.tif").dropped == expected


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("ImageJ=1.53\nimages=1\n", ("ImageJ metadata",)),
        ('<?xml version="1.0"?><OME xmlns="x"><Image/></OME>', ("OME metadata",)),
        ("a view of the OME", ()),
    ],
)
def test_descriptions_of_stacks_do_not_stay(
    tmp_path: Path, description: str, expected: tuple[str, ...]
) -> None:
    """They count the smaller picture's pixels, and programs go by them."""
    values = np.zeros((8, 8, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", description=description)
    picture = image.read(tmp_path / "a.tif")
    assert picture.dropped == expected
    kept = Image.Exif()
    kept.load(picture.metadata.exif or b"")
    assert kept.get(ExifTags.Base.ImageDescription) == (None if expected else description)


def test_layers_in_a_tiff_are_told(tmp_path: Path) -> None:
    tags = [(37724, 7, 4, b"8BIM", True), (42113, 2, 3, "-9", True)]
    values = np.zeros((8, 8, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extratags=tags)
    assert image.read(tmp_path / "a.tif").dropped == ("layers", "GDAL metadata")


def test_what_a_png_holds_beside_its_pixels(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "x")
    text.add_itxt("XML:com.adobe.xmp", '<a xmlns="b"/>')
    buffer = io.BytesIO()
    Image.new("L", (3, 2)).save(buffer, "PNG", pnginfo=text)
    whole = buffer.getvalue()
    for between, behind, expected in (
        (b"", b"", ("text",)),
        (chunk(b"caBX", b"...."), b"", ("content credentials", "text")),
        (chunk(b"cLLI", bytes(8)) + chunk(b"mDCV", bytes(24)), b"", ("HDR mastering data", "text")),
        (chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)), b"", ("text", "pixel aspect 2:1")),
        (chunk(b"vpAg", bytes(9)), chunk(b"tIME", bytes(7)), ("chunk vpAg", "text", "chunk tIME")),
    ):
        data = whole[:33] + between + whole[33:-12] + behind + whole[-12:]
        assert left(tmp_path, "a.png", data) == expected


def test_pixels_that_are_not_square_are_told(tmp_path: Path) -> None:
    """By JFIF without a unit, and by GIF, whose byte is the width over the height less 15/64."""
    data = io.BytesIO()
    Image.new("L", (4, 3)).save(data, "JPEG")
    jpeg, at = data.getvalue(), data.getvalue().index(b"JFIF\0") + 7
    for unit, told in ((0, ("pixel aspect 2:1",)), (1, ())):
        density = struct.pack(">BHH", unit, 2, 1)
        assert left(tmp_path, "a.jpg", jpeg[:at] + density + jpeg[at + 5 :]) == told
    data = io.BytesIO()
    Image.new("L", (4, 3)).save(data, "GIF")
    gif = data.getvalue()
    for byte, told in ((0, ()), (49, ()), (113, ("pixel aspect 64:128",))):
        assert left(tmp_path, "a.gif", gif[:12] + bytes([byte]) + gif[13:]) == told


def test_what_photoshop_files_hold(tmp_path: Path) -> None:
    """Resources 1028, 1058 and 1060 are IPTC, EXIF and XMP (Adobe's file format specification)."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    resources = b""
    for number, content in (
        (1028, b"\x1c\2"), (1058, exif.tobytes()[6:]), (1060, b'<a xmlns="b"/>')
    ):  # fmt: skip
        padded = content + bytes(len(content) % 2)
        resources += b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + padded
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 5, 8, 3) + bytes(4)
    body = struct.pack(">I", len(resources)) + resources + bytes(4) + bytes(2) + bytes(60)
    (tmp_path / "a.psd").write_bytes(head + body)
    picture = image.read(tmp_path / "a.psd")
    assert picture.dropped == ("IPTC",)
    assert b"Maker" in (picture.metadata.exif or b"")
    assert picture.metadata.xmp == b'<a xmlns="b"/>'


def test_exif_and_xmp_of_jpeg_2000(tmp_path: Path) -> None:
    Image.new("RGB", (16, 12)).save(tmp_path / "a.jp2")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    content = (tmp_path / "a.jp2").read_bytes()
    at = content.index(b"jp2c") - 4
    ids = (b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"))
    added = b""
    for name, block in zip(ids, (exif.tobytes()[6:], b'<a xmlns="b"/>'), strict=True):
        added += struct.pack(">I4s", 24 + len(block), b"uuid") + name + block
    (tmp_path / "a.jp2").write_bytes(content[:at] + added + content[at:])
    described = image.read(tmp_path / "a.jp2").metadata
    assert b"Maker" in (described.exif or b"")
    assert described.xmp == b'<a xmlns="b"/>'


def test_what_heic_holds(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    deep = np.random.default_rng(0).integers(0, 65535, (64, 64, 3), np.uint16)
    heif.from_bytes("RGB;16", (64, 64), deep.tobytes()).save(tmp_path / "deep.heic", quality=90)
    assert image.read(tmp_path / "deep.heic").dropped == ("precision (10 bits read as 8)",)
    two = heif.from_pillow(Image.new("RGB", (64, 64)))
    two.add_from_pillow(Image.new("RGB", (32, 32)))
    two.save(tmp_path / "two.heic")
    assert image.read(tmp_path / "two.heic").dropped == ("further pictures",)
    one = heif.from_pillow(Image.new("RGBA", (64, 64)))
    one.save(tmp_path / "one.heic")
    assert image.read(tmp_path / "one.heic").dropped == ()
    film = (tmp_path / "one.heic").read_bytes() + struct.pack(">I4s", 8, b"mpvd")
    assert left(tmp_path, "film.heic", film) == ("motion video",)


@pytest.mark.parametrize(
    ("urn", "expected"),
    [
        (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", []),
        (b"urn:mpeg:hevc:2015:auxid:1", []),
        (b"urn:mpeg:hevc:2015:auxid:2", ["depth map"]),
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", ["gain map"]),
        (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", ["matte"]),
        (b"urn:example:other", ["auxiliary picture"]),
    ],
)
def test_auxiliary_pictures_by_what_they_are_for(urn: bytes, expected: list[str]) -> None:
    def box(kind: bytes, *parts: bytes) -> bytes:
        content = b"".join(parts)
        return struct.pack(">I4s", 8 + len(content), kind) + content

    pitm = box(b"pitm", bytes(4), struct.pack(">H", 1))
    first = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 16, 9, 128))
    second = box(b"auxC", bytes(4), urn + b"\0")
    ipma = box(b"ipma", bytes(4), struct.pack(">I", 2), struct.pack(">HBB", 1, 1, 1),
               struct.pack(">HBB", 2, 1, 0x82))  # fmt: skip
    kinds = (b"av01", b"tmap")
    entries = [box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", n, 0, kinds[n - 1])) for n in (1, 2)]
    iinf = box(b"iinf", bytes(4), struct.pack(">H", 2), *entries)
    properties = box(b"iprp", box(b"ipco", first, second), ipma)
    for parts, more in (((pitm, properties), []), ((pitm, iinf, properties), ["gain map"])):
        facts = boxes.heif_facts(box(b"meta", bytes(4), *parts))
        assert facts.nclx == (9, 16)
        assert facts.others == expected + more


def test_depth_of_avif_is_said(tmp_path: Path) -> None:
    pyvips = pytest.importorskip("pyvips")
    deep = np.random.default_rng(0).integers(0, 65535, (64, 64, 3), np.uint16)
    picture = pyvips.Image.new_from_array(deep).copy(interpretation="rgb16")
    for bits in (10, 12):
        path = tmp_path / f"{bits}.avif"
        picture.heifsave(str(path), compression="av1", bitdepth=bits)
        assert image.read(path).dropped == (f"precision ({bits} bits read as 8)",)


def test_depth_of_jpeg_2000_and_sgi_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (16, 12)).save(tmp_path / "a.jp2")
    content = bytearray((tmp_path / "a.jp2").read_bytes())
    content[content.index(b"\xff\x4f\xff\x51") + 42] = 11
    assert boxes.jpeg2000_facts(bytes(content)).bits == 12
    Image.new("I;16", (16, 12), 999).save(tmp_path / "b.jp2")
    assert image.read(tmp_path / "b.jp2").dropped == ()  # grey stays deep
    Image.new("RGB", (16, 12)).save(tmp_path / "a.sgi", bpc=2)
    assert image.read(tmp_path / "a.sgi").dropped == ("precision (16 bits read as 8)",)


def test_other_sizes_in_an_icon_are_said(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64)).save(tmp_path / "a.ico", sizes=[(16, 16), (64, 64)])
    assert image.read(tmp_path / "a.ico").dropped == ("smaller sizes",)


@pytest.mark.parametrize("suffix", sorted({s for s in image.READABLE if s[1:] in (
    "png", "apng", "jpg", "webp", "tif", "avif", "gif", "bmp")}))  # fmt: skip
@pytest.mark.parametrize("several", [False, True])
def test_no_file_holds_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, several: bool
) -> None:
    """What is written now and in a year are the same bytes."""
    rng = np.random.default_rng(0)
    frames = tuple(rng.integers(0, 256, (40, 48, 3), np.uint8) for _ in range(1 + several))
    durations = (50.0, 60.0) if several and suffix != ".tif" else ()
    if several and suffix in (".jpg", ".bmp"):
        pytest.skip("holds one frame only")
    written = []
    for moment in range(2):
        time.sleep(1.1 if moment and suffix == ".avif" and several else 0)  # libavif counts seconds
        path = tmp_path / f"{moment}{suffix}"
        image.write(Picture(frames, durations=durations), path, Output(metadata="strip"))
        written.append(path.read_bytes())
    assert written[0] == written[1]
    if suffix == ".avif" and several:
        for kind in (b"mvhd", b"tkhd", b"mdhd"):
            at = written[0].index(kind) + 4
            assert written[0][at] == 1  # times of 64 bits
            assert written[0][at + 4 : at + 20] == bytes(16)


def test_behind_the_end_of_a_png_nothing_is_obeyed(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("RGB", (6, 4)).save(data, "PNG")
    turned = Image.Exif()
    turned[274] = 6
    more = chunk(b"eXIf", turned.tobytes()[6:]) + chunk(b"cICP", bytes([9, 16, 0, 1]))
    (tmp_path / "a.png").write_bytes(data.getvalue() + more)
    picture = image.read(tmp_path / "a.png")
    assert picture.size == image.probe(tmp_path / "a.png").size == (4, 6)
    assert picture.metadata.profile is None
    assert picture.dropped == ("bytes behind the picture",)
    assert left(tmp_path, "b.png", data.getvalue() + bytes(50 << 20)) == ()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_exif_in_a_text_of_png_turns_the_plan_too(
    tmp_path: Path, packed: bool, behind: bool
) -> None:
    turned = Image.Exif()
    turned[274] = 6
    digits = b"\nexif\n%8d\n%s\n" % (len(turned.tobytes()), turned.tobytes().hex().encode())
    name = b"Raw profile type exif\0"
    packing = b"\0" + zlib.compress(digits)
    text = chunk(b"zTXt", name + packing) if packed else chunk(b"tEXt", name + digits)
    data = io.BytesIO()
    Image.new("RGB", (6, 4)).save(data, "PNG")
    place = data.getvalue().index(b"IEND" if behind else b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(data.getvalue()[:place] + text + data.getvalue()[place:])
    assert image.probe(tmp_path / "a.png").size == (6, 4)
    assert image.read(tmp_path / "a.png").size == (6, 4)
