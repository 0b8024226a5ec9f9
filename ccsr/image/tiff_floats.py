"""The predictor of floats in TIFF (technical note 3): bytes of one weight side by side.

The signs and exponents of neighbours are much alike, and so are their highest digits: each byte is
stored as its difference to that of the sample on the left.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

PREDICTOR = 3
_DEFLATE = (8, 32946)


def predicted(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Bytes (rows, bytes of a row) of floats (rows, width, channels)."""
    rows, width, channels = values.shape
    big = np.ascontiguousarray(values, values.dtype.newbyteorder(">")).view(np.uint8)
    planes = big.reshape(rows, width * channels, values.itemsize).swapaxes(1, 2)
    plain = planes.reshape(rows, -1)
    difference = plain.copy()
    difference[:, channels:] -= plain[:, :-channels]
    return difference


def restored(data: bytes, width: int, channels: int, itemsize: int) -> NDArray[Any]:
    """The inverse: floats (rows, width, channels).

    Raises:
        ValueError: if the bytes are no whole rows.
    """
    count = width * channels
    steps = np.frombuffer(data, np.uint8).reshape(-1, count * itemsize // channels, channels)
    planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(-1, itemsize, count)
    big = np.ascontiguousarray(planes.swapaxes(1, 2))
    return big.view(f">f{itemsize}").reshape(-1, width, channels)


def read(page: tifffile.TiffPage) -> NDArray[Any]:
    """Floats (h, w, samples) of a page with this predictor.

    Raises:
        ValueError: if it is damaged, or its compression needs another package.
    """
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    planes = samples if page.planarconfig == 2 else 1
    itemsize = int(page.bitspersample) // 8
    values = np.empty((planes, height, width, samples // planes), f"f{itemsize}")
    decompress = _decompressor(int(page.compression))
    for place, data in _segments(page, planes):
        plane, rows, columns = place
        across = page.tilewidth if page.is_tiled else width
        part = restored(decompress(data), across, samples // planes, itemsize)
        room = values[plane, rows, columns]
        if len(part) < len(room):
            raise ValueError("image file is truncated")
        room[:] = part[: room.shape[0], : room.shape[1]]
    return values[0] if planes == 1 else np.moveaxis(values[..., 0], 0, 2)


def _segments(
    page: tifffile.TiffPage, planes: int
) -> Iterator[tuple[tuple[int, slice, slice], bytes]]:
    """Where each strip or tile lies, and its bytes."""
    down = page.tilelength if page.is_tiled else page.rowsperstrip
    across = page.tilewidth if page.is_tiled else page.imagewidth
    places = [
        (plane, slice(top, top + down), slice(left, left + across))
        for plane in range(planes)
        for top in range(0, page.imagelength, down)
        for left in range(0, page.imagewidth, across)
    ]
    counts = page.databytecounts
    if len(counts) != len(places) or len(page.dataoffsets) != len(places):
        raise ValueError("image file is damaged: it lacks strips or tiles")
    handle = page.parent.filehandle
    for place, offset, count in zip(places, page.dataoffsets, counts, strict=True):
        handle.seek(offset)
        yield place, handle.read(count)


def _decompressor(compression: int) -> Callable[[bytes], bytes]:
    if compression in _DEFLATE:
        return zlib.decompress
    decode: Callable[[bytes], bytes] = tifffile.TIFF.DECOMPRESSORS[compression]
    return decode
