"""TIFF: written here, strip by strip, for all depths; and the kinds that Pillow reads wrongly.

Pillow writes no 16-bit colour and not all of the metadata; its directories are used. What it
cannot open is left to tifffile.
"""

import logging
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin, TiffTags

from ccsr.image.metadata import Metadata, as_stored
from ccsr.image.modes import Levels
from ccsr.image.picture import Size

# What they have to say about damaged files is said by us, once.
for _name in ("tifffile", "PIL"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_HEADER = b"II*\0\0\0\0\0"
_BIG_HEADER = b"II+\0\x08\0\0\0" + bytes(8)
_STRIP = 1 << 20  # bytes that are compressed at a time
_XMP, _BITS = 700, 258
_SAMPLE_FORMAT, _SIGNED = 339, 2
_LARGEST = 3_900_000_000  # bytes that offsets of 32 bit reach, with room for the directories


def write(path: Path, frames: Iterable[Levels], metadata: Metadata, big: bool) -> None:
    """One page for each frame, deflated.

    Args:
        path: of the new file.
        frames: (h, w, C), uint8 or uint16.
        metadata: written with each page, the profile where it fits.
        big: for 64-bit offsets, which files of 4 GiB need; see `needs_big`.
    """
    header = _BIG_HEADER if big else _HEADER
    with path.open("wb") as file:
        file.write(header)
        link = len(header) // 2  # where the offset of the next directory stands
        for values in frames:
            strips = list(_strips(values))
            directory = _directory(values, [len(strip) for strip in strips], header)
            _describe(directory, metadata.fitting(values.shape[2]))
            start = file.tell()
            file.write(directory.tobytes(start))
            file.writelines(strips)
            file.write(bytes(file.tell() % 2))
            end = file.tell()
            file.seek(link)
            file.write(struct.pack("<Q" if big else "<I", start))
            file.seek(end)
            link = start + (8 + 20 * len(directory) if big else 2 + 12 * len(directory))


def needs_big(frames: Iterable[Levels]) -> bool:
    """Whether they may not fit into a file with 32-bit offsets."""
    return sum(frame.nbytes for frame in frames) > _LARGEST


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


def _rows(values: Levels) -> int:
    return max(1, _STRIP // max(1, values[:1].nbytes))


def _strips(values: Levels) -> Iterator[bytes]:
    """Deflated rows, each sample as its difference to the one on the left."""
    for top in range(0, len(values), _rows(values)):
        part = values[top : top + _rows(values)]
        difference = part.copy()
        difference[:, 1:] -= part[:, :-1]
        yield zlib.compress(difference.astype(part.dtype.newbyteorder("<"), copy=False).tobytes())


def _directory(
    values: Levels, counts: list[int], header: bytes
) -> TiffImagePlugin.ImageFileDirectory_v2:
    height, width, channels = values.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    offsets = [sum(counts[:i]) for i in range(len(counts))]  # behind the directory
    for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS):
        directory.tagtype[tag] = TiffTags.LONG8 if header == _BIG_HEADER else TiffTags.LONG
    directory.update(
        {
            TiffImagePlugin.IMAGEWIDTH: width,
            TiffImagePlugin.IMAGELENGTH: height,
            _BITS: (8 * values.dtype.itemsize,) * channels,
            TiffImagePlugin.COMPRESSION: 8,
            TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: 1 if channels < 3 else 2,
            TiffImagePlugin.STRIPOFFSETS: tuple(offsets),
            TiffImagePlugin.SAMPLESPERPIXEL: channels,
            TiffImagePlugin.ROWSPERSTRIP: _rows(values),
            TiffImagePlugin.STRIPBYTECOUNTS: tuple(counts),
            TiffImagePlugin.PLANAR_CONFIGURATION: 1,
            TiffImagePlugin.PREDICTOR: 2,
        }
    )
    if channels in (2, 4):
        directory[TiffImagePlugin.EXTRASAMPLES] = (2,)  # alpha that is not multiplied in
    return directory


def _describe(directory: TiffImagePlugin.ImageFileDirectory_v2, metadata: Metadata) -> None:
    if metadata.exif:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag in exif:
            within = tag in TiffTags.TAGS_V2_GROUPS
            directory[tag] = as_stored(exif.get_ifd(tag) if within else exif[tag])
    if metadata.dpi:
        directory[TiffImagePlugin.RESOLUTION_UNIT] = 2
        directory[TiffImagePlugin.X_RESOLUTION], directory[TiffImagePlugin.Y_RESOLUTION] = (
            metadata.dpi
        )
    if metadata.profile:
        directory[TiffImagePlugin.ICCPROFILE] = metadata.profile
    if metadata.xmp:
        directory.tagtype[_XMP] = TiffTags.BYTE
        directory[_XMP] = metadata.xmp
