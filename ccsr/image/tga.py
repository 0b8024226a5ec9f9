"""TGA: whether the fourth channel is transparency, which Pillow always takes it for."""

import os
from pathlib import Path
from typing import BinaryIO

from ccsr.image.modes import Levels, unmultiplied

_SIGNATURE = b"TRUEVISION-XFILE.\0"
FOOTER = 26  # bytes: where the extension area is, and a signature
_KIND = 494  # bytes into it: what the fourth channel is
_NONE, _UNDEFINED, _MULTIPLIED = 0, 1, 4


def told(values: Levels, path: Path) -> Levels:
    """Levels with alpha as the file means it, or without (Truevision TGA 2.0, fields 5.6 and 24).

    Many programs store a fourth byte and nothing in it: where the header counts no bits of alpha
    and all of it is 0, there is none.
    """
    if values.shape[2] not in (2, 4):
        return values
    with path.open("rb") as file:
        head = file.read(18)
        kind = _kind(file)
    if kind == _MULTIPLIED:
        return unmultiplied(values)
    bits = head[7] if head[1] else head[16]  # of a colour
    uncounted = kind is None and not head[17] & 15
    few = bits == 16 and values.shape[2] == 4  # one of which is alpha, or nothing
    none = kind in (_NONE, _UNDEFINED) or (uncounted and (few or not values[..., -1].any()))
    return values[..., :-1] if none else values


def _kind(file: BinaryIO) -> int | None:
    """What the extension area says of the fourth channel; None where there is no such area."""
    if file.seek(0, os.SEEK_END) < FOOTER:
        return None
    file.seek(-FOOTER, os.SEEK_END)
    footer = file.read(FOOTER)
    place = int.from_bytes(footer[:4], "little")
    if not place or not footer.endswith(_SIGNATURE):
        return None
    file.seek(place + _KIND)
    told = file.read(1)
    return told[0] if told else None
