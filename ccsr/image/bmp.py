"""BMP: what headers of version 4 and 5 tell of colours and transparency, and Pillow does not."""

import struct
from pathlib import Path

import numpy as np

from ccsr.image import profiles
from ccsr.image.profiles import Colours

_INFO = 14  # where the header of the picture begins, behind that of the file
_FOURTH, _FIFTH = 108, 124  # bytes of that header by version
_EMBEDDED = b"DEBM"  # a profile in the file, little-endian


def colours(path: Path) -> tuple[Colours | None, bytes | None]:
    """What primaries and gammas say, or a profile in the file; neither for sRGB."""
    with path.open("rb") as file:
        head = file.read(_INFO + _FIFTH)
        (size,) = struct.unpack_from("<I", head, _INFO)
        if size < _FOURTH:
            return None, None
        space = head[_INFO + 56 : _INFO + 60]
        if space == _EMBEDDED and size >= _FIFTH:
            start, length = struct.unpack_from("<II", head, _INFO + 112)
            file.seek(_INFO + start)
            return None, file.read(length)
    if space != bytes(4):
        return None, None
    points = [number / (1 << 30) for number in struct.unpack_from("<9I", head, _INFO + 60)]
    gamma = struct.unpack_from("<I", head, _INFO + 96)[0] / 65536
    whole = [sum(points[i : i + 3]) for i in (0, 3, 6)]
    if not all(whole) or not gamma:
        return None, None
    # the white is that of all three together, as far as it is told at all
    white = sum(points[0::3]) / sum(points), sum(points[1::3]) / sum(points)
    primaries = [points[3 * i + k] / whole[i] for i in range(3) for k in range(2)]
    return profiles.of_gamma(1 / gamma, (*white, *primaries)), None


def loses_alpha(path: Path, size: tuple[int, int]) -> bool:
    """Whether pixels of 16 bits, of which Pillow reads colours only, have differing transparency.

    Args:
        path: of the file.
        size: (width, height).
    """
    with path.open("rb") as file:
        head = file.read(_INFO + _FOURTH)
        (length,) = struct.unpack_from("<I", head, _INFO)
        if length < _FOURTH or head[_INFO + 14] != 16:
            return False
        (mask,) = struct.unpack_from("<I", head, _INFO + 52)
        file.seek(struct.unpack_from("<I", head, 10)[0])
        row = (size[0] + 1) // 2 * 4  # bytes
        values = np.frombuffer(file.read(row * size[1]), "<u2").reshape(-1, row // 2)
    alpha = values[:, : size[0]] & mask
    return bool(alpha.min() != alpha.max())
