"""Animated PNG: its chunks, and frames laid over each other as the specification says.

Pillow unpacks the pixels. It would cut 16 bits to 8, and fill with black what is cleared in a file
whose own pixels are opaque.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ccsr.image.modes import Levels, highest, with_channels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CLEAR, _RESTORE = 1, 2  # what becomes of a frame when its time is over
_OVER = 1  # a frame lies over what is there
_COMMON = (b"PLTE", b"tRNS")
COLOUR, ALPHA = 2, 4  # bits of the second byte of `Animation.kind`


@dataclass(frozen=True)
class Frame:
    """A frame as it is stored.

    Attributes:
        box: left, top, width and height on the canvas.
        duration: milliseconds.
        disposal: what becomes of it when its time is over.
        blend: how it is laid over what is there.
        packed: the parts of its pixels.
    """

    box: tuple[int, int, int, int]
    duration: float
    disposal: int
    blend: int
    packed: list[bytes] = field(default_factory=list)


@dataclass
class Animation:
    """What a file holds.

    Attributes:
        size: (h, w) of the canvas.
        kind: depth and all else of the header that frames have in common.
        common: chunks that they have in common.
        frames: in their order.
        loop: how often it is shown; 0 for ever.
    """

    size: tuple[int, int]
    kind: bytes
    common: bytes = b""
    frames: list[Frame] = field(default_factory=list)
    loop: int = 0


def parse(data: bytes) -> Animation:
    """Take a file apart without unpacking its pixels.

    Raises:
        OSError: if it is damaged or truncated.
    """
    try:
        return _parsed(data)
    except (IndexError, struct.error) as error:
        raise OSError("image file is truncated") from error


def shown(animation: Animation, decode: Callable[[bytes], Levels]) -> Iterator[Levels]:
    """What each frame shows, (h, w, 4): nothing where nothing was drawn.

    Args:
        animation: taken apart.
        decode: gives the levels (h, w, C) of a PNG of a single picture.

    Raises:
        OSError: if it is damaged.
    """
    canvas: Levels | None = None
    for number, frame in enumerate(animation.frames):
        left, top, width, height = frame.box
        values = with_channels(decode(_single(animation, frame)), colour=True, alpha=True)
        if canvas is None:
            canvas = np.zeros((*animation.size, 4), values.dtype)
        part = canvas[top : top + height, left : left + width]
        restored = frame.disposal == _RESTORE and number > 0
        before = part.copy() if restored else None
        part[:] = _over(values, part) if frame.blend == _OVER else values
        yield canvas.copy()
        if before is not None:
            part[:] = before
        elif frame.disposal in (_CLEAR, _RESTORE):
            part[:] = 0


def _over(values: Levels, behind: Levels) -> Levels:
    """Levels with alpha over others (PNG specification, 13.16)."""
    most = highest(values)
    alpha, below = values[..., 3:] / most, behind[..., 3:] / most
    rest = below * (1 - alpha)
    whole = alpha + rest
    mixed = (values[..., :3] * alpha + behind[..., :3] * rest) / np.where(whole > 0, whole, 1)
    mixed = np.where(whole > 0, mixed, values[..., :3])
    result = np.concatenate((mixed, whole * most), axis=2)
    return np.asarray((result + 0.5).clip(0, most).astype(values.dtype))


def _single(animation: Animation, frame: Frame) -> bytes:
    _, _, width, height = frame.box
    header = _chunk(b"IHDR", struct.pack(">II", width, height) + animation.kind)
    pixels = b"".join(_chunk(b"IDAT", part) for part in frame.packed)
    return _SIGNATURE + header + animation.common + pixels + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _parsed(data: bytes) -> Animation:
    width, height = struct.unpack_from(">II", data, 16)
    animation = Animation((height, width), data[24:29])
    expected = 0
    for kind, content in _chunks(data):
        if kind in _COMMON:
            animation.common += _chunk(kind, content)
        elif kind == b"acTL" and not animation.frames:
            expected, animation.loop = struct.unpack_from(">II", content)
        elif kind == b"fcTL":
            animation.frames.append(_frame(content, animation.size))
        elif kind == b"IDAT" and animation.frames:  # else a picture for viewers without animation
            animation.frames[-1].packed.append(content)
        elif kind == b"fdAT" and animation.frames:
            animation.frames[-1].packed.append(content[4:])
    if len(animation.frames) < expected or not animation.frames:
        raise OSError("image file is truncated")
    return animation


def _frame(content: bytes, size: tuple[int, int]) -> Frame:
    width, height, left, top, delay, unit = struct.unpack_from(">4x4I2H", content)
    if not (width and height) or left + width > size[1] or top + height > size[0]:
        raise OSError("image file is damaged: a frame lies outside of the picture")
    duration = 1000 * delay / (unit or 100)
    return Frame((left, top, width, height), duration, content[24], content[25])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to the end."""
    position = len(_SIGNATURE)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        (check,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(content, zlib.crc32(kind)) != check:
            raise OSError("image file is damaged: a checksum is wrong")
        if kind == b"IEND":
            return
        yield kind, content
        position += 12 + length
