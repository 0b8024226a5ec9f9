"""Between levels and linear light of sRGB's primaries, as the ICC profile of a picture says it.

Profiles of a matrix and curves (ICC.1:2022, 8.3) are taken, or of one curve for grey. Curves go on
beyond black and white, and are odd: floats may lie there.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccsr.image.profiles import SRGB_COLUMNS

Array = NDArray[np.float32]
_KINDS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}  # of formulas, with the number of their parameters
_SRGB = 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045  # IEC 61966-2-1
_OTHERS = (KeyError, struct.error, ValueError, IndexError, ZeroDivisionError)
_GRID = 1 << 16  # levels of a curve that is inverted
_SAME = 3e-4  # between colorants: profiles round them


def linear_light(colour: Array, profile: bytes | None) -> Array | None:
    """Light of float levels (h, w, 1 or 3), 1 for white; None if the profile is of another kind.

    Args:
        colour: without alpha.
        profile: ICC bytes; None for sRGB.
    """
    grey = colour.shape[2] == 1
    try:
        if not profile:
            return _srgb_light(colour)
        tags = _tags(profile)
        names = (b"kTRC",) if grey else (b"rTRC", b"gTRC", b"bTRC")
        light = np.stack([_light(colour[..., i], tags[n]) for i, n in enumerate(names)], axis=-1)
        if grey:
            return light
        columns = np.stack([_xyz(tags[b"%cXYZ" % c]) for c in b"rgb"], axis=1)
    except _OTHERS:
        return None
    if np.abs(columns - SRGB_COLUMNS).max() < _SAME:
        return light
    matrix = np.linalg.solve(SRGB_COLUMNS, columns).astype(np.float32)
    return np.asarray(light @ matrix.T)


def _srgb_light(colour: Array) -> Array:
    light = np.copysign(_power_and_line(np.abs(colour), *_SRGB), colour)
    return np.asarray(light, np.float32)


def levels_of(colour: Array, profile: bytes) -> Array | None:
    """Levels in a profile that look as levels of sRGB do, cut to [0, 1]; None if of another kind.

    Args:
        colour: floats (1 or 3), for a profile of grey or of colour.
        profile: ICC bytes.
    """
    light = _srgb_light(colour).astype(np.float64)
    grid = np.linspace(0, 1, _GRID, dtype=np.float32)
    try:
        tags = _tags(profile)
        names = (b"kTRC",) if len(colour) == 1 else (b"rTRC", b"gTRC", b"bTRC")
        curves = [_light(grid, tags[name]) for name in names]
        if len(colour) == 3:
            columns = np.stack([_xyz(tags[b"%cXYZ" % c]) for c in b"rgb"], axis=1)
            light = np.asarray(np.linalg.solve(columns, SRGB_COLUMNS @ light), np.float64)
    except _OTHERS:
        return None
    found = [np.interp(each, curve, grid) for each, curve in zip(light, curves, strict=True)]
    return np.array(found, np.float32)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = min(int.from_bytes(profile[128:132], "big"), 200)
    table = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    return {name: profile[at : at + size] for name, at, size in table}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack(">3i", tag[8:20])) / 65536


def _light(levels: Array, tag: bytes) -> Array:
    size = np.abs(levels)
    if tag[:4] == b"curv":
        light = _sampled(size, tag)
    elif tag[:4] == b"para":
        light = _formula(size, tag)
    else:
        raise ValueError(f"no curve: {tag[:4]!r}")
    return np.asarray(np.copysign(light, levels), np.float32)


def _sampled(levels: Array, tag: bytes) -> NDArray[Any]:
    (count,) = struct.unpack(">I", tag[8:12])
    if count == 0:
        return levels
    samples = np.frombuffer(tag, ">u2", count, offset=12)
    if count == 1:
        return levels ** np.float32(samples[0] / 256)
    inside = np.interp(levels, np.linspace(0, 1, count), samples / 65535)
    return np.where(levels > 1, levels * inside, inside)  # a table ends at white


def _formula(levels: Array, tag: bytes) -> NDArray[Any]:
    (kind,) = struct.unpack(">H", tag[8:10])
    count = _KINDS[kind]
    numbers = [n / 65536 for n in struct.unpack(f">{count}i", tag[12 : 12 + 4 * count])]
    if kind == 0:
        return levels if numbers[0] == 1 else levels ** np.float32(numbers[0])
    if kind in (1, 2):  # a power from where it is 0, and nothing but an offset before
        g, a, b, *offset = numbers
        numbers = [g, a, b, 0.0, -b / a, *offset, *offset]
    return _power_and_line(levels, *numbers)


def _power_and_line(
    x: Array, g: float, a: float, b: float, c: float, d: float, e: float = 0.0, f: float = 0.0
) -> NDArray[Any]:
    """The last formula of ICC.1:2022, 10.18: a power from `d` on, a line near black."""
    return np.where(x >= d, np.maximum(a * x + b, 0) ** np.float32(g) + e, c * x + f)
