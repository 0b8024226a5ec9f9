"""Reading TIFF: by Pillow, and by tifffile the pages that Pillow cannot open or reads wrongly."""

import contextlib
import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, _imaging
from PIL.TiffImagePlugin import TiffImageFile

from ccsr.image import deep, modes
from ccsr.image.modes import Levels, fractions, highest, reduced, unmultiplied, whole
from ccsr.image.picture import Size

# What they have to say about damaged files is said by us, once.
for _library in ("tifffile", "PIL"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_SAMPLES, _PLANAR, _EXTRA, _SAMPLE_FORMAT = 277, 284, 338, 339
_REDUCED, _MASK = 1, 4  # bits of the subfile type: a small copy of a page, its transparency
_SIGNED = 2
_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 2, 3, 5
_COLOURS = {_WHITE_IS_ZERO: 1, 1: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_MULTIPLIED, _ALPHA = 1, 2  # what an extra channel can be
# That Pillow surely has; where libtiff lacks one it talks to the screen.
_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32809, 32946, 34925, 50000}
_UNKNOWN = {
    6: "colours as luminance and differences of more than 8 bits",
    8: "L*a*b* colours of more than 8 bits",
    32803: "the raw data of a camera",
    34892: "the raw data of a camera",
    32844: "logarithmic luminance",
    32845: "logarithmic colours",
}


class TiffFile(TiffImageFile):
    """Pillow's file, at one of its pages, which is there for pages too that Pillow does not know.

    Attributes:
        rare: whether the page at hand is one of those; it cannot be loaded then, see `levels`.
        masked: whether a page so far was the transparency of another one, which is not read.
    """

    rare = masked = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.filename = ""  # else Pillow 13 maps it, and scrambles what is to be turned

    def at_page(self) -> bool:
        """Whether this page is no reduced copy of another one, and not its transparency."""
        kind = int(self.tag_v2.get(_SUBFILE_TYPE, 0))
        self.masked |= bool(kind & _MASK)
        return not kind & (_REDUCED | _MASK) and self.tag_v2.get(_OLD_SUBFILE_TYPE) != 2

    @property
    def stored_bytes(self) -> int:
        """Of a pixel of this page, with all its channels."""
        samples = int(self.tag_v2.get(_SAMPLES, 1))
        return -(-samples * int(max(self.tag_v2.get(_BITS, (1,)))) // 8)

    def _setup(self) -> None:
        try:
            super()._setup()
        except (SyntaxError, KeyError, OSError):  # of this kind of pixels, or this compression
            self.rare = True
            self._mode = "CMYK" if self.tag_v2.get(_PHOTOMETRIC) == _CMYK else "RGB"
            self._describe()
        else:
            self.rare = not self._is_known()

    def _is_known(self) -> bool:
        """Whether Pillow decodes the page that it has opened as it should."""
        samples = int(self.tag_v2.get(_SAMPLES, 1))
        bits = set(self.tag_v2.get(_BITS, (1,)))
        if self.tag_v2.get(_COMPRESSION, 1) not in _COMPRESSIONS:
            return False
        if self.tag_v2.get(_PLANAR, 1) == 2 and samples > 1:
            return bits == {8} and samples > 2 and _MULTIPLIED not in self.tag_v2.get(_EXTRA, ())
        return True

    def _describe(self) -> None:
        """Say of a page that Pillow does not know what it says of others."""
        width, height = self.tag_v2[256], self.tag_v2[257]
        turned = self.tag_v2.get(274) in (5, 6, 7, 8)
        self._size = (height, width) if turned else (width, height)
        self.info.pop("icc_profile", None)
        if 34675 in self.tag_v2:
            self.info["icc_profile"] = self.tag_v2[34675]
        unit = {1: 0, 3: 2.54}.get(self.tag_v2.get(296, 2), 1)
        resolution = self.tag_v2.get(282, 0), self.tag_v2.get(283, 0)
        self.info["dpi"] = resolution[0] * unit, resolution[1] * unit


@cache
def _hush() -> None:
    """Keep libtiff from talking to the screen; what is wrong is said by us.

    Pillow's library hands on the functions of those it is linked to, where they are not part of it.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            getattr(library, name)(None)


def open_file(path: Path) -> TiffFile:
    """The file at its first page.

    Raises:
        UnidentifiedImageError: if it is none.
    """
    _hush()
    try:
        return TiffFile(path)
    except SyntaxError as error:
        raise UnidentifiedImageError from error


def size(path: Path) -> Size:
    """(H, W) of the first page, as it is stored."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        return int(tags.valueof("ImageLength")), int(tags.valueof("ImageWidth"))


def levels(image: TiffFile, path: Path) -> Levels:
    """Levels (h, w, C) of the page at hand of `image`, opened from `path`.

    Turned as `image` says by its EXIF orientation afterwards: Pillow turns some itself.

    Raises:
        OSError: if they are damaged.
        ValueError: if they are of a kind that is not known here.
    """
    if _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ()) and 8 in image.tag_v2.get(_BITS, ()):
        raise ValueError("it holds signed numbers of 8 bits: store them as levels from 0 to 255")
    if image.rare:
        with tifffile.TiffFile(path) as file:
            return _rare(file.pages[image.tell()].aspage(), image)
    try:
        if deep.is_deep(image):
            return deep.read(image, path)
        image.load()
    except OSError as error:
        if not str(error).startswith("decoder error"):
            raise
        raise OSError("its compressed pixels are damaged") from error
    if image.mode in ("I", "F"):
        return _of_32_bits(image)
    values = modes.levels(image)
    if image.tag_v2.get(_BITS) == (12,):
        values = _spread(values, 12)
    if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and values.dtype == np.uint16:
        values = 65535 - values
    return values


def _of_32_bits(image: TiffFile) -> Levels:
    values = np.asarray(image)[..., None]
    if image.mode == "I" and _SIGNED not in image.tag_v2.get(_SAMPLE_FORMAT, ()):
        values = values.view(np.uint32)
    values = _as_levels(values, 32)
    inverted = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return highest(values) - values if inverted else values


def _rare(page: tifffile.TiffPage, image: TiffFile) -> Levels:
    photometric = int(page.photometric)
    if photometric not in _COLOURS:
        what = _UNKNOWN.get(photometric, f"pixels of the photometric kind {photometric}")
        raise ValueError(f"it holds {what}, which is not known here: convert it to RGB first")
    if page.imagedepth != 1:
        raise ValueError("it holds a volume, not a picture: take a slice of it first")
    values = _arranged(page)
    extra = _extra(page)
    values = values[..., : _COLOURS[photometric] + (extra in (_MULTIPLIED, _ALPHA))]
    if photometric == _PALETTE:
        return _painted(values, page.colormap)
    values = _as_levels(values, page.bitspersample)
    if photometric == _WHITE_IS_ZERO:
        values[..., :1] = highest(values) - values[..., :1]
    if photometric == _CMYK:
        return _from_cmyk(values[..., :4], image)
    return unmultiplied(values) if extra == _MULTIPLIED else values


def _arranged(page: tifffile.TiffPage) -> NDArray[Any]:
    """What a page holds as (h, w, samples)."""
    shape = page.imagelength, page.imagewidth, page.samplesperpixel
    try:
        values = page.asarray()
    except (ValueError, NotImplementedError, KeyError) as error:
        if "imagecodecs" not in str(error) and "not supported" not in str(error):
            raise
        needs = "imagecodecs" in str(error)
        raise ValueError(
            f"the compression {_name(page.compression)} of a TIFF with {page.bitspersample} bits "
            "per channel "
            + (
                "needs the package imagecodecs, which is not installed: run pip install imagecodecs"
                if needs
                else "is not known here: store it without compression"
            )
        ) from error
    if values.ndim == 2:
        values = values[..., None]
    elif values.ndim == 3 and page.planarconfig == 2:
        values = values.transpose(1, 2, 0)
    if values.shape != shape or shape[2] < _COLOURS[int(page.photometric)]:
        raise ValueError("image file is damaged: its header and its pixels do not agree")
    return np.ascontiguousarray(values)


def _name(compression: int) -> str:
    known = {number.value for number in tifffile.COMPRESSION}
    return tifffile.COMPRESSION(compression).name if compression in known else str(compression)


def _extra(page: tifffile.TiffPage) -> int:
    """What the first channel beyond the colours is: transparency where RGB does not say it."""
    if page.extrasamples:
        return int(page.extrasamples[0])
    return _ALPHA if (page.photometric, page.samplesperpixel) == (_RGB, 4) else 0


def _as_levels(values: NDArray[Any], bits: int) -> Levels:
    """Numbers of any kind, with as many significant bits, over the full range of 8 or 16 bits."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and bits <= 16:
        return values if bits in (8, 16) else _spread(values, bits)
    if values.dtype.kind in "ui":
        return whole(values)
    if values.dtype.kind == "f":
        return fractions(values)
    raise ValueError("it holds complex numbers: take their real part or their size first")


def _spread(values: NDArray[Any], bits: int) -> Levels:
    """From the lower bits of each number to all of 8 or 16."""
    most = 255 if bits < 8 else 65535
    spread: Levels = values.astype(np.uint32) * most // (2**bits - 1)
    return spread.astype(np.uint8 if bits < 8 else np.uint16)


def _painted(index: NDArray[Any], palette: NDArray[np.uint16] | None) -> Levels:
    """(h, w, 1) and the 16-bit colours (3, n) that are meant; 8-bit where these say no more."""
    if palette is None or int(index.max()) >= palette.shape[1]:
        raise ValueError("image file is damaged: its palette lacks colours")
    exact = palette % 257 == 0
    colours = palette if not exact.all() else (palette // 257).astype(np.uint8)
    return np.ascontiguousarray(colours.T[index[..., 0]])


def _from_cmyk(values: Levels, image: TiffFile) -> Levels:
    height, width, _ = values.shape
    inks = Image.frombytes("CMYK", (width, height), reduced(values).tobytes())
    inks.info = dict(image.info)
    return modes.levels(inks)
