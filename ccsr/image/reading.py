"""Reading picture files: what they are is decided by their content, and checked before decoding."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from PIL.ImageFile import ImageFile

from ccsr.image import (
    apng,
    boxes,
    dds,
    deep,
    demand,
    extras,
    gif,
    jpeg,
    metadata,
    profiles,
    tga,
    tiff,
    tiff_directories,
    unread,
)
from ccsr.image.coding import coding
from ccsr.image.demand import Demand
from ccsr.image.exr import ExrFile
from ccsr.image.extras import Extras
from ccsr.image.limits import check_frames, check_pixels
from ccsr.image.modes import Levels, highest, levels, same_kind, spread, turned, with_channels
from ccsr.image.opening import open_file, sentences
from ccsr.image.pfm import PfmFile
from ccsr.image.picture import Picture, Size
from ccsr.image.psd import PsdFile

_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_DEFAULT_DURATION = 100  # ms
_MAYBE_ALPHA = {"BMP", "DIB"}  # whose fourth byte is nothing if it is 0 everywhere
# By how Pillow unpacks the pixels of a PNG: the bits of a transparent value that count, the factor.
_KEYS = {"L;2": (3, 85), "L;4": (15, 17), "L": (255, 1), "RGB": (255, 1)}


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
    with sentences(path), open_file(path) as image:
        numbers, needed = _numbers(image, path)
        unread.find(image, path)
        image.seek(numbers[0])
        size = image.height, image.width
        turns = not isinstance(image, tiff.TiffFile) or image.turns_with_its_pixels
        if turns and metadata.orientation(image) >= 5:
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
    with sentences(path), open_file(path) as image:
        numbers, needed = _numbers(image, path)
        needed.check((image.height, image.width), len(numbers))
        if image.format == "JPEG":
            jpeg.check(path)
        unread.find(image, path)
        if isinstance(image, tiff.TiffFile):
            return _pages(image, path, numbers)
        if image.format == "GIF":
            return _gif(image, path)
        if image.format == "PNG" and getattr(image, "is_animated", False):
            return _apng(image, path)
        how = coding(image)  # before its file is closed
        if len(numbers) > 1:
            return replace(_animation(image, path, numbers), coding=how)
        image.seek(numbers[0])
        return replace(_still(image, path), coding=how)


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
    turn = max(turn, beside.turn, metadata.orientation(image))
    picture = _described(image, (values,), beside, turn)
    if isinstance(image, ExrFile | tiff.TiffFile):
        picture = replace(picture, dropped=(*picture.dropped, *image.unheld))
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
    if described.profile:
        inks = "CMYK" if image.mode == "CMYK" else ""
        if why := metadata.unfitting(described.profile, channels, inks):
            gone = (*gone, f"colour profile ({why})")
    return Picture(frames, described.fitting(channels), notes=notes, dropped=(*beside.left, *gone))


def _frame(image: ImageFile, path: Path) -> Levels:
    """Upright levels of the frame that `image` is at."""
    if isinstance(image, tiff.TiffFile):
        values = tiff.levels(image, path)
    elif isinstance(image, PfmFile | ExrFile | PsdFile):
        values = image.levels(path)
    else:
        values = _by_pillow(image, path)
    if image.format == "TGA":
        values = tga.told(values, path)
    elif image.format == "DDS":
        values = dds.told(values, path)
    elif image.format in _MAYBE_ALPHA and values.shape[2] == 4 and not values[..., 3].any():
        values = values[..., :3]
    return turned(values, metadata.orientation(image))


def _by_pillow(image: ImageFile, source: Path | BytesIO) -> Levels:
    """Levels of an `image` opened from `source`, not turned, all bits of them."""
    if deep.is_deep(image):
        return deep.read(image, source)
    _rescale_key(image)
    image.load()
    return levels(image)


def _rescale_key(image: Image.Image) -> None:
    """Bring the transparent value of a PNG, given in 16 bits, to the 8 bits of the pixels."""
    key = image.info.get("transparency")
    tiles = getattr(image, "tile", ())
    if image.format != "PNG" or not tiles or str(tiles[0][3]) not in _KEYS:
        return
    mask, factor = _KEYS[str(tiles[0][3])]
    if isinstance(key, int):
        image.info["transparency"] = (key & mask) * factor
    elif isinstance(key, tuple):
        image.info["transparency"] = tuple((value & mask) * factor for value in key)


def _gif(image: ImageFile, path: Path) -> Picture:
    beside = extras.of(image, path)
    file = gif.parse(path.read_bytes())
    image.load()
    frames = list(gif.shown(file))
    colour = bool(file.profile) or any((f[..., :1] != f[..., 1:3]).any() for f in frames)
    alpha = any((frame[..., 3] < 255).any() for frame in frames)
    same = tuple(with_channels(frame, colour, alpha) for frame in frames)
    picture = _described(image, same, beside, 1)
    if len(frames) == 1:
        return picture
    loop = 1 if file.repetitions is None else file.repetitions and file.repetitions + 1
    durations = [f.duration if f.duration is not None else _DEFAULT_DURATION for f in file.frames]
    return replace(picture, durations=tuple(durations), loop=loop)


def _apng(image: ImageFile, path: Path) -> Picture:
    def decode(data: bytes) -> Levels:
        with Image.open(BytesIO(data), formats=["PNG"]) as single:
            return _by_pillow(single, BytesIO(data))

    beside = extras.of(image, path)
    file = apng.parse(path.read_bytes())
    image.load()  # some have descriptions behind the pixels
    turn = metadata.orientation(image)
    frames = list(apng.shown(file, decode))
    kind = file.kind[1]  # not Pillow's mode, which is RGBA for grey of 16 bits with alpha
    colour, has_alpha = bool(kind & apng.COLOUR), bool(kind & apng.ALPHA)
    alpha = has_alpha or any((f[..., 3] < highest(f)).any() for f in frames)
    same = tuple(turned(with_channels(frame, colour, alpha), turn) for frame in frames)
    picture = _described(image, same, beside, turn)
    if len(frames) == 1:
        return picture
    durations = tuple(frame.duration for frame in file.frames)
    return replace(picture, durations=durations, loop=file.loop)


def _animation(image: Image.Image, path: Path, numbers: list[int]) -> Picture:
    frames: list[Levels] = []
    durations: list[float] = []
    beside = extras.of(image, path)
    for number in numbers:
        image.seek(number)
        image.load()
        frames.append(turned(levels(image), metadata.orientation(image)))
        durations.append(float(image.info.get("duration", _DEFAULT_DURATION)))
    same = same_kind(frames)
    picture = _described(image, same, beside, metadata.orientation(image))
    # Pillow does not say it of AVIF
    avif = image.format == "AVIF"
    loop = boxes.repetitions(path.read_bytes()) if avif else image.info.get("loop", 1)
    return replace(picture, durations=tuple(durations), loop=loop)


def _pages(image: tiff.TiffFile, path: Path, numbers: list[int]) -> Picture:
    pages: list[Picture] = []
    for number in numbers:
        image.seek(number)
        pages.append(_still(image, path))
    dropped = dict.fromkeys(name for page in pages for name in page.dropped)
    if image.masked:
        dropped["transparency mask"] = None
    return replace(
        pages[0],
        frames=tuple(page.frames[0] for page in pages),
        pages=tuple(page.metadata for page in pages) if len(pages) > 1 else (),
        notes=tuple(dict.fromkeys(note for page in pages for note in page.notes)),
        dropped=tuple(dropped),
    )
