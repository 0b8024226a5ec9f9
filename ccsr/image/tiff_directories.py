"""The chain of directories in a TIFF, walked once and without a look at what they hold."""

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ccsr.image.limits import check_frames

_SUBFILE_TYPE = 254  # the lowest tag there is, so the first
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


def are_reduced(path: Path, places: Iterable[int]) -> bool:
    """Whether the directories at these places are all of reduced copies, by their first entry.

    Raises:
        struct.error: if they lie outside the file.
    """
    with path.open("rb") as file:
        layout = _layout(file)
        return all(_is_reduced(file, layout, place) for place in places)


def _is_reduced(file: BinaryIO, layout: _Layout, place: int) -> bool:
    file.seek(place)
    _number(file, layout.number)
    order = layout.link[0]
    tag, _ = struct.unpack(f"{order}HH", file.read(4))
    _number(file, layout.link)  # how many values there are, in as many bytes as a link has
    return tag == _SUBFILE_TYPE and bool(_number(file, f"{order}I") & 1)


def _layout(file: BinaryIO) -> _Layout:
    """The layout of an opened file, which stands before its first link then."""
    start = file.read(4)
    order = "<" if start[:1] == b"I" else ">"
    if b"+" in start:
        file.read(4)
        return _Layout(f"{order}Q", 20, f"{order}Q")
    return _Layout(f"{order}H", 12, f"{order}I")


def _walk(file: BinaryIO, size: int) -> set[int]:
    layout = _layout(file)
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
