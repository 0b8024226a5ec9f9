"""How a picture's file was compressed with losses, as its header tells."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ccsr.image.modes import Levels
from ccsr.image.traces import jpeg_quality, quality_of_table
from ccsr.plain import is_number

_JPEG = ("JPEG", "MPO")  # of which the second holds several, as phones write them
_TOLD = "_ccsr_coding"  # an attribute of a picture of Pillow
_HEADER = 512  # bytes of a frame that hold what is read here
_SEGMENTS = 4
_ABOUT = 3.0  # of quality: as far as pixels are off


@dataclass(frozen=True)
class Coding:
    """Compression with losses.

    Attributes:
        form: ``JPEG`` or ``WebP``.
        quality: 0 to 100 as the usual library counts, libjpeg (from 1) or libwebp.
    """

    form: str
    quality: float

    def __str__(self) -> str:
        return f"{self.form} of quality {self.quality:.0f}"


def coding(image: Image.Image) -> Coding | None:
    """How the file of an opened picture was compressed; None without losses, or if it does not say.

    Reads a few bytes of the file, and leaves its position as it was.
    """
    if image.format in _JPEG:
        table = getattr(image, "quantization", {}).get(0)
        return Coding("JPEG", quality_of_table(table)) if table and len(table) == 64 else None
    file = getattr(image, "fp", None)
    if image.format != "WEBP" or file is None:
        return None
    place = file.tell()
    try:
        frame = _vp8_frame(file)
        return Coding("WebP", _webp_quality(_quantisers(frame))) if frame else None
    finally:
        file.seek(place)


def coding_of_opened(image: Image.Image) -> Coding | None:
    """What :func:`coding` tells of a picture that a program has opened, and maybe used since.

    What is loaded may have been made smaller in its place, then its file tells nothing of it any
    more. So its file is looked at again, if it has a name. What was told is kept with the picture,
    whose file is closed once it is loaded, and holds while its size does.
    """
    if image.format not in (*_JPEG, "WEBP"):
        return None
    if not hasattr(image, _TOLD):
        setattr(image, _TOLD, (_of_opened(image), image.size))
    told, size = getattr(image, _TOLD)
    return told if image.size == size else None


def _of_opened(image: Image.Image) -> Coding | None:
    waiting = image.format == "WEBP" and getattr(image, "fp", None)  # it never has tiles before
    if waiting or (getattr(image, "tile", None) and not getattr(image, "decoderconfig", None)):
        return coding(image)  # not loaded yet, and not to be read at half its size
    source = Path(str(getattr(image, "filename", "") or ""))
    if not source.is_file():
        return None
    with Image.open(source) as again:
        unchanged = (again.format, again.size) == (image.format, image.size)
        return coding(again) if unchanged else None


def check_quality(quality: object) -> None:
    """See that something is a quality of JPEGs as libjpeg counts, or None.

    Raises:
        ValueError: unless it is a number from 1 to 100, or None.
    """
    if quality is not None and not is_number(quality, 1, 100):
        raise ValueError(f"quality must be from 1 to 100, or None, got {quality!r}")


def coarsest_jpeg(levels: Levels, coding: Coding | None = None) -> float | None:
    """The quality, 1 to 100 as libjpeg counts, of the coarsest JPEG that a picture has been.

    Args:
        levels: (h, w, C), its pixels, which may tell of one before its file (:func:`jpeg_quality`).
        coding: what its file tells.

    Returns:
        None if it was none, as far as is known.
    """
    told = coding.quality if coding and coding.form == "JPEG" else None
    found = jpeg_quality(levels)
    if told is None or (found is not None and found < told - _ABOUT):
        return found
    return told


def _vp8_frame(file: BinaryIO) -> bytes:
    """The start of the first lossy frame of a WebP file, after its ten bytes of size; or nothing.

    WebP Container Specification: chunks, within ``ANMF`` too.
    """
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"VP8 ":
            return file.read(_HEADER)[10:]
        if kind == b"VP8L":
            return b""
        if kind == b"ANMF":
            file.seek(16, 1)  # the frame's place and duration; its own chunks follow
        else:
            file.seek(size + size % 2, 1)
    return b""


def _quantisers(frame: bytes) -> list[tuple[float, float]]:
    """The quantiser indices, 0 to 127, of a key frame's header (RFC 6386, sections 9.2 to 9.6).

    Each segment of the frame may have its own.

    Returns:
        Each with the share of the frame that has it, as the header's probabilities tell.
    """
    bits = _BoolDecoder(frame)
    bits.literal(2)  # colour space and clamping
    levels: list[int] = []
    shares = [1.0]
    absolute = False
    if bits.literal(1):  # segments
        with_map, with_data = bits.literal(1), bits.literal(1)
        if with_data:
            absolute = bool(bits.literal(1))
            levels = [bits.signed(7) for _ in range(_SEGMENTS)]
            for _ in range(_SEGMENTS):
                bits.signed(6)  # strength of the loop filter
        if with_map:
            lower, first, third = (
                bits.literal(8) / 255 if bits.literal(1) else 1.0 for _ in range(3)
            )
            upper = 1 - lower
            shares = [lower * first, lower * (1 - first), upper * third, upper * (1 - third)]
    bits.literal(1 + 6 + 3)  # loop filter
    if bits.literal(1) and bits.literal(1):
        for _ in range(8):
            bits.signed(6)
    bits.literal(2)  # number of partitions
    base = bits.literal(7)
    if not levels:
        return [(base, 1.0)]
    indices = [min(max(level if absolute else base + level, 0), 127) for level in levels]
    return list(zip(indices, shares, strict=False))  # without a map all is of the first segment


def _webp_quality(quantisers: list[tuple[float, float]]) -> float:
    """The quality at which libwebp takes these quantiser indices, each with its share.

    It raises what is left of a full scale to a power for each segment, 1 in their mean, and cuts
    what is behind the point off.
    """
    rests = ((max(1 - (index and index + 0.5) / 127, 1e-3), share) for index, share in quantisers)
    linear = math.exp(sum(3 * share * math.log(rest) for rest, share in rests))
    return 100 * (1.5 * linear if linear < 0.5 else (linear + 1) / 2)


class _BoolDecoder:
    """The arithmetic decoder of VP8 (RFC 6386, section 7), for even odds."""

    def __init__(self, data: bytes) -> None:
        self._data = data + bytes(2)
        self._value = int.from_bytes(self._data[:2], "big")
        self._next, self._range, self._shifted = 2, 255, 0

    def _bit(self) -> int:
        split = 1 + ((self._range - 1) * 128 >> 8)
        bit = int(self._value >= split << 8)
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value <<= 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._data[self._next] if self._next < len(self._data) else 0
                self._next += 1
        return bit

    def literal(self, count: int) -> int:
        """A number of so many bits."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._bit()
        return value

    def signed(self, count: int) -> int:
        """A number that may be there, with a sign; else 0."""
        if not self._bit():
            return 0
        value = self.literal(count)
        return -value if self._bit() else value
