"""EXIF and XMP that Pillow does not read, or not before the pixels: they say how it is turned."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from ccsr.image import boxes, png
from ccsr.image.metadata import LARGEST_XMP

_EXIF, _XMP = "exif", "xmp"  # as Pillow calls them
_BLOCKS = {1058: _EXIF, 1060: _XMP}  # of Photoshop
_START = b"Exif\0\0"
_XMP_KEY = b"XML:com.adobe.xmp\0"
_RAW_KEY = b"Raw profile type exif\0"
_LONGEST_RAW = 1 << 20


def find(image: Image.Image, path: Path) -> None:
    """Put EXIF and XMP that Pillow does not read, or only with the pixels, into `image.info`.

    Args:
        image: opened, and not yet asked for its EXIF.
        path: of its file.
    """
    with suppress(Exception):  # hostile bytes: the pixels are what counts
        for name, content in _OF.get(str(image.format), _nothing)(image, path):
            if content:
                whole = _START + content.removeprefix(_START) if name == _EXIF else content
                image.info.setdefault(name, whole)


def _nothing(image: Image.Image, path: Path) -> Iterator[tuple[str, bytes | None]]:
    yield from ()


def _of_png(image: Image.Image, path: Path) -> Iterator[tuple[str, bytes | None]]:
    """The specification's chunks, and else the text in which ImageMagick has EXIF."""
    texts = []
    with png.mapped(path) as data:
        for kind, start, part in png.chunks(data):
            if kind == b"eXIf":
                yield _EXIF, data[part]
            elif kind == b"iTXt" and start.startswith(_XMP_KEY):
                if part.stop - part.start <= LARGEST_XMP:
                    yield _XMP, _text(data[part])
            elif kind in (b"tEXt", b"zTXt") and start.startswith(_RAW_KEY):
                texts.append(data[part])
    for text in texts[:1]:
        yield _EXIF, _raw(text[len(_RAW_KEY) :])


def _raw(text: bytes) -> bytes:
    """The bytes that stand as digits behind a line end, a name and a length; maybe compressed."""
    if text.startswith(b"\0"):  # the method of compression
        text = zlib.decompressobj().decompress(text[1:], _LONGEST_RAW)
    return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))


def _text(content: bytes) -> bytes:
    """Of an iTXt chunk: behind its keyword, two bytes of compression, and two more texts."""
    packed, rest = content[len(_XMP_KEY)], content[len(_XMP_KEY) + 2 :]
    text = rest.split(b"\0", 2)[2]
    return zlib.decompressobj().decompress(text, LARGEST_XMP) if packed else text


def _of_jpeg2000(image: Image.Image, path: Path) -> Iterator[tuple[str, bytes | None]]:
    facts = boxes.jpeg2000_facts(path.read_bytes())
    yield _EXIF, facts.exif
    yield _XMP, facts.xmp


def _of_psd(image: Any, path: Path) -> Iterator[tuple[str, bytes | None]]:
    for number, _, content in image.resources:
        if number in _BLOCKS:
            yield _BLOCKS[number], content


_OF = {"PNG": _of_png, "JPEG2000": _of_jpeg2000, "PSD": _of_psd}
