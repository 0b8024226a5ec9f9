"""The chain of directories in a TIFF, walked once and without a look at what they hold."""

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ccsr.image.limits import check_frames

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class _Layout(NamedTuple):
    """How directories are stored: the formats of two numbers, and the bytes of an entry."""

    number: str
    entry: int
    link: str


def count(path: Path) -> int:
    """Number of directories; a chain that comes back to one of them ends there.

    Raises:
        OSError: if they are too many, lie outside the file, or overlap: then a small file could
            take very long to read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            return len(_walk(file, size))
        except struct.error:
            raise OSError("image file is truncated") from None


def _walk(file: BinaryIO, size: int) -> set[int]:
    start = file.read(4)
    order = "<" if start[:1] == b"I" else ">"
    if b"+" in start:
        layout = _Layout(f"{order}Q", 20, f"{order}Q")
        file.read(4)
    else:
        layout = _Layout(f"{order}H", 12, f"{order}I")
    seen: set[int] = set()
    bytes_seen = 0
    place = _number(file, layout.link)
    while place and place not in seen:
        seen.add(place)
        check_frames(len(seen))
        if place >= size:
            raise OSError("image file is truncated")
        file.seek(place)
        entries = _number(file, layout.number)
        bytes_seen += entries * layout.entry
        if bytes_seen > size:
            raise OSError("the directories of its pages overlap or end too late: it is damaged")
        file.seek(entries * layout.entry, os.SEEK_CUR)
        place = _number(file, layout.link)
    return seen


def _number(file: BinaryIO, kind: str) -> int:
    (value,) = struct.unpack(kind, file.read(struct.calcsize(kind)))
    return int(value)
