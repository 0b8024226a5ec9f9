"""What tests of picture files are made of, and look at."""

import struct
import zlib
from pathlib import Path

import numpy as np

from ccsr import image


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def only(path: Path) -> np.ndarray:
    """The levels (h, w, C) of a file that has one frame."""
    (frame,) = image.read(path).frames
    return frame


def left(tmp_path: Path, name: str, data: bytes) -> tuple[str, ...]:
    """What is said to be dropped of a file with these bytes."""
    (tmp_path / name).write_bytes(data)
    return image.read(tmp_path / name).dropped
