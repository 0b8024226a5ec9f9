"""Photoshop files: the merged picture, with the channel that is its transparency.

Pillow unpacks it. It takes a fourth channel for transparency, which may be a selection that was
saved, knows none behind other channels, and loses its way where compressed ones follow the colours.
"""

import struct
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import _Tile
from PIL.PsdImagePlugin import PsdImageFile

from ccsr.image import modes
from ccsr.image.modes import Levels

START = b"8BPS"
_HEADER = 26
_NAMES, _IDENTIFIERS, _HIDDEN = 1006, 1053, 1047  # resources: of channels beside the colours
_CMYK, _MANY = 4, 7  # modes of Photoshop; of the latter all channels are inks
_CODECS = {0: "raw", 1: "packbits"}


class PsdFile(PsdImageFile):
    """A file as it is opened; `levels` decodes it.

    Attributes:
        has_alpha: whether the first channel beside the colours is transparency.
        unread: how many channels are neither colours nor transparency.
    """

    def _open(self) -> None:
        super()._open()
        assert self.fp is not None
        self._mode = self.mode.removesuffix("A")
        self._bands = (self.mode,) if len(self.mode) == 1 else tuple(self.mode)
        self.fp.seek(12)
        channels, *_, kind = struct.unpack(">HIIHH", self.fp.read(14))
        layers, merged = _places(self.fp)
        self._count = _layers(self.fp, layers)
        extra = 0 if kind == _MANY else channels - len(self._bands)
        self.has_alpha = extra > 0 and self._is_transparency(extra)
        self.unread = channels - len(self._bands) - self.has_alpha
        self._hide()
        self._codec, self._parts = _channels(self.fp, merged, channels, self._line)
        self.tile = [
            _Tile(self._codec, (0, 0, *self.size), part.start, band + ";I" * (kind == _CMYK))
            for part, band in zip(self._parts, self._bands, strict=False)
        ]

    def _hide(self) -> None:
        """Tell which of indexed colours is transparent, where one is."""
        for number, _, content in self.resources:
            if number == _HIDDEN and self.mode == "P" and len(content) >= 2:
                index = int.from_bytes(content[:2], "big")
                if index < 256:
                    self.info["transparency"] = index

    @property
    def _line(self) -> tuple[int, int]:
        """Bytes of a row, and rows."""
        return (self.width + 7) // 8 if self.mode == "1" else self.width, self.height

    def _is_transparency(self, extra: int) -> bool:
        """Whether the first of so many channels beside the colours is not just a selection."""
        if self._count:  # negative where it is (Adobe's file format specification)
            return self._count < 0
        known = {number: data for number, _, data in self.resources}
        if len(numbers := known.get(_IDENTIFIERS, b"")) >= 4:
            return int.from_bytes(numbers[:4], "big") == 0
        if names := known.get(_NAMES, b""):
            return bytes(names[1 : 1 + names[0]]) == b"Transparency"
        return extra == 1  # of programs that say nothing

    def levels(self, path: Path) -> Levels:
        """Levels (h, w, C), not turned."""
        self.load()
        values = modes.levels(self)
        if self.mode == "1":  # where 1 is ink, to all but Pillow
            values = 255 - values
        if not self.has_alpha:
            return values
        part = self._parts[len(self._bands)]
        with path.open("rb") as file:
            file.seek(part.start)
            packed = file.read(len(part))
        alpha = np.asarray(Image.frombytes("L", self.size, packed, self._codec, "L"))[..., None]
        if self._count < 0 and self.mode in ("L", "RGB"):
            values = _off_white(values, alpha)
        return np.concatenate((values, alpha), axis=2)


def open_file(path: Path) -> PsdFile:
    """The file, once its header is read.

    Raises:
        UnidentifiedImageError: if it has none, or another number of bits.
        OSError: if it is damaged.
    """
    try:
        return PsdFile(path)
    except SyntaxError as error:
        raise UnidentifiedImageError from error


def _places(file: IO[bytes]) -> tuple[int, int]:
    """Where the layers begin, and the merged picture, behind blocks that tell their length."""
    place, places = _HEADER, []
    for _ in range(3):
        places.append(place)
        file.seek(place)
        place += 4 + int.from_bytes(file.read(4), "big")
    return places[2], place


def _layers(file: IO[bytes], place: int) -> int:
    """Number of layers; negative where the merged picture is transparent."""
    file.seek(place)
    whole, length, count = struct.unpack(">IIh", file.read(10).ljust(10, b"\0"))
    return int(count) if whole >= 6 and length >= 2 else 0


def _channels(
    file: IO[bytes], place: int, channels: int, line: tuple[int, int]
) -> tuple[str, list[range]]:
    """How the channels are packed, and where each lies; all lengths come before the first."""
    row, rows = line
    file.seek(place)
    kind = int.from_bytes(file.read(2), "big")
    if kind not in _CODECS:
        raise OSError(f"its merged picture is compressed in the way {kind}, which is not known")
    start, lengths = place + 2, [row * rows] * channels
    if _CODECS[kind] == "packbits":
        counts = np.frombuffer(file.read(2 * channels * rows), ">u2")
        if len(counts) < channels * rows:
            raise OSError("image file is truncated")
        start += 2 * channels * rows
        lengths = counts.reshape(channels, rows).sum(axis=1, dtype=np.int64).tolist()
    ends = list(accumulate(lengths, initial=start))
    return _CODECS[kind], [range(*pair) for pair in pairwise(ends)]


def _off_white(values: Levels, alpha: Levels) -> Levels:
    """Colours that lie on white, as Photoshop stores them, without it; others as they are."""
    white = 255 - alpha.astype(np.int16)
    if (values < white - 1).any():  # rounded
        return values
    share = alpha / np.float32(255)
    colour = (values - white) / np.where(share > 0, share, 1)
    return np.asarray((colour + 0.5).clip(0, 255).astype(np.uint8))
