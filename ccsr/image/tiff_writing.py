"""The one writer of TIFF: pages that are there, or come in strips while they are computed.

Every page is deflated, and has its profile, EXIF, XMP and resolution. Pillow writes the
directories: tifffile, which reads here, writes none of EXIF.
"""

import math
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, TiffTags

from ccsr.image import tiff_floats
from ccsr.image.metadata import NOTHING, Metadata, as_stored
from ccsr.image.modes import Levels

Directory = TiffImagePlugin.ImageFileDirectory_v2

LARGEST = 3_900_000_000  # bytes that offsets of 32 bit reach, with room for the directories
_HEADER = b"II*\0\0\0\0\0"
_BIG_HEADER = b"II+\0\x08\0\0\0" + bytes(8)
_STRIP = 1 << 20  # bytes that are compressed at a time
_WORKERS = os.cpu_count() or 1
_BITS, _XMP = 258, 700


class Page(NamedTuple):
    """One picture of a file.

    Attributes:
        shape: (H, W, C).
        dtype: uint8, uint16 or float32.
        parts: its levels (rows, W, C) from top to bottom, in pieces of any height.
        metadata: what is said about it; the profile is written where it fits.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    parts: Iterable[Levels]
    metadata: Metadata = NOTHING

    @classmethod
    def of(cls, values: Levels, metadata: Metadata = NOTHING) -> "Page":
        """A page whose levels (H, W, C) are there."""
        height, width, channels = values.shape
        return cls((height, width, channels), values.dtype, (values,), metadata)

    @property
    def rows(self) -> int:
        """Of a strip in the file."""
        return max(1, _STRIP // (math.prod(self.shape[1:]) * self.dtype.itemsize))

    @property
    def strips(self) -> int:
        """Their number in the file."""
        return -(-self.shape[0] // self.rows)


def write(path: Path, pages: Sequence[Page]) -> None:
    """Write pages, one strip after the other.

    Args:
        path: of the new file. Its offsets have 64 bits if it may need them.
        pages: their parts are asked for in their order, and not kept.

    Raises:
        ValueError: if the parts of a page are not all of its rows.
    """
    size = sum(math.prod(page.shape) * page.dtype.itemsize for page in pages)
    header = _BIG_HEADER if size > LARGEST else _HEADER
    with path.open("wb") as file, ThreadPoolExecutor(_WORKERS, "ccsr-tiff") as workers:
        file.write(header)
        link = len(header) // 2  # where the offset of the next directory stands
        for page in pages:
            directory = _directory(page, header)
            start = file.tell()
            file.write(directory.tobytes(start))  # as long as it will be
            counts = [file.write(strip) for strip in _deflated(page, workers)]
            if len(counts) != page.strips:
                raise ValueError(
                    f"expected {page.shape[0]} rows in {page.strips} strips, got {len(counts)} "
                    f"strip{'s' * (len(counts) != 1)}: the parts of the page are too few or many"
                )
            file.write(bytes(file.tell() % 2))
            end = file.tell()
            _place(directory, counts)
            file.seek(start)
            file.write(directory.tobytes(start))
            file.seek(link)
            file.write(struct.pack("<I" if header == _HEADER else "<Q", start))
            file.seek(end)
            entries = len(directory)
            link = start + (2 + 12 * entries if header == _HEADER else 8 + 20 * entries)


def _deflated(page: Page, workers: ThreadPoolExecutor) -> Iterator[bytes]:
    """The strips of the file, compressed side by side; at most a few wait for their turn."""
    waiting: deque[Future[bytes]] = deque()
    for strip in _strips(page):
        waiting.append(workers.submit(_deflate, strip))
        if len(waiting) > _WORKERS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _strips(page: Page) -> Iterator[Levels]:
    rest = np.empty((0, *page.shape[1:]), page.dtype)
    for part in page.parts:
        part = np.concatenate((rest, part)) if len(rest) else part
        whole = len(part) - len(part) % page.rows
        for top in range(0, whole, page.rows):
            yield part[top : top + page.rows]
        rest = part[whole:]
    if len(rest):
        yield rest


def _deflate(strip: NDArray[Any]) -> bytes:
    """Each sample as its difference to the one on the left (TIFF 6.0, section 14), or so floats."""
    if strip.dtype == np.float32:
        return zlib.compress(tiff_floats.predicted(strip).data)
    difference = strip.copy()
    difference[:, 1:] -= strip[:, :-1]
    return zlib.compress(difference.astype(strip.dtype.newbyteorder("<"), copy=False).data)


def _directory(page: Page, header: bytes) -> Directory:
    height, width, channels = page.shape
    directory = Directory(header)
    for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS):
        directory.tagtype[tag] = TiffTags.LONG if header == _HEADER else TiffTags.LONG8
    directory.update(
        {
            TiffImagePlugin.IMAGEWIDTH: width,
            TiffImagePlugin.IMAGELENGTH: height,
            _BITS: (8 * page.dtype.itemsize,) * channels,
            TiffImagePlugin.COMPRESSION: 8,
            TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: 1 if channels < 3 else 2,
            TiffImagePlugin.SAMPLESPERPIXEL: channels,
            TiffImagePlugin.ROWSPERSTRIP: page.rows,
            TiffImagePlugin.PLANAR_CONFIGURATION: 1,
            TiffImagePlugin.PREDICTOR: 2,
        }
    )
    if page.dtype == np.float32:
        directory[TiffImagePlugin.PREDICTOR] = tiff_floats.PREDICTOR
        directory[TiffImagePlugin.SAMPLEFORMAT] = (3,) * channels
    if channels in (2, 4):
        directory[TiffImagePlugin.EXTRASAMPLES] = (2,)  # alpha that is not multiplied in
    _place(directory, [0] * page.strips)
    _describe(directory, page.metadata.fitting(channels))
    return directory


def _place(directory: Directory, counts: Sequence[int]) -> None:
    """Say how long the strips are, and where they lie: behind the directory."""
    offsets = np.cumsum([0, *counts[:-1]], dtype=np.int64).tolist()
    directory[TiffImagePlugin.STRIPOFFSETS] = tuple(offsets)
    directory[TiffImagePlugin.STRIPBYTECOUNTS] = tuple(counts)


def _describe(directory: Directory, metadata: Metadata) -> None:
    if metadata.exif:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag in exif:
            within = tag in TiffTags.TAGS_V2_GROUPS
            directory[tag] = as_stored(exif.get_ifd(tag) if within else exif[tag])
    if metadata.dpi:
        directory[TiffImagePlugin.RESOLUTION_UNIT] = 2
        directory[TiffImagePlugin.X_RESOLUTION], directory[TiffImagePlugin.Y_RESOLUTION] = (
            metadata.dpi
        )
    if metadata.profile:
        directory[TiffImagePlugin.ICCPROFILE] = metadata.profile
    if metadata.xmp:
        directory.tagtype[_XMP] = TiffTags.BYTE
        directory[_XMP] = metadata.xmp
