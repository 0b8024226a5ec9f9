"""TIFF of the kinds that Pillow reads wrongly, or cannot open, which is left to tifffile."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from ccsr.image.metadata import Metadata
from ccsr.image.modes import Levels
from ccsr.image.picture import Size

# What they have to say about damaged files is said by us, once.
for _name in ("tifffile", "PIL"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_BITS = 258
_SAMPLE_FORMAT, _SIGNED = 339, 2


def size(path: Path) -> Size:
    """(H, W) of the first page, as it is stored."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        return int(tags.valueof("ImageLength")), int(tags.valueof("ImageWidth"))


def is_planar(image: Image.Image) -> bool:
    """Whether it is a TIFF whose 16-bit channels lie one after the other."""
    tags: Any = getattr(image, "tag_v2", {})
    samples = tags.get(_BITS, ())
    return tags.get(284) == 2 and len(samples) > 1 and set(samples) == {16}


def scaled(values: Levels, image: Image.Image) -> Levels:
    """Levels over the full range of a page that Pillow has decoded without that.

    It leaves 12 bits in the lower part of 16, and takes white for black in 16-bit grey.

    Raises:
        ValueError: for signed numbers of 8 bits, which it takes for others.
    """
    tags: Any = getattr(image, "tag_v2", {})
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and values.dtype == np.uint8:
        raise ValueError("it holds signed numbers of 8 bits: store them as levels from 0 to 255")
    if tags.get(_BITS) == (12,):
        values = (values.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
    if tags.get(262) == 0 and values.dtype == np.uint16:
        values = 65535 - values
    return values


def rare_sizes(path: Path) -> list[Size]:
    """(h, w), upright, of the pages of a TIFF that Pillow cannot read.

    Raises:
        ValueError: for a kind that `read_rare` cannot read either.
    """
    sizes = []
    with tifffile.TiffFile(path) as file:
        for number in range(len(file.pages)):
            page = _rare_page(file, number)
            turned_over = int(page.tags.valueof("Orientation", 1)) >= 5
            size = page.imagelength, page.imagewidth
            sizes.append(size[::-1] if turned_over else size)
    return sizes


def rare_metadata(path: Path) -> Metadata:
    """Of its first page, the colour profile."""
    with tifffile.TiffFile(path) as file:
        return Metadata(file.pages.first.iccprofile)


def read_rare(path: Path, number: int = 0) -> tuple[Levels, int]:
    """Levels of a page of a 16-bit TIFF that Pillow cannot read, and its EXIF orientation.

    Raises:
        ValueError: for another kind of TIFF.
    """
    with tifffile.TiffFile(path) as file:
        page = _rare_page(file, number)
        values = _decoded(page)
        orientation = int(page.tags.valueof("Orientation", 1))
    if values.ndim == 2:
        values = values[..., None]
    elif values.ndim == 3 and page.planarconfig == 2:
        values = values.transpose(1, 2, 0)
    channels = 1 if page.photometric == 1 else 3
    extra = page.extrasamples[0] if page.extrasamples else 0
    values = np.ascontiguousarray(values[..., : channels + (extra in (1, 2))])
    if values.shape != (page.imagelength, page.imagewidth, channels + (extra in (1, 2))):
        raise ValueError("image file is damaged: its header and its pixels do not agree")
    return unmultiplied(values) if extra == 1 else values, orientation


def unmultiplied(values: Levels) -> Levels:
    """16-bit levels whose colour was stored multiplied by alpha."""
    alpha = values[..., -1:].astype(np.float64)
    colour = values[..., :-1] * (65535 / np.maximum(alpha, 1))
    return np.concatenate((np.minimum(colour + 0.5, 65535).astype(np.uint16), values[..., -1:]), -1)


def _rare_page(file: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    page = file.pages[number]
    if (
        not isinstance(page, tifffile.TiffPage)
        or page.dtype != np.uint16
        or page.photometric not in (1, 2)
        or page.imagedepth != 1
    ):
        raise ValueError("a TIFF of a kind that is not known here: convert it to RGB first")
    return page


def _decoded(page: tifffile.TiffPage) -> Levels:
    try:
        return page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise ValueError(
            "the compression of this kind of TIFF needs the package imagecodecs, which is not "
            "installed: run pip install imagecodecs"
        ) from error
