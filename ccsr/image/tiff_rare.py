"""Pages of TIFF that Pillow cannot open, or reads wrongly, by tifffile."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ccsr.image import modes, tiff_floats
from ccsr.image.modes import Levels, covered, floats, highest, reduced, unmultiplied, whole

_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 2, 3, 5
COLOURS = {_WHITE_IS_ZERO: 1, 1: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_MULTIPLIED, _ALPHA = 1, 2  # what an extra channel can be
_UNKNOWN = {
    6: "colours as luminance and differences of more than 8 bits",
    8: "L*a*b* colours of more than 8 bits",
    32803: "the raw data of a camera",
    34892: "the raw data of a camera",
    32844: "logarithmic luminance",
    32845: "logarithmic colours",
}


def read(page: tifffile.TiffPage, info: Mapping[Any, Any], unheld: list[str]) -> Levels:
    """Levels (h, w, C) of a page, not turned.

    Args:
        page: of a TIFF.
        info: of the picture, as Pillow keeps it: inks may have a profile there.
        unheld: gets what is lost, by names for a person.

    Raises:
        ValueError: if its pixels are damaged, or of a kind that is not known here.
    """
    photometric = int(page.photometric)
    if photometric not in COLOURS:
        what = _UNKNOWN.get(photometric, f"pixels of the photometric kind {photometric}")
        raise ValueError(f"it holds {what}, which is not known here: convert it to RGB first")
    if page.imagedepth != 1:
        raise ValueError("it holds a volume, not a picture: take a slice of it first")
    values = _arranged(page)
    alpha = alpha_of(photometric, page.samplesperpixel, page.extrasamples)
    place = [*range(COLOURS[photometric]), *([alpha.channel] if alpha else [])]
    values = np.ascontiguousarray(values[..., place])
    if photometric == _PALETTE:
        return _painted(values, page.colormap)
    if not isinstance(page.bitspersample, int):
        raise ValueError(
            f"its channels have different numbers of bits {page.bitspersample}: store them with 8"
        )
    values = as_levels(values, page.bitspersample)
    if values.dtype == np.float32 and alpha:
        values[..., -1], beyond = covered(values[..., -1])
        unheld += beyond
    if photometric == _WHITE_IS_ZERO:
        values[..., :1] = highest(values) - values[..., :1]
    if alpha and alpha.multiplied:
        values = unmultiplied(values)
    if photometric != _CMYK:
        return values
    return np.concatenate((_from_cmyk(values[..., :4], info), reduced(values[..., 4:])), 2)


def _arranged(page: tifffile.TiffPage) -> NDArray[Any]:
    """What a page holds as (h, w, samples)."""
    shape = page.imagelength, page.imagewidth, page.samplesperpixel
    try:
        if page.predictor == tiff_floats.PREDICTOR:
            return tiff_floats.read(page)
        values = page.asarray()
    except (ValueError, NotImplementedError, KeyError) as error:
        if "imagecodecs" not in str(error) and "not supported" not in str(error):
            raise
        needs = "imagecodecs" in str(error)
        what = f"the compression {_name(page.compression)} of a TIFF with"
        if page.compression == tifffile.COMPRESSION.NONE:
            what = "a TIFF with pixels packed to"
        raise ValueError(
            f"{what} {page.bitspersample} bits per channel "
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
    if values.shape != shape or shape[2] < COLOURS[int(page.photometric)]:
        raise ValueError("image file is damaged: its header and its pixels do not agree")
    return np.ascontiguousarray(values)


def _name(compression: int) -> str:
    known = {number.value for number in tifffile.COMPRESSION}
    return tifffile.COMPRESSION(compression).name if compression in known else str(compression)


class Alpha(NamedTuple):
    """The transparency among the channels of a page.

    Attributes:
        channel: which of them it is.
        multiplied: whether the colours are stored times it.
    """

    channel: int
    multiplied: bool


def alpha_of(photometric: int, samples: int, extra: Sequence[int]) -> Alpha | None:
    """The transparency that is read: of what lies beyond the colours, the first that is called so.

    Args:
        photometric: the kind of pixels.
        samples: how many channels there are.
        extra: what those beyond the colours are; RGB need not say it of a single one.
    """
    colours = COLOURS.get(photometric, 3)
    if photometric == _PALETTE:
        return None
    if not extra and (photometric, samples) == (_RGB, 4):
        return Alpha(3, False)
    for channel, kind in enumerate(extra, colours):
        if kind in (_MULTIPLIED, _ALPHA) and channel < samples:
            return Alpha(channel, kind == _MULTIPLIED)
    return None


def as_levels(values: NDArray[Any], bits: int) -> Levels:
    """Numbers of any kind, with as many significant bits, over the full range; floats as such."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and bits <= 16:
        return values if bits in (8, 16) else spread_bits(values, bits)
    if values.dtype.kind in "ui":
        return whole(values)
    if values.dtype.kind == "f":
        return floats(values)
    raise ValueError("it holds complex numbers: take their real part or their size first")


def spread_bits(values: NDArray[Any], bits: int) -> Levels:
    """From the lower bits of each number to all of 8 or 16."""
    most = 255 if bits < 8 else 65535
    spread: Levels = values.astype(np.uint32) * most // (2**bits - 1)
    return spread.astype(np.uint8 if bits < 8 else np.uint16)


def _painted(index: NDArray[Any], palette: NDArray[np.uint16] | None) -> Levels:
    """(h, w, 1) and the colours (3, n) that are meant: of 8 bits where those of 16 say no more."""
    if palette is None or int(index.max()) >= palette.shape[1]:
        raise ValueError("image file is damaged: its palette lacks colours")
    colours: Levels = palette
    if palette.max() < 256:  # of old writers
        colours = palette.astype(np.uint8)
    elif (palette % 257 == 0).all():
        colours = (palette // 257).astype(np.uint8)
    return np.ascontiguousarray(colours.T[index[..., 0]])


def _from_cmyk(values: Levels, info: Mapping[Any, Any]) -> Levels:
    height, width, _ = values.shape
    inks = Image.frombytes("CMYK", (width, height), reduced(values).tobytes())
    inks.info = dict(info)
    return modes.levels(inks)
