"""PFM, the portable float map: grey or RGB floats from the lowest row upwards, and no more."""

import re
from pathlib import Path

import numpy as np
from PIL import UnidentifiedImageError
from PIL.ImageFile import ImageFile

from ccsr.image.modes import Levels, floats

STARTS = (b"PF", b"Pf")
_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s")


class PfmFile(ImageFile):
    """A file as it is opened; `levels` decodes it.

    Attributes:
        pixel_bytes: of a decoded pixel.
    """

    format = "PFM"

    def _open(self) -> None:
        header = _HEADER.match(self.fp.read(200)) if self.fp else None
        if not header:
            raise SyntaxError("no PFM")
        self._mode = "RGB" if header[1] == b"PF" else "F"
        self._size = int(header[2]), int(header[3])
        self._order = "<" if float(header[4]) < 0 else ">"
        self._start = header.end()
        self.pixel_bytes = 12 if self.mode == "RGB" else 4

    def levels(self, path: Path) -> Levels:
        """Floats (h, w, 1 or 3), as they are stored: what its scale means nobody agrees on.

        Raises:
            OSError: if it is truncated.
            ValueError: if a value is not finite.
        """
        channels = self.pixel_bytes // 4
        count = self.width * self.height * channels
        values = np.fromfile(path, f"{self._order}f4", count, offset=self._start)
        if len(values) < count:
            raise OSError("image file is truncated")
        return floats(values.reshape(self.height, self.width, channels)[::-1])


def open_file(path: Path) -> PfmFile:
    """The file, once its header is read.

    Raises:
        UnidentifiedImageError: if it has none.
    """
    try:
        return PfmFile(path)
    except SyntaxError as error:
        raise UnidentifiedImageError from error


def write(path: Path, values: Levels) -> None:
    """Write float levels (h, w, 1 or 3)."""
    height, width, channels = values.shape
    with path.open("wb") as file:
        file.write(b"%s\n%d %d\n-1.0\n" % (b"PF" if channels == 3 else b"Pf", width, height))
        file.write(np.ascontiguousarray(values[::-1], "<f4").data)
