"""EXIF that Pillow does not read, or not before the pixels: by it a picture is turned."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from ccsr.image import boxes, png

_PHOTOSHOP_BLOCK = 1058
_START = b"Exif\0\0"


def find(image: Image.Image, path: Path) -> None:
    """Put EXIF that Pillow does not read, or only with the pixels, into `image.info`.

    Args:
        image: opened, and not yet asked for its EXIF.
        path: of its file.
    """
    with suppress(Exception):  # hostile bytes: the pixels are what counts
        within = _OF.get(str(image.format))
        if within and (found := within(image, path)):
            image.info.setdefault("exif", _START + found.removeprefix(_START))


def _png_exif(image: Image.Image, path: Path) -> bytes | None:
    kinds = ((kind, at) for kind, _, at in png.chunks(path))
    place = next((at for kind, at in kinds if kind == b"eXIf"), None)
    if place is None:
        return None
    with path.open("rb") as file:
        file.seek(place)
        (length,) = struct.unpack(">I4x", file.read(8))
        return file.read(length)


def _jpeg2000_exif(image: Image.Image, path: Path) -> bytes | None:
    return boxes.jpeg2000_facts(path.read_bytes()).exif


def _psd_exif(image: Any, path: Path) -> bytes | None:
    blocks = (content for number, _, content in image.resources if number == _PHOTOSHOP_BLOCK)
    return next(blocks, None)


_OF = {"PNG": _png_exif, "JPEG2000": _jpeg2000_exif, "PSD": _psd_exif}
