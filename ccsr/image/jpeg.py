"""JPEG: its segments and scans, of which Pillow does not tell all."""

import re
from collections.abc import Iterator
from pathlib import Path

START = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)  # none stands alone or in a scan
_SCAN, _END = 0xDA, 0xD9
_TABLES = {0xC4, 0xC8, 0xCC}  # among the markers of frames
_LOSSLESS, _PARTS = {0xC3, 0xC7, 0xCB, 0xCF}, {0xC5, 0xC6, 0xCD, 0xCE}
# Each takes a look at all pixels; encoders that try everything make fewer than 20.
_MOST_SCANS = 100


def check(path: Path) -> None:
    """See that a file can be decoded, and in a time that its size lets expect.

    Raises:
        OSError: if not.
    """
    data = path.read_bytes()
    if problem := unread(data):
        raise OSError(problem)
    scans = sum(marker == _SCAN for marker, _ in _segments(data))
    if scans > _MOST_SCANS:
        raise OSError(
            f"it has {scans} scans, more than {_MOST_SCANS}, each of which takes the time of a "
            "whole picture: save it again by another program first"
        )


def unread(data: bytes) -> str:
    """Why nobody here decodes a file, for a person; empty if it is a usual one, or none."""
    what = ""
    for marker, start in _segments(data):
        if marker & 0xF0 != 0xC0 or marker in _TABLES:
            continue
        head = data[start : start + 8]
        if len(head) < 8:
            break
        bits, height, channels = head[2], head[3:5], head[7]
        if marker in _LOSSLESS:
            what = "without losses"
        elif marker in _PARTS:
            what = "in parts of several sizes"
        elif bits != 8:
            what = f"of {bits} bits per channel"
        elif height == b"\0\0":
            what = "that tells its height behind the pixels"
        elif channels not in (1, 3, 4):
            what = f"of {channels} channels"
        break
    return f"it is a JPEG {what}, which is not read: save it as a usual one first" if what else ""


def behind(data: bytes) -> bytes:
    """What follows the picture."""
    return next((data[place:] for marker, place in _segments(data) if marker == _END), b"")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers up to the picture's end, and where what belongs to them begins."""
    position = len(START) - 1
    while found := _MARKER.search(data, position):
        marker, start = data[found.end() - 1], found.end()
        yield marker, start
        if marker == _END:
            return
        position = start + max(2, int.from_bytes(data[start : start + 2], "big"))
