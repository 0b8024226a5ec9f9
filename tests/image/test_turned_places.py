"""Places in a picture turn with it, whoever turns it: its EXIF, or a HEIC itself."""

import struct
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from ccsr import image
from ccsr.image import boxes

SUBJECT_AREA = 37396
EXIF = ExifTags.IFD.Exif
T = Image.Transpose
BACK = dict(  # from upright to what is stored with an orientation
    enumerate(
        (
            T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_90,
            T.TRANSVERSE, T.ROTATE_270,
        ),
        2,
    )
)  # fmt: skip


@pytest.mark.parametrize("suffix", [".png", ".avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_place_in_the_picture_turns_with_it(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    """The one white pixel stays where the subject is, also when enlarged."""
    upright = Image.new("L", (7, 5))
    upright.putpixel((5, 1), 255)
    upright = upright.resize((14, 10), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = upright if orientation == 1 else upright.transpose(BACK[orientation])
    left, top, right, bottom = stored.getbbox() or (0, 0, 0, 0)
    exif.get_ifd(EXIF)[SUBJECT_AREA] = ((left + right) // 2, (top + bottom) // 2, 2, 2)
    exif.get_ifd(EXIF)[ExifTags.Base.FocalPlaneXResolution] = 10.0 if orientation < 5 else 20.0
    exif.get_ifd(EXIF)[ExifTags.Base.FocalPlaneYResolution] = 20.0 if orientation < 5 else 10.0
    stored.save(tmp_path / f"a{suffix}", exif=exif.tobytes())
    picture = image.read(tmp_path / f"a{suffix}")
    assert (picture.frames[0][2:4, 10:12] > 150).all()
    described = picture.metadata.at((20, 42))
    read = Image.Exif()
    read.load(described.exif or b"")
    details = read.get_ifd(EXIF)
    x, y, width, height = details[SUBJECT_AREA]
    assert 30 <= x < 36
    assert 4 <= y < 8
    assert (width, height) == (6, 4)
    assert float(details[ExifTags.Base.FocalPlaneXResolution]) == pytest.approx(30)
    assert float(details[ExifTags.Base.FocalPlaneYResolution]) == pytest.approx(40)


def with_turn(heic: bytes, quarters: int) -> bytes:
    """A file whose picture is to be turned anticlockwise to be shown, as phones write them."""
    (properties,) = boxes.find(heic, b"meta", b"iprp", b"ipco")
    (uses,) = boxes.find(heic, b"meta", b"iprp", b"ipma")
    (places,) = boxes.find(heic, b"meta", b"iloc")
    count = len(list(boxes.boxes(heic, properties.start, properties.end)))
    changed = bytearray(heic)
    added = struct.pack(">I4sB", 9, b"irot", quarters)
    # the first item is the picture; one more of its uses, of the property behind all others
    changed[uses.start + 10] += 1
    changed.insert(uses.start + 11, count + 1)
    changed[properties.end : properties.end] = added
    more = {b"meta": 10, b"iprp": 10, b"ipco": 9, b"ipma": 1}
    for kind, length in more.items():
        at = changed.index(kind) - 4
        struct.pack_into(">I", changed, at, struct.unpack_from(">I", changed, at)[0] + length)
    assert heic[places.start : places.start + 6] == bytes(4) + b"\x44\x40"  # all of 4 bytes
    at = places.start + 8
    for _ in range(int.from_bytes(heic[at - 2 : at], "big")):
        struct.pack_into(">I", changed, at + 4, struct.unpack_from(">I", heic, at + 4)[0] + 10)
        at += 10 + 8 * int.from_bytes(heic[at + 8 : at + 10], "big")
    return bytes(changed)


def test_a_place_turns_with_a_heic_that_says_so_itself(tmp_path: Path) -> None:
    """Its EXIF alone does not turn it: pixels and place stay as they are stored."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    upright = Image.new("RGB", (140, 100))
    upright.paste("white", (90, 10, 130, 50))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = upright.transpose(BACK[6])
    stored.save(tmp_path / "a.heic", exif=exif)
    left, top, right, bottom = stored.getbbox() or (0, 0, 0, 0)
    exif.get_ifd(EXIF)[SUBJECT_AREA] = ((left + right) // 2, (top + bottom) // 2, 20, 30)
    stored.save(tmp_path / "a.heic", exif=exif)
    turned = with_turn((tmp_path / "a.heic").read_bytes(), 3)
    (tmp_path / "b.heic").write_bytes(turned)
    for name, size, area in (
        ("a", (140, 100), (30, 30, 20, 30)),
        ("b", (100, 140), (109, 30, 30, 20)),
    ):
        picture = image.read(tmp_path / f"{name}.heic")
        assert picture.frames[0].shape[:2] == size
        read = Image.Exif()
        read.load(picture.metadata.exif or b"")
        assert read.get_ifd(EXIF)[SUBJECT_AREA] == area
        assert picture.frames[0][area[1], area[0]].min() > 200
