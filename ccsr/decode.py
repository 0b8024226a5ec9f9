"""Reading image files: what they are is decided by their content, and checked before decoding."""

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ccsr import deep, metadata
from ccsr.formats import Several
from ccsr.metadata import Policy
from ccsr.modes import levels, turned
from ccsr.picture import Levels, Picture, Size

DEFAULT_MAX_PIXELS = 100_000_000
# None that runs another program (EPS) or only draws (WMF).
_FORMATS = [
    "PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM", "TGA",
    "DIB", "ICO", "PCX", "SGI", "QOI", "PSD", "DDS",
]  # fmt: skip
_SEVERAL: dict[str | None, Several] = {
    "GIF": "animation", "WEBP": "animation", "PNG": "animation", "AVIF": "animation",
    "TIFF": "pages",
}  # fmt: skip
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REDUCED = 1  # NewSubfileType of the small copy of a TIFF page
_DEFAULT_DURATION = 100  # ms


class Header(NamedTuple):
    """What is known before decoding.

    Attributes:
        size: (h, w) of the first frame, upright.
        frames: their number.
        several: what they are, if there is more than one.
    """

    size: Size
    frames: int
    several: Several


def allow(max_pixels: int) -> None:
    """Set Pillow's own limit for the whole process, where `max_pixels` shall be the only one."""
    Image.MAX_IMAGE_PIXELS = max_pixels


def probe(path: Path, max_pixels: int | None = None) -> Header:
    """Look at the header only.

    Args:
        path: of a file.
        max_pixels: of all frames together; None for Pillow's limit.

    Raises:
        OSError: see `load`.
    """
    with _sentences(path):
        image = _open(path)
        if image is None:
            return _rare_header(path, max_pixels)
        with image:
            return _header(image, max_pixels)


def load(path: Path, policy: Policy = "keep", max_pixels: int | None = None) -> Picture:
    """Decode a file: upright levels of 8 or 16 bit, all frames, and what it says about itself.

    Args:
        path: of a file; its suffix does not matter.
        policy: which metadata to take.
        max_pixels: of all frames together; None for Pillow's limit.

    Raises:
        OSError: if there is no such file, or it is not an image, damaged, or too large.
    """
    with _sentences(path):
        image = _open(path)
        if image is None:
            header = _rare_header(path, max_pixels)
            pages = [deep.read_tiff(path, number) for number in range(header.frames)]
            return Picture(tuple(turned(*page) for page in pages))
        with image:
            several = _header(image, max_pixels).several
        # Anew: to ask a PNG for its orientation decodes it, and forgets how it was stored.
        with _open(path) or image as image:
            if several == "animation":
                return _animation(image, policy)
            if several == "pages":
                return _pages(image, path, policy, max_pixels)
            return _still(image, path, policy)


def _header(image: Image.Image, max_pixels: int | None) -> Header:
    frames = 1
    several = _SEVERAL.get(image.format, "")
    limit = max_pixels or Image.MAX_IMAGE_PIXELS
    _check_pixels(image.width * image.height, limit)  # counting frames may decode
    if several:
        frames = getattr(image, "n_frames", 1)
        frames -= frames > 1 and bool(image.info.get("default_image"))
    _check_pixels(image.width * image.height * frames, limit)
    size = image.height, image.width
    if image.format != "TIFF" and metadata.orientation(image) >= 5:  # Pillow turns TIFF itself
        size = size[::-1]
    return Header(size, frames, several if frames > 1 else "")


def _rare_header(path: Path, max_pixels: int | None) -> Header:
    size, frames = deep.tiff_size(path)
    _check_pixels(size[0] * size[1] * frames, max_pixels or Image.MAX_IMAGE_PIXELS)
    return Header(size, frames, "pages" if frames > 1 else "")


def _check_pixels(pixels: int, limit: int | None) -> None:
    if limit and pixels > limit:
        raise OSError(_too_many(limit))


def _too_many(limit: float) -> str:
    return (
        f"it has more than {limit / 1e6:.0f} million pixels, which may be a decompression bomb: "
        "reduce or cut it first, or raise --max-pixels"
    )


def _still(image: Image.Image, path: Path, policy: Policy) -> Picture:
    converted = image.mode == "CMYK"
    values = _frame(image, path)
    described = metadata.collect(image, policy)
    if converted:  # to sRGB, which needs no profile
        described = replace(described, profile=None)
    notes = ("CMYK converted to RGB",) if converted else ()
    return Picture((values,), described.fitting(values.shape[2]), notes=notes)


def _frame(image: Image.Image, path: Path) -> Levels:
    """Upright levels of the frame that `image` is at."""
    if deep.is_deep(image):
        values: Levels = deep.read(image, path)
    else:
        image.load()
        values = levels(image)
    return turned(values, metadata.orientation(image))


def _animation(image: Image.Image, policy: Policy) -> Picture:
    first = int(bool(image.info.get("default_image")))
    frames: list[Levels] = []
    durations: list[float] = []
    for number in itertools.count(first):
        try:
            image.seek(number)
        except EOFError:
            break
        image.load()
        frames.append(turned(levels(image), metadata.orientation(image)))
        durations.append(float(image.info.get("duration", _DEFAULT_DURATION)))
    described = metadata.collect(image, policy)
    same = _same_kind(frames, by_content=image.format == "GIF")
    loop = image.info.get("loop")
    return Picture(
        same,
        described.fitting(same[0].shape[2]),
        tuple(durations),
        loop if isinstance(loop, int) else None,
    )


def _pages(image: Image.Image, path: Path, policy: Policy, max_pixels: int | None) -> Picture:
    frames: list[Levels] = []
    pixels = 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        if int(getattr(image, "tag_v2", {}).get(254, 0)) & _REDUCED:
            continue
        pixels += image.width * image.height
        _check_pixels(pixels, max_pixels or Image.MAX_IMAGE_PIXELS)
        frames.append(_frame(image, path))
    if not frames:
        raise OSError("it holds reduced copies of a picture only")
    image.seek(0)
    return Picture(tuple(frames), metadata.collect(image, policy).fitting(frames[0].shape[2]))


def _same_kind(frames: list[Levels], by_content: bool) -> tuple[Levels, ...]:
    """Frames with the same channels: alpha and colour as soon as one of them needs it."""
    alpha = any(frame.shape[2] in (2, 4) for frame in frames)
    if by_content:
        colour = any((f[..., :1] != f[..., 1:3]).any() for f in frames if f.shape[2] > 2)
    else:
        colour = any(frame.shape[2] > 2 for frame in frames)
    return tuple(_with_channels(frame, colour, alpha) for frame in frames)


def _with_channels(values: Levels, colour: bool, alpha: bool) -> Levels:
    has_alpha = values.shape[2] in (2, 4)
    hues = values[..., :-1] if has_alpha else values
    hues = hues.repeat(3, axis=2) if colour and hues.shape[2] == 1 else hues
    hues = hues if colour else hues[..., :1]
    if not alpha:
        return np.ascontiguousarray(hues)
    opaque = np.full_like(values[..., :1], np.iinfo(values.dtype).max)
    return np.concatenate((hues, values[..., -1:] if has_alpha else opaque), axis=2)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file becomes an OSError that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata; the pixels are what counts
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise OSError(f"cannot read {path}: {_too_many(Image.MAX_IMAGE_PIXELS or 0)}") from error
    except UnidentifiedImageError as error:
        raise OSError(f"cannot read {path}: not an image of a known kind, or damaged") from error
    except Exception as error:  # decoders meet hostile bytes with anything: struct, zlib, Index...
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OSError(f"cannot read {path}: {reason or type(error).__name__}") from error


def _open(path: Path) -> Image.Image | None:
    """The opened file; None for a TIFF that Pillow does not know."""
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        with path.open("rb") as file:
            start = file.read(12)
        if not start:
            raise OSError("the file is empty") from None
        if start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS:
            return _open_heif(path)
        if start[:4] in _TIFF_STARTS:
            return None
        raise


def _open_heif(path: Path) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise OSError(
            "HEIC pictures need the package pillow-heif, which is not installed: "
            "run pip install 'ccsr[heif]'"
        ) from error
    pillow_heif.register_heif_opener()
    return Image.open(path, formats=["HEIF"])
