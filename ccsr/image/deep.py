"""16 bits per channel that Pillow cuts to 8: colour and alpha of PNG and TIFF, and PPM.

Pillow picks one byte of each 16-bit sample by the name of its raw mode. A second decoding under
the opposite byte order gives the other byte, and whatever compression, interlacing or predictor
a file has, Pillow undoes.
"""

import math
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from ccsr.image.modes import Levels, unmultiplied

_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_DEEP = {f"{mode};16{order}" for mode in ("RGB", "RGBA", "RGBX", "RGBa") for order in "LBN"}
_DEEP.add("LA;16B")
_COMMENT = re.compile(rb"#[^\r\n]*")


def is_deep(image: Image.Image) -> bool:
    """Whether the opened, not yet decoded `image` holds what `read` is for."""
    return _raw_mode(image) in _DEEP or _is_ppm(image)


def read(image: ImageFile, path: Path | BytesIO) -> Levels:
    """Levels (h, w, C) of `image`, opened from `path`, for which `is_deep` holds.

    Turned as `image` says by its EXIF orientation afterwards: Pillow turns some TIFF itself.

    Raises:
        OSError: if it is damaged, or stored in a way that no reader here knows.
    """
    if _is_ppm(image) and isinstance(path, Path):
        return _read_ppm(image, path)
    raw_mode = _raw_mode(image)
    key = image.info.pop("transparency", None)  # Pillow would compare it with 8-bit values
    if raw_mode == "LA;16B":
        pairs = _decode(image, "RGBA")  # high and low byte of grey and of alpha
        return np.ascontiguousarray(pairs).view(">u2").astype(np.uint16)
    plain, order = raw_mode[:-1].replace("a", "A"), raw_mode[-1]  # RGBa: divided byte by byte
    with type(image)(path) as again:
        again.seek(image.tell())
        again.info.pop("transparency", None)
        low = _decode(again, plain + _OTHER_ORDER[order])
    values: Levels = np.left_shift(_decode(image, plain + order), 8, dtype=np.uint16) | low
    if raw_mode.startswith("RGBa"):
        return unmultiplied(values)
    if isinstance(key, tuple):
        opaque = (values != np.array(key)).any(axis=-1, keepdims=True)
        values = np.concatenate((values, opaque.astype(np.uint16) * 65535), axis=-1)
    return values


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles and image.format in ("PNG", "TIFF") else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _decode(image: Any, raw_mode: str) -> NDArray[np.uint8]:
    """Pixels of an opened image as if it were stored in another raw mode."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]
    return np.asarray(image)


def _is_ppm(image: Any) -> bool:
    """Whether it is one of those that Pillow reads sample by sample, and to 8 bit."""
    if image.format != "PPM" or not image.tile:
        return False
    tile = image.tile[0]
    return bool(tile.codec_name == "ppm" or (tile.codec_name == "ppm_plain" and image.mode != "1"))


def _read_ppm(image: Any, path: Path) -> Levels:
    (tile,) = image.tile
    channels, highest = len(tile.args[0]), tile.args[1]
    shape = image.height, image.width, channels
    stored = np.dtype(">u2" if highest > 255 else "u1")
    if tile.codec_name == "ppm":
        values = np.fromfile(path, stored, math.prod(shape), offset=tile.offset)
    else:
        text = _COMMENT.sub(b" ", path.read_bytes()[tile.offset :])
        values = _numbers(text, highest)[: math.prod(shape)]
    if values.size < math.prod(shape):
        raise OSError("image file is truncated")
    largest = int(np.iinfo(stored).max)
    spread = np.minimum(values, highest).astype(np.uint32) * largest + highest // 2
    scaled: Levels = (spread // highest).astype(np.uint16 if highest > 255 else np.uint8)
    return scaled.reshape(shape)


def _numbers(text: bytes, highest: int) -> NDArray[np.int64]:
    try:
        values = np.fromstring(text, np.int64, sep=" ")
    except ValueError as error:
        raise OSError("it is damaged: something in it is no number") from error
    if values.size and not 0 <= values.min() <= values.max() <= highest:
        raise OSError(f"it is damaged: a level is not from 0 to {highest}")
    return values
