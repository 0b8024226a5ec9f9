"""16 bits per channel: colour and alpha, which Pillow cuts to 8 bit, read and written whole.

Read: Pillow picks one byte of each 16-bit sample by the name of its raw mode. A second decoding
under the opposite byte order gives the other byte, and whatever compression, interlacing or
predictor a file has, Pillow undoes. What it cannot open so goes to tifffile.
Written: TIFF by tifffile; PNG here, with the ancillary chunks of a PNG that Pillow writes.
"""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from ccsr.metadata import Metadata, save_options
from ccsr.picture import Levels, Size

_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
_HEADER = b"II*\0\0\0\0\0"
_XMP_TAG = 700
_LARGEST_TIFF = 3_900_000_000  # bytes, with room for the directories below 4 GiB
_STRIP = 1 << 22  # bytes that are compressed at a time


def is_deep(image: Image.Image) -> bool:
    """Whether the opened, not yet decoded `image` holds 16-bit colour or alpha."""
    return _raw_mode(image) in _DEEP or _is_planar(image)


def read(image: Image.Image, path: Path) -> Levels:
    """Levels (h, w, C) of `image`, opened from `path`, for which `is_deep` holds.

    Turned as `image` says by its EXIF orientation afterwards: Pillow turns some TIFF itself.

    Raises:
        OSError: if it is damaged, or stored in a way that no reader here knows.
    """
    if _is_planar(image):
        return read_tiff(path, image.tell())[0]
    raw_mode = _raw_mode(image)
    key = image.info.get("transparency")
    image.info.pop("transparency", None)  # Pillow would compare it with 8-bit values
    if raw_mode == "LA;16B":
        pairs = _decode(path, image.tell(), "RGBA")  # high and low byte of grey and of alpha
        return np.ascontiguousarray(pairs).view(">u2").astype(np.uint16)
    plain, order = raw_mode[:-1].replace("a", "A"), raw_mode[-1]  # RGBa: divided byte by byte
    image.load()  # turns a TIFF, and its orientation with it
    high = _decode(path, image.tell(), plain + order)
    low = _decode(path, image.tell(), plain + _OTHER_ORDER[order])
    values: Levels = np.left_shift(high, 8, dtype=np.uint16) | low
    if raw_mode.startswith("RGBa"):
        return _unmultiplied(values)
    if isinstance(key, tuple):
        opaque = (values != np.array(key)).any(axis=-1, keepdims=True)
        values = np.concatenate((values, opaque.astype(np.uint16) * 65535), axis=-1)
    return values


def tiff_size(path: Path) -> tuple[Size, int]:
    """(h, w), upright, of the first page of a TIFF that Pillow cannot read, and its pages.

    Raises:
        ValueError: for a kind that `read_tiff` cannot read either.
    """
    with tifffile.TiffFile(path) as file:
        page = _rare_page(file, 0)
        size = page.imagelength, page.imagewidth
        turned_over = int(page.tags.valueof("Orientation", 1)) >= 5
        return size[::-1] if turned_over else size, len(file.pages)


def read_tiff(path: Path, number: int = 0) -> tuple[Levels, int]:
    """Levels of a page of a 16-bit TIFF that Pillow cannot read, and its EXIF orientation.

    Raises:
        ValueError: for another kind of TIFF.
    """
    with tifffile.TiffFile(path) as file:
        page = _rare_page(file, number)
        values = page.asarray()
        orientation = int(page.tags.valueof("Orientation", 1))
    if values.ndim == 2:
        values = values[..., None]
    elif page.planarconfig == 2:
        values = values.transpose(1, 2, 0)
    channels = 1 if page.photometric == 1 else 3
    extra = page.extrasamples[0] if page.extrasamples else 0
    values = np.ascontiguousarray(values[..., : channels + (extra in (1, 2))])
    return _unmultiplied(values) if extra == 1 else values, orientation


def _rare_page(file: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    page = file.pages[number]
    if (
        not isinstance(page, tifffile.TiffPage)
        or page.dtype != np.uint16
        or page.photometric not in (1, 2)
        or page.imagedepth != 1
    ):
        raise ValueError("a TIFF of a kind that is not known here: convert it to RGB first")
    return page


def write_tiff(path: Path, frames: tuple[Levels, ...], metadata: Metadata) -> None:
    """One page for each frame, 16 bit, deflated."""
    big = sum(frame.nbytes for frame in frames) > _LARGEST_TIFF
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<") as file:
        for values in frames:
            channels = values.shape[2]
            file.write(
                values[..., 0] if channels == 1 else values,
                photometric="minisblack" if channels < 3 else "rgb",
                planarconfig=None if channels == 1 else "contig",
                compression="zlib",
                predictor=True,
                rowsperstrip=max(1, _STRIP // max(1, values[:1].nbytes)),
                iccprofile=metadata.fitting(channels).profile,
                resolution=metadata.dpi,
                resolutionunit="INCH" if metadata.dpi else None,
                metadata=None,
                software=False,
                extratags=_extra_tags(metadata),
                extrasamples=["unassalpha"] if channels in (2, 4) else None,
            )
    _append_directories(path, metadata)


def write_png(path: Path, values: Levels, metadata: Metadata) -> None:
    """16 bit, with the descriptions that Pillow would write."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", header)
        for kind, content in _ancillary_chunks(metadata, channels):
            _write_chunk(file, kind, content)
        for content in _compressed(values):
            _write_chunk(file, b"IDAT", content)
        _write_chunk(file, b"IEND", b"")


_DEEP = {f"{mode};16{order}" for mode in ("RGB", "RGBA", "RGBX", "RGBa") for order in "LBN"}
_DEEP.add("LA;16B")


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles and image.format in ("PNG", "TIFF") else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _is_planar(image: Image.Image) -> bool:
    """Whether it is a TIFF whose 16-bit channels lie one after the other."""
    tags: Any = getattr(image, "tag_v2", {})
    samples = tags.get(258, ())
    return tags.get(284) == 2 and len(samples) > 1 and set(samples) == {16}


def _decode(path: Path, frame: int, raw_mode: str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        image.seek(frame)
        image.info.pop("transparency", None)
        image.tile = [
            tile._replace(args=_with_raw_mode(tile.args, raw_mode)) for tile in image.tile
        ]
        return np.asarray(image)


def _with_raw_mode(args: Any, raw_mode: str) -> Any:
    return (raw_mode, *args[1:]) if isinstance(args, tuple) else raw_mode


def _unmultiplied(values: Levels) -> Levels:
    alpha = values[..., -1:].astype(np.float64)
    colour = values[..., :-1] * (65535 / np.maximum(alpha, 1))
    return np.concatenate((np.minimum(colour + 0.5, 65535).astype(np.uint16), values[..., -1:]), -1)


def _extra_tags(metadata: Metadata) -> list[tuple[int, str, int, Any, bool]]:
    """Tags of the first directory; `_append_directories` fills in where the others are."""
    exif = metadata.directories()
    tags: list[tuple[int, str, int, Any, bool]] = [
        (tag, "s", 0, value, True) for tag, value in exif.base.items() if isinstance(value, str)
    ]
    tags += [(tag, "I", 1, 0, True) for tag in exif.others]
    if metadata.xmp:
        tags.append((_XMP_TAG, "B", len(metadata.xmp), metadata.xmp, True))
    return tags


def _append_directories(path: Path, metadata: Metadata) -> None:
    for tag, content in metadata.directories().others.items():
        offset = path.stat().st_size + path.stat().st_size % 2
        directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=_HEADER)
        directory.update(content)
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(directory.tobytes(offset))
        with tifffile.TiffFile(path, mode="r+") as tiff:
            tiff.pages.first.tags[tag].overwrite(offset)


def _ancillary_chunks(metadata: Metadata, channels: int) -> Iterator[tuple[bytes, bytes]]:
    mode = "L" if channels < 3 else "RGB"
    buffer = io.BytesIO()
    Image.new(mode, (1, 1)).save(buffer, "PNG", **save_options(metadata, "PNG", channels))
    content = buffer.getvalue()
    position = 8
    while position < len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            yield kind, content[position + 8 : position + 8 + length]
        position += 12 + length


def _write_chunk(file: io.BufferedWriter, kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(kind + content)))


def _compressed(values: Levels) -> Iterator[bytes]:
    """Deflated rows, each as its difference to the one above or to the left."""
    height, width, channels = values.shape
    step = 2 * channels
    packer = zlib.compressobj(6)
    rows = max(1, _STRIP // (width * step))
    above: NDArray[np.uint8] = np.zeros((1, width * step), np.uint8)
    for top in range(0, height, rows):
        part = np.ascontiguousarray(values[top : top + rows].astype(">u2"))
        plain = part.view(np.uint8).reshape(len(part), -1)
        up = plain - np.concatenate((above, plain[:-1]))
        left = plain.copy()
        left[:, step:] -= plain[:, :-step]
        smaller = _cost(left) < _cost(up)  # (rows, 1)
        filtered = np.where(smaller, left, up)
        kinds = np.where(smaller, 1, 2).astype(np.uint8)
        yield packer.compress(np.concatenate((kinds, filtered), axis=1).tobytes())
        above = plain[-1:]
    yield packer.flush()


def _cost(difference: NDArray[np.uint8]) -> NDArray[np.int64]:
    size: NDArray[np.int64] = np.abs(difference.view(np.int8).astype(np.int64))
    total: NDArray[np.int64] = size.sum(axis=1, keepdims=True)
    return total
