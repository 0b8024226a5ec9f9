"""Reading picture files: what they are is decided by their content, and checked before decoding."""

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from ccsr.device import NoRoomError
from ccsr.image import (
    deep,
    demand,
    extras,
    gif,
    icons,
    metadata,
    pfm,
    profiles,
    tiff,
    tiff_directories,
)
from ccsr.image.demand import Demand
from ccsr.image.extras import Extras
from ccsr.image.limits import check_frames, check_pixels, too_many_pixels
from ccsr.image.modes import Levels, highest, levels, spread, turned
from ccsr.image.pfm import PfmFile
from ccsr.image.picture import Picture, Size

# None that runs another program (EPS) or only draws (WMF). TGA, with no word to know it by, last.
_FORMATS = [
    "PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "JPEG2000", "PPM",
    "DIB", "ICO", "PCX", "SGI", "QOI", "PSD", "DDS", "TGA",
]  # fmt: skip
_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_NEVER_READ = {  # by places where a text stands
    "JPEG XL": [(0, b"\xff\x0a"), (4, b"JXL \r\n")],
    "PDF": [(0, b"%PDF")],
    "PostScript": [(0, b"%!PS"), (0, b"\xc5\xd0\xd3\xc6")],
    "SVG": [(0, b"<svg"), (0, b"<?xml")],
    "a raw photo": [(4, b"ftypcrx "), (0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIU\0")],
    "a film": [(4, b"ftypmp4"), (4, b"ftypisom"), (4, b"ftypqt  "), (0, b"\x1aE\xdf\xa3")],
}
_DEFAULT_DURATION = 100  # ms
_KEY_FACTORS = {"L;2": 85, "L;4": 17}  # by how Pillow unpacks the pixels


class Header(NamedTuple):
    """What is known before decoding.

    Attributes:
        size: (h, w) of the first frame, upright.
        frames: their number; at least 1.
        animated: whether they are the frames of an animation, not pages.
        demand: the memory that they are likely to need.
    """

    size: Size
    frames: int
    animated: bool
    demand: Demand


def probe(path: str | Path) -> Header:
    """Look at the header only.

    Raises:
        OSError: see `read`.
    """
    path = Path(path)
    with _sentences(path), _open(path) as image:
        numbers, needed = _numbers(image, path)
        image.seek(numbers[0])
        size = image.height, image.width
        if image.format != "TIFF" and metadata.orientation(image) >= 5:  # Pillow turns TIFF
            size = size[::-1]
        animated = len(numbers) > 1 and image.format != "TIFF"
        return Header(size, len(numbers), animated, needed)


def read(path: str | Path) -> Picture:
    """Decode a file: upright levels, all frames, and what it says about itself.

    Args:
        path: of a file; its suffix does not matter.

    Raises:
        OSError: if there is no such file, or it is not a picture, damaged, or larger than
            `limit_pixels` or `limit_frames` allow.
        NoRoomError: if decoding it is likely to take more memory than is free.
    """
    path = Path(path)
    with _sentences(path), _open(path) as image:
        numbers, needed = _numbers(image, path)
        needed.check((image.height, image.width), len(numbers))
        if isinstance(image, tiff.TiffFile):
            return _pages(image, path, numbers)
        if image.format == "GIF":
            return _gif(image, path)
        if len(numbers) > 1:
            return _animation(image, path, numbers)
        image.seek(numbers[0])
        return _still(image, path)


def _numbers(image: Image.Image, path: Path) -> tuple[list[int], Demand]:
    """Of the frames or pages, once they are known to be within the limits, and what they need."""
    pixels = image.width * image.height
    check_pixels(pixels)  # first: their number may take a look at the whole file
    if isinstance(image, tiff.TiffFile):
        return _page_numbers(image, path)
    if image.format not in _ANIMATED:
        # of PSD, whose layers are frames to Pillow, the whole picture is 1
        return [image.tell()], demand.of(image)
    if image.format == "GIF":
        frames = len(gif.parse(path.read_bytes()).frames)
    else:
        frames = int(getattr(image, "n_frames", 1))
    check_frames(frames)
    first = int(frames > 1 and bool(image.info.get("default_image")))
    check_pixels(pixels * (frames - first))
    return list(range(first, frames)), demand.of(image).times(frames - first)


def _page_numbers(image: tiff.TiffFile, path: Path) -> tuple[list[int], Demand]:
    """Of the pages that are no reduced copies of others."""
    numbers = []
    needed = Demand()
    pixels = 0
    for number in range(tiff_directories.count(path)):
        image.seek(number)
        if not image.at_page():
            continue
        pixels += image.width * image.height
        check_pixels(pixels)
        needed = needed.plus(demand.of(image))
        numbers.append(number)
    if not numbers:
        raise OSError("it holds reduced copies of a picture only")
    return numbers, needed


def _still(image: ImageFile, path: Path) -> Picture:
    converted = image.mode == "CMYK"
    # decoded, a TIFF forgets it, and before that some PNG do not know it
    turn = metadata.orientation(image) if image.format == "TIFF" else 1
    beside = extras.of(image, path)
    values = _frame(image, path)
    picture = _described(image, (values,), beside, max(turn, metadata.orientation(image)))
    if not converted:
        return picture
    # to sRGB, which needs no profile
    return replace(
        picture,
        metadata=replace(picture.metadata, profile=None, code=None),
        notes=("CMYK converted to RGB",),
    )


def _described(
    image: Image.Image, frames: tuple[Levels, ...], beside: Extras, turn: int
) -> Picture:
    """Frames with what the decoded image, and its file beside it, say."""
    channels = frames[0].shape[2]
    described, gone = metadata.collect(image, (frames[0].shape[0], frames[0].shape[1]), turn)
    if beside.colours:
        profile = beside.colours.profile(channels)
        described = replace(described, profile=profile, code=beside.colours.code)
    elif beside.profile and not described.profile:
        described = replace(described, profile=beside.profile)
    if described.profile and not described.code:
        described = replace(described, code=profiles.code_in(described.profile))
    if beside.narrow:
        frames = tuple(map(spread, frames))
    notes = ("narrow range spread to full",) if beside.narrow else ()
    fitting = described.fitting(channels)
    if described.profile and not fitting.profile and image.mode != "CMYK":
        gone = (*gone, "colour profile (of another kind of pixels)")
    return Picture(frames, fitting, notes=notes, dropped=(*beside.left, *gone))


def _frame(image: ImageFile, path: Path) -> Levels:
    """Upright levels of the frame that `image` is at."""
    if isinstance(image, tiff.TiffFile):
        values = tiff.levels(image, path)
    elif isinstance(image, PfmFile):
        values = image.levels(path)
    elif deep.is_deep(image):
        values = deep.read(image, path)
    else:
        _rescale_key(image)
        image.load()
        values = levels(image)
    if image.format == "PSD" and image.mode == "1":  # where 1 is ink, to all but Pillow
        values = 255 - values
    return turned(values, metadata.orientation(image))


def _rescale_key(image: Image.Image) -> None:
    """Bring the transparent grey of a PNG, given as it is stored, to the 8 bits of the pixels."""
    key = image.info.get("transparency")
    tiles = getattr(image, "tile", ())
    if image.format == "PNG" and isinstance(key, int) and tiles:
        image.info["transparency"] = key * _KEY_FACTORS.get(str(tiles[0][3]), 1)


def _gif(image: Image.Image, path: Path) -> Picture:
    beside = extras.of(image, path)
    file = gif.parse(path.read_bytes())
    image.load()
    frames = _same_kind(list(gif.shown(file)), by_content=True)
    picture = _described(image, frames, beside, 1)
    if len(frames) == 1:
        return picture
    loop = 1 if file.repetitions is None else file.repetitions and file.repetitions + 1
    durations = [f.duration if f.duration is not None else _DEFAULT_DURATION for f in file.frames]
    return replace(picture, durations=tuple(durations), loop=loop)


def _animation(image: Image.Image, path: Path, numbers: list[int]) -> Picture:
    frames: list[Levels] = []
    durations: list[float] = []
    beside = extras.of(image, path)
    for number in numbers:
        image.seek(number)
        image.load()
        frames.append(turned(levels(image), metadata.orientation(image)))
        durations.append(float(image.info.get("duration", _DEFAULT_DURATION)))
    same = _same_kind(frames)
    picture = _described(image, same, beside, metadata.orientation(image))
    # Pillow does not say it of AVIF, which browsers repeat
    loop = 0 if image.format == "AVIF" else image.info.get("loop", 1)
    return replace(picture, durations=tuple(durations), loop=loop)


def _pages(image: tiff.TiffFile, path: Path, numbers: list[int]) -> Picture:
    pages: list[Picture] = []
    for number in numbers:
        image.seek(number)
        pages.append(_still(image, path))
    dropped = dict.fromkeys(name for page in pages for name in page.dropped)
    if image.masked:
        dropped["transparency mask"] = None
    frames = tuple(page.frames[0] for page in pages)
    return replace(pages[0], frames=frames, dropped=tuple(dropped))


def _same_kind(frames: list[Levels], by_content: bool = False) -> tuple[Levels, ...]:
    """Frames with the same channels: alpha and colour as soon as one of them needs it."""
    alpha = any(frame.shape[2] in (2, 4) for frame in frames)
    if by_content:
        alpha = any((frame[..., -1] < 255).any() for frame in frames)
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
    opaque = np.full_like(values[..., :1], highest(values))
    return np.concatenate((hues, values[..., -1:] if has_alpha else opaque), axis=2)


@contextmanager
def steady_warnings() -> Iterator[None]:
    """Ignore the warnings of decoders: of damaged metadata, and the pixels are what counts.

    To be used around threads that read: filters that they set for themselves undo each other's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file becomes an OSError that names it."""
    try:
        with steady_warnings():
            yield
    except Image.DecompressionBombError as error:
        raise OSError(f"cannot read {path}: {too_many_pixels()}") from error
    except NoRoomError as error:
        raise NoRoomError(f"cannot read {path}: {error}") from error
    except UnidentifiedImageError as error:
        raise OSError(f"cannot read {path}: {_not_identified(path)}") from error
    except MemoryError as error:
        raise OSError(f"cannot read {path}: the memory does not suffice to decode it") from error
    except Exception as error:  # decoders meet hostile bytes with anything: struct, zlib, Index...
        raise OSError(f"cannot read {path}: {_reason(error)}") from error


def _not_identified(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    for kind, begins in _NEVER_READ.items():
        if any(start[place:].startswith(text) for place, text in begins):
            return f"not an image of a known kind: {kind} is not read, convert it to PNG first"
    if start.startswith(b"8BPS"):
        return "not an image of a known kind, or damaged: of Photoshop 8 bits per channel are read"
    return "not an image of a known kind, or damaged"


def _reason(error: Exception) -> str:
    """Our own sentences and the system's as they are; decoders speak of their own matters."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    *_, innermost = traceback.walk_tb(error.__traceback__)
    if innermost[0].f_globals.get("__name__", "").startswith("ccsr."):
        return str(error)
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"it is damaged, or stored in a way that is not known here ({detail})"


def _open(path: Path) -> ImageFile:
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        raise OSError("the file is empty")
    if start[:4] in tiff_directories.STARTS:
        return tiff.open_file(path)
    if start[:2] in pfm.STARTS:
        return pfm.open_file(path)
    check_pixels(icons.largest(path))  # before Pillow decodes it
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        if start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS:
            return _open_heif(path)
        raise


def _open_heif(path: Path) -> ImageFile:
    try:
        import pillow_heif
    except ImportError as error:
        raise OSError(
            "HEIC pictures need the package pillow-heif, which is not installed: "
            "run pip install 'ccsr[heif]'"
        ) from error
    pillow_heif.register_heif_opener()
    return Image.open(path, formats=["HEIF"])
