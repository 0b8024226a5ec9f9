"""PNG of 16 bits per channel, which Pillow writes for grey only."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ccsr.image.metadata import Metadata, save_options
from ccsr.image.modes import Levels

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_PORTION = 1 << 22  # bytes that are compressed at a time


def write(path: Path, values: Levels, metadata: Metadata) -> None:
    """Write levels (h, w, C), uint16, with the descriptions that Pillow would write."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", header)
        for kind, content in _ancillary_chunks(metadata, channels):
            _write_chunk(file, kind, content)
        for content in _compressed(values):
            _write_chunk(file, b"IDAT", content)
        _write_chunk(file, b"IEND", b"")


def _ancillary_chunks(metadata: Metadata, channels: int) -> Iterator[tuple[bytes, bytes]]:
    mode = "L" if channels < 3 else "RGB"
    buffer = io.BytesIO()
    Image.new(mode, (1, 1)).save(buffer, "PNG", **save_options(metadata, "PNG"))
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
    rows = max(1, _PORTION // (width * step))
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
