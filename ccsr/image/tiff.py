"""Reading TIFF: by Pillow, and by tifffile the pages that Pillow cannot open or reads wrongly."""

import contextlib
import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import ImagePalette, UnidentifiedImageError, _imaging
from PIL.TiffImagePlugin import TiffImageFile

from ccsr.image import deep, modes, tiff_rare
from ccsr.image.modes import Levels, highest
from ccsr.image.picture import Size
from ccsr.image.tiff_rare import as_levels, spread_bits

# What they have to say about damaged files is said by us, once.
for _library in ("tifffile", "PIL"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

_ORIENTATION = 274
_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_SAMPLES, _PLANAR, _PALETTE, _INKS, _EXTRA, _SAMPLE_FORMAT = 277, 284, 320, 332, 338, 339
_REDUCED, _MASK = 1, 4  # bits of the subfile type: a small copy of a page, its transparency
_SIGNED, _FLOAT = 2, 3
_WHITE_IS_ZERO, _CMYK, _LUMINANCE = 0, 5, 6
_PLAIN, _LZW = 1, 5  # compressions
_OTHER_INKS = 2
_ALPHA = 2  # what an extra channel can be
# That Pillow surely has; where libtiff lacks one it talks to the screen.
_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32809, 32946, 34925, 50000}
# Raw modes that Pillow leaves in the file's order: those of 16 bits without sign it changes.
_NATIVE = dict.fromkeys(("I;16S", "I;16BS"), "I;16NS") | dict.fromkeys(
    ("I;32S", "I;32BS"), "I;32NS"
)
_NATIVE |= dict.fromkeys(("F;32F", "F;32BF"), "F;32NF")


class TiffFile(TiffImageFile):
    """Pillow's file, at one of its pages, which is there for pages too that Pillow does not know.

    Attributes:
        rare: whether the page at hand is one of those; it cannot be loaded then, see `levels`.
        masked: whether a page so far was the transparency of another one, which is not read.
        unheld: what was lost of the pages so far that were decoded, by names for a person.
    """

    rare = masked = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.unheld: list[str] = []
        self.filename = ""  # else Pillow 13 maps it, and scrambles what is to be turned

    def at_page(self) -> bool:
        """Whether this page is no reduced copy of another one, and not its transparency."""
        kind = int(self.tag_v2.get(_SUBFILE_TYPE, 0))
        self.masked |= bool(kind & _MASK)
        return not kind & (_REDUCED | _MASK) and self.tag_v2.get(_OLD_SUBFILE_TYPE) != 2

    @property
    def turns_with_its_pixels(self) -> bool:
        """Whether its size is not yet the upright one, which a tag would have told: by its XMP."""
        return _ORIENTATION not in self.tag_v2

    @property
    def samples(self) -> int:
        """Channels of this page."""
        return int(self.tag_v2.get(_SAMPLES, 1))

    @property
    def unread(self) -> int:
        """Channels of this page that are neither colours nor transparency."""
        kind = int(self.tag_v2.get(_PHOTOMETRIC, 0))
        has_alpha = self.mode[-1] in "Aa"
        if self.rare:
            has_alpha = bool(tiff_rare.alpha_of(kind, self.samples, self._extra))
        return max(0, self.samples - tiff_rare.COLOURS.get(kind, 3) - has_alpha)

    @property
    def _extra(self) -> tuple[int, ...]:
        return tuple(self.tag_v2.get(_EXTRA, ()))

    @property
    def holds_floats(self) -> bool:
        """Whether the numbers of this page are floats."""
        return _FLOAT in self.tag_v2.get(_SAMPLE_FORMAT, ())

    @property
    def stored_bytes(self) -> int:
        """Of a pixel of this page, with all its channels."""
        return -(-self.samples * int(max(self.tag_v2.get(_BITS, (1,)))) // 8)

    def _setup(self) -> None:
        for name in ("icc_profile", "dpi", "resolution"):
            self.info.pop(name, None)  # of the page before
        try:
            self._set_up()
        except (SyntaxError, LookupError, OSError):  # of this kind of pixels, or this compression
            self.rare = True
            self._mode = "CMYK" if self.tag_v2.get(_PHOTOMETRIC) == _CMYK else "RGB"
            self._describe()
        else:
            self.rare = not self._is_known()
            self.tile = [_native(tile) for tile in self.tile]
            palette = self.tag_v2.get(_PALETTE, ())
            if self.mode == "P" and max(palette, default=256) < 256:  # of old writers
                self.palette = ImagePalette.raw("RGB;L", bytes(palette))

    def _set_up(self) -> None:
        """Let Pillow say how the page is decoded.

        Luminance and differences, of which there may be fewer and which may have a narrow range, it
        leaves to libtiff where they are compressed only, and takes for pixels of three bytes else.
        """
        stored = self.tag_v2.get(_COMPRESSION, _PLAIN)
        by_libtiff = stored == _PLAIN and self.tag_v2.get(_PHOTOMETRIC) == _LUMINANCE
        self.tag_v2[_COMPRESSION] = _LZW if by_libtiff else stored
        try:
            super()._setup()
        finally:
            self.tag_v2[_COMPRESSION] = stored

    def _is_known(self) -> bool:
        """Whether Pillow decodes the page that it has opened as it should."""
        if self.tag_v2.get(_COMPRESSION, 1) not in _COMPRESSIONS:
            return False
        if self.tag_v2.get(_PHOTOMETRIC) == _CMYK and {1, 2} & set(self._extra):
            return False  # whose transparency it leaves out
        if self.tag_v2.get(_PLANAR, 1) == 2 and self.samples > 1:
            bits = set(self.tag_v2.get(_BITS, (1,)))
            return bits == {8} and self.samples > 2 and self._extra in ((), (_ALPHA,))
        return True

    def _describe(self) -> None:
        """Say of a page that Pillow does not know what it says of others."""
        width, height = self.tag_v2[256], self.tag_v2[257]
        turned = self.tag_v2.get(_ORIENTATION) in (5, 6, 7, 8)
        self._size = (height, width) if turned else (width, height)
        if 34675 in self.tag_v2:
            self.info["icc_profile"] = self.tag_v2[34675]
        with contextlib.suppress(Exception):  # of damaged tags
            unit = {1: 0, 3: 2.54}.get(self.tag_v2.get(296, 2), 1)
            self.info["dpi"] = self.tag_v2[282] * unit, self.tag_v2[283] * unit


def _native(tile: Any) -> Any:
    """What Pillow decodes, in the order of bytes that libtiff gives: the machine's."""
    if tile.codec_name != "libtiff" or tile.args[0] not in _NATIVE:
        return tile
    return tile._replace(args=(_NATIVE[tile.args[0]], *tile.args[1:]))


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
        OSError: if it is one that Pillow cannot open at all.
    """
    _hush()
    try:
        return TiffFile(path)
    except SyntaxError as error:
        with path.open("rb") as file:
            if file.read(4) == b"MM\0+":
                raise OSError(
                    "it is a BigTIFF with the highest byte first, which is not read: save it with "
                    "the lowest first, or as a usual TIFF"
                ) from error
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
    if image.tag_v2.get(_PHOTOMETRIC) == _CMYK and image.tag_v2.get(_INKS) == _OTHER_INKS:
        raise ValueError(
            "its inks are others than cyan, magenta, yellow and black, and nothing tells how they "
            "look: convert it to RGB first"
        )
    if image.rare:
        with tifffile.TiffFile(path) as file:
            return tiff_rare.read(file.pages[image.tell()].aspage(), image.info, image.unheld)
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
        values = spread_bits(values, 12)
    if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and values.dtype == np.uint16:
        values = 65535 - values
    return values


def _of_32_bits(image: TiffFile) -> Levels:
    values = np.asarray(image)[..., None]
    if image.mode == "I" and _SIGNED not in image.tag_v2.get(_SAMPLE_FORMAT, ()):
        values = values.view(np.uint32)
    values = as_levels(values, 32)
    inverted = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return highest(values) - values if inverted else values
