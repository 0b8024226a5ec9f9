"""Windows icons: Pillow decodes one of their pictures when it only opens the file."""

import struct
from pathlib import Path

_START = b"\0\0\1\0"
_PNG = b"\x89PNG\r\n\x1a\n"


def largest(path: Path) -> int:
    """Pixels of the largest picture in an icon, by the pictures' own headers; 0 for other files.

    The icon's directory cannot say more than 256x256, and may say less than is true.
    """
    with path.open("rb") as file:
        start = file.read(6)
        if start[:4] != _START or len(start) < 6:
            return 0
        (count,) = struct.unpack_from("<H", start, 4)
        entries = file.read(16 * count)
        most = 0
        for (place,) in struct.iter_unpack("<12xI", entries[: len(entries) // 16 * 16]):
            file.seek(place)
            most = max(most, _pixels(file.read(24)))
    return most


def _pixels(head: bytes) -> int:
    if len(head) < 24:
        return 0
    if head.startswith(_PNG):
        width, height = struct.unpack_from(">II", head, 16)
        return int(width) * int(height)
    if head[:4] == struct.pack("<I", 12):  # the header of OS/2
        width, height = struct.unpack_from("<HH", head, 4)
    else:
        width, height = struct.unpack_from("<ii", head, 4)
    return abs(int(width)) * (abs(int(height)) // 2)  # a mask of the same size lies above
