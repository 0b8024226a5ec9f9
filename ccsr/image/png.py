"""PNG, for all depths, on all processors: Pillow uses one, and writes 16 bits for grey only."""

import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ccsr.image.metadata import Metadata, save_options
from ccsr.image.modes import Levels
from ccsr.image.profiles import Code

END = b"IEND"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_PORTION = 1 << 18  # bytes that are compressed at a time: they stay in cache
_SAMPLE = 1 << 16  # bytes
_LEVEL = 6
_HEADER_END = 33  # of the signature and the first chunk
_PAETH = 4
_ADLER = 65521


def write(path: Path, values: Levels, metadata: Metadata) -> None:
    """Write levels (h, w, C), uint8 or uint16, with the descriptions that Pillow would write."""
    height, width, channels = values.shape
    header = struct.pack(
        ">IIBBBBB", width, height, 8 * values.itemsize, _COLOUR_TYPES[channels], 0, 0, 0
    )
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", header)
        if metadata.code:
            _write_chunk(file, b"cICP", _cicp(metadata.code))
        for kind, content in _ancillary_chunks(metadata, channels):
            _write_chunk(file, kind, content)
        for content in _compressed(values):
            _write_chunk(file, b"IDAT", content)
        _write_chunk(file, END, b"")


def with_code(data: bytes, code: Code) -> bytes:
    """The same file, without code points before, with them (the PNG specification's cICP)."""
    chunk = BytesIO()
    _write_chunk(chunk, b"cICP", _cicp(code))
    return data[:_HEADER_END] + chunk.getvalue() + data[_HEADER_END:]


def chunks(data: bytes | mmap) -> Iterator[tuple[bytes, bytes, slice]]:
    """Kinds of a PNG's chunks up to its end, what the short ones hold, and where the content is."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        start = place + 8
        yield kind, data[start : start + min(length, 64)], slice(start, start + length)
        if kind == END:
            return
        place = start + length + 4


@contextmanager
def mapped(path: Path) -> Iterator[mmap]:
    """The bytes of a file, of which only those that are looked at are read."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        yield data


def _cicp(code: Code) -> bytes:
    return bytes((*code, 0, 1))  # RGB, all levels


def _ancillary_chunks(metadata: Metadata, channels: int) -> Iterator[tuple[bytes, bytes]]:
    mode = "L" if channels < 3 else "RGB"
    buffer = BytesIO()
    Image.new(mode, (1, 1)).save(buffer, "PNG", **save_options(metadata, "PNG")[0])
    content = buffer.getvalue()
    position = 8
    while position < len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        if kind not in (b"IHDR", b"IDAT", END):
            yield kind, content[position + 8 : position + 8 + length]
        position += 12 + length


def _write_chunk(file: BufferedIOBase, kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(kind + content)))


def _compressed(values: Levels) -> Iterator[bytes]:
    """The zlib stream: strips of rows, deflated side by side, each ending on a whole byte."""
    height = len(values)
    rows = max(1, _PORTION // max(1, values[0].nbytes))
    strategy = _strategy(_filtered(values, height // 2, min(height // 2 + rows, height)))

    def deflated(top: int) -> tuple[bytes, int, int]:
        plain = _filtered(values, top, min(top + rows, height))
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, 9, strategy)
        end = zlib.Z_FINISH if top + rows >= height else zlib.Z_SYNC_FLUSH
        packed = packer.compress(plain) + packer.flush(end)
        return packed, zlib.adler32(plain), len(plain)

    checksum = 1
    yield b"\x78\x9c"
    with ThreadPoolExecutor(os.cpu_count(), "ccsr-png") as workers:
        for packed, sum_of_part, length in workers.map(deflated, range(0, height, rows)):
            checksum = _joined(checksum, sum_of_part, length)
            yield packed
    yield checksum.to_bytes(4, "big")


def _strategy(plain: bytes) -> int:
    """What deflate should look for, judged by a part of the picture.

    Differences of photos repeat little besides runs: to look for those alone takes a third of
    the time, and the files are smaller. Graphics do repeat.
    """
    sample = plain[:_SAMPLE]

    def size(strategy: int) -> int:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, 9, strategy)
        return len(packer.compress(sample) + packer.flush())

    runs, all_repeats = size(zlib.Z_RLE), size(zlib.Z_DEFAULT_STRATEGY)
    return zlib.Z_RLE if runs < 1.05 * all_repeats else zlib.Z_DEFAULT_STRATEGY


def _joined(first: int, second: int, length: int) -> int:
    """The Adler-32 of two parts together, from their own and the length of the second."""
    low, high = first & 0xFFFF, first >> 16
    high += (second >> 16) + (low - 1) * length
    low += (second & 0xFFFF) - 1
    return high % _ADLER << 16 | low % _ADLER


def _filtered(values: Levels, top: int, bottom: int) -> bytes:
    """Bytes of rows, each as its difference to Paeth's prediction (PNG specification, 9.4).

    That is the nearest to left + above - corner of these three; the corner only lies nearest if
    it lies between the others.
    """
    width, channels = values.shape[1:]
    step = values.itemsize * channels
    part = values[max(top - 1, 0) : bottom].astype(values.dtype.newbyteorder(">"))
    known = np.zeros((bottom - top + 1, step + step * width), np.uint8)
    known[-len(part) :, step:] = part.view(np.uint8).reshape(len(part), -1)
    here, left, above, corner = (
        known[1:, step:],
        known[1:, :-step],
        known[:-1, step:],
        known[:-1, :-step],
    )
    to_left, to_above = _distance(above, corner), _distance(left, corner)
    nearest = np.where(to_left <= to_above, left, above)
    between = (corner >= np.minimum(left, above)) & (corner <= np.maximum(left, above))
    to_corner = _distance(to_left, to_above)
    between &= to_corner < np.minimum(to_left, to_above)
    np.copyto(nearest, corner, where=between)
    rows = np.full((len(here), 1 + here.shape[1]), _PAETH, np.uint8)
    np.subtract(here, nearest, out=rows[:, 1:])
    return rows.tobytes()


def _distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.maximum(a, b) - np.minimum(a, b)
