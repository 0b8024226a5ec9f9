"""What files of other formats than JPEG and PNG hold beside their pixels is said."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ccsr import image
from picture_parts import left


def saved(suffix: str, **options) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(data, suffix, **options)
    return data.getvalue()


def webp(*chunks: bytes, behind: bytes = b"") -> bytes:
    body = saved("WEBP")[8:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body + behind


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def gif(*blocks: bytes, behind: bytes = b"") -> bytes:
    whole = saved("GIF")
    end = whole.rindex(b";")
    return whole[:end] + b"".join(blocks) + whole[end:] + behind


def tiff_with(tag: int) -> bytes:
    data = io.BytesIO()
    tags = [(tag, "B", 4, b"jumb", True)]
    tifffile.imwrite(data, np.zeros((8, 8), np.uint8), extratags=tags, metadata=None)
    return data.getvalue()


SIGNED = box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(8))


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.webp", lambda: webp(), ()),
        ("a.webp", lambda: webp(b"C2PA\4\0\0\0jumb"), ("content credentials",)),
        ("a.webp", lambda: webp(b"abcd\3\0\0\0xyz\0", b"EFG \0\0\0\0"),
         ("chunk abcd", "chunk EFG")),
        ("a.webp", lambda: webp(behind=b"a note"), ("bytes behind the picture",)),
        ("a.avif", lambda: saved("AVIF") + SIGNED, ("content credentials",)),
        ("a.jp2", lambda: saved("JPEG2000") + SIGNED, ("content credentials",)),
        ("a.jp2", lambda: saved("JPEG2000") + box(b"xml ", b"<a/>"), ("text",)),
        ("a.tif", lambda: tiff_with(52545), ("content credentials",)),
        ("a.gif", lambda: gif(), ()),
        ("a.gif", lambda: gif(b"!\xff\x0bC2PA_GIF\1\0\0\4jumb\0"), ("content credentials",)),
        ("a.gif", lambda: gif(behind=b"a note"), ("bytes behind the picture",)),
        ("a.ppm", lambda: b"P6 # mine\n2 1 255\n" + bytes(6), ("comment",)),
        ("a.ppm", lambda: b"P6 2 1 255\n######", ()),
        ("a.tga", lambda: b"\4" + saved("TGA")[1:18] + b"mine" + saved("TGA")[18:], ("comment",)),
        ("a.tga", lambda: saved("TGA"), ()),
    ],
)  # fmt: skip
def test_what_other_formats_hold_beside_their_pixels(tmp_path: Path, name, data, expected) -> None:
    assert left(tmp_path, name, data()) == expected


def test_what_a_psd_says_beside_its_pixels(tmp_path: Path) -> None:
    """A thumbnail and the resolution; the first is said, the second kept."""

    def resource(number: int, content: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content

    resources = resource(1036, bytes(28)) + resource(
        1005, struct.pack(">I4xI4x", 300 << 16, 150 << 16)
    )
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 2, 3, 8, 3) + struct.pack(">I", 0)
    data = (
        head + struct.pack(">I", len(resources)) + resources + struct.pack(">IH", 0, 0) + bytes(18)
    )
    assert left(tmp_path, "a.psd", data) == ("thumbnail",)
    assert image.read(tmp_path / "a.psd").metadata.dpi == (300, 150)


def test_transparency_beyond_its_range_is_said_to_be_cut(tmp_path: Path) -> None:
    for most, expected in ((1.0, ()), (1.5, ("transparency beyond 0 to 1",))):
        values = np.full((6, 7, 4), 0.5, np.float32)
        values[2, 3, 3] = most
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
        assert image.read(tmp_path / "a.tif").dropped == expected
