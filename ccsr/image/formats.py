"""What each file format can hold, and the check that comes before any work."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, get_args

from ccsr.choices import FileFormat, Policy
from ccsr.image import exr
from ccsr.image.metadata import POLICIES, Metadata
from ccsr.image.picture import Picture, Several, Size
from ccsr.plain import is_number, is_whole, plain


class Named(Protocol):
    """A path, or what stands for one."""

    @property
    def suffix(self) -> str:
        """The end of its name, with a dot."""


@dataclass(frozen=True)
class Format:
    """A format that can be written.

    Attributes:
        pillow: its name in Pillow.
        suffixes: in lower case; the first is given to new files.
        longest: side in pixels.
        most: pixels of a picture.
        alpha: whether it holds transparency.
        depth: bits per channel.
        floats: whether it holds floats, of any value.
        several: what more than one frame can be in it.
        profiles: the kinds of pixels whose colour profile it holds, by channels.
        coded: whether it tells colours by code points (H.273).
        options: of Pillow's writer.
        lossless: likewise, to keep every level; None if it cannot.
        tunable: whether it takes a quality.
        measured: whether it holds a resolution.
    """

    pillow: str
    suffixes: tuple[str, ...]
    longest: int = 2**31 - 1
    most: int = 2**62 - 1
    alpha: bool = True
    depth: int = 8
    floats: bool = False
    several: Several = ""
    profiles: frozenset[int] = frozenset({1, 2, 3, 4})
    coded: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    lossless: dict[str, Any] | None = field(default_factory=dict)
    tunable: bool = False
    measured: bool = True


_COLOUR = frozenset({3, 4})  # grey is stored as colour
FORMATS = {
    "png": Format(
        "PNG", (".png", ".apng"), depth=16, several="animation", coded=True,
        options={"compress_type": zlib.Z_RLE},  # of animations: see ccsr/image/png.py
    ),
    "jpg": Format(
        "JPEG", (".jpg", ".jpeg"), longest=65_500, alpha=False, lossless=None, tunable=True,
        options={"quality": 95, "subsampling": 0},
    ),
    "webp": Format(
        "WEBP", (".webp",), longest=16_383, several="animation", tunable=True, profiles=_COLOUR,
        options={"quality": 95}, lossless={"lossless": True, "exact": True, "quality": 80},
    ),
    "tiff": Format("TIFF", (".tif", ".tiff"), depth=16, floats=True, several="pages"),
    "pfm": Format(
        "PFM", (".pfm",), alpha=False, depth=16, floats=True, profiles=frozenset(), measured=False,
    ),
    "exr": Format("EXR", (".exr",), depth=16, floats=True, measured=False),
    "avif": Format(
        "AVIF", (".avif",), longest=32_768, most=16_384**2, several="animation", lossless=None,
        tunable=True, profiles=_COLOUR, coded=True,
        options={"quality": 90, "subsampling": "4:4:4"},
    ),
    "gif": Format(
        "GIF", (".gif",), longest=65_535, several="animation", lossless=None, profiles=frozenset(),
        measured=False,
    ),
    "bmp": Format("BMP", (".bmp",), most=1_400_000_000, alpha=False, profiles=frozenset()),
}  # fmt: skip
CHOICES: tuple[FileFormat, ...] = get_args(FileFormat)
_BY_SUFFIX = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}
_SAME_AS = {".jfif": ".jpg", ".jpe": ".jpg"}
_ONLY_READ = {
    ".heic", ".heif", ".jp2", ".j2k", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".tga", *_SAME_AS,
}  # fmt: skip
READABLE = frozenset({*_BY_SUFFIX, *_ONLY_READ})


def named_as_image(name: str) -> bool:
    """Whether a file `name` in a folder is taken for an image: by its suffix, if not hidden."""
    return Path(name).suffix.lower() in READABLE and not name.startswith(".")


@dataclass(frozen=True)
class Output:
    """How pictures are written.

    Attributes:
        format: of files whose name is not given; `same` as the input's, or PNG if that is only
            read.
        quality: 1 to 100, of formats that lose something; None for the format's own.
        lossless: lose nothing; a format that always loses something is refused, and a quality.
        background: 8-bit RGB behind transparency in formats without it; None to refuse that.
            Others are refused.
        metadata: what is written of the input's descriptions: all of them, all but the place, or
            nothing but the colour profile.
        dpi: pixels an inch that the file is said to have; None for what the input says.
    """

    format: FileFormat = "png"
    quality: int | None = None
    lossless: bool = False
    background: tuple[int, int, int] | None = None
    metadata: Policy = "keep"
    dpi: float | None = None

    def __post_init__(self) -> None:
        if self.format not in CHOICES:
            raise ValueError(f"format must be one of {' '.join(CHOICES)}, got {self.format!r}")
        if self.quality is not None and not is_whole(self.quality, 1, 100):
            raise ValueError(f"quality must be from 1 to 100, got {self.quality!r}")
        if type(self.lossless) is not bool:
            raise ValueError(f"lossless must be true or false, got {self.lossless!r}")
        if self.quality is not None and self.lossless:
            raise ValueError(
                "lossless keeps every level, so there is no quality to choose: leave out "
                "--quality or --lossless"
            )
        if self.metadata not in POLICIES:
            raise ValueError(f"metadata must be {', '.join(POLICIES)}, got {self.metadata!r}")
        if self.dpi is not None and not is_number(self.dpi, 1, 100_000):
            raise ValueError(f"dpi must be from 1 to 100000, got {self.dpi!r}")
        back = plain(self.background)
        if back is not None and not _is_colour(back):
            raise ValueError(f"background must be three levels from 0 to 255, got {back!r}")
        of_python = {  # what writes files takes no other numbers
            "quality": None if self.quality is None else int(self.quality),
            "dpi": None if self.dpi is None else float(self.dpi),
            "background": None if back is None else tuple(map(int, back)),
        }
        for name, value in of_python.items():
            object.__setattr__(self, name, value)

    def describing(self, metadata: Metadata, size: Size) -> Metadata:
        """What is written of `metadata` beside a picture of `size` (H, W)."""
        written = metadata.under(self.metadata).at(size)
        return written if self.dpi is None else written.printed(self.dpi)


def _is_colour(value: Any) -> bool:
    """Whether something is three levels of eight bits, in order."""
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(is_whole(level, 0, 255) for level in value)
    )


DEFAULT = Output()


def suffix_for(choice: FileFormat, source: str) -> str:
    """Suffix of a new file of the format `choice`, made from one with the suffix `source`."""
    if choice != "same":
        return FORMATS[choice].suffixes[0]
    source = _SAME_AS.get(source.lower(), source.lower())
    return source if source in _BY_SUFFIX else ".png"


def check_output(path: str | Named, output: Output = DEFAULT) -> Format:
    """Make sure, before any file is read, that there can be such a file.

    Args:
        path: its suffix selects the format.
        output: how it will be written.

    Returns:
        The format.

    Raises:
        TypeError: if `output` is no `Output`.
        ValueError: if no format has that suffix, or the format has no such quality, or no use for
            a background.
    """
    if not isinstance(output, Output):
        raise TypeError(
            f"expected an Output, got {type(output).__name__}: make one by Output(quality=90, ...)"
        )
    path = Path(path) if isinstance(path, str) else path
    name = _BY_SUFFIX.get(path.suffix.lower())
    if name is None:
        raise ValueError(
            f"cannot write {path}: no known format has the suffix {path.suffix!r}, "
            f"use one of {' '.join(_BY_SUFFIX)}"
        )
    known = FORMATS[name]
    if known.pillow == "EXR" and not exr.installed():
        raise ValueError(f"cannot write {path}: {exr.needed()}")
    if output.lossless and known.lossless is None:
        raise ValueError(
            f"cannot write {path}: {known.pillow} always loses something: use .png, .webp or "
            ".tif, or leave out --lossless"
        )
    if output.dpi is not None and not known.measured:
        raise ValueError(
            f"cannot write {path}: {known.pillow} does not hold a resolution: use .png, .jpg or "
            ".tif, or leave out --dpi and --print"
        )
    if output.quality is not None and not known.tunable and output.format != "same":
        raise ValueError(
            f"cannot write {path}: {known.pillow} has no quality to choose: use .jpg, .webp or "
            ".avif, or leave out --quality"
        )
    if output.background is not None and known.alpha and output.format != "same":
        raise ValueError(
            f"cannot write {path}: {known.pillow} holds transparency, and no colour shows behind "
            "it: use .jpg, .bmp or .pfm, or leave out --background"
        )
    return known


def check(
    path: str | Named, picture: Picture, size: Size | None = None, output: Output = DEFAULT
) -> Format:
    """Make sure, before any work, that a picture can be written to `path`.

    Args:
        path: its suffix selects the format.
        picture: what will be enlarged; an alpha channel that hides nothing is no transparency.
        size: (H, W) that its first frame is going to have; None for the size that it has.
        output: how it will be written.

    Returns:
        The format.

    Raises:
        ValueError: as `check_output`, or if the format cannot hold the size, alpha or frames.
    """
    known = check_output(path, output)
    for height, width in picture.sizes(size or picture.size):
        if max(height, width) > known.longest:
            raise ValueError(
                f"cannot write {path}: {known.pillow} holds at most {known.longest} pixels a "
                f"side, got {width}x{height}: use .png or .tif"
            )
        if height * width > known.most:
            raise ValueError(
                f"cannot write {path}: {known.pillow} holds at most {known.most / 1e6:.4g} million "
                f"pixels, got {width}x{height}: use .png or .tif"
            )
    if picture.several and known.several != picture.several:
        what, use = _SEVERAL[picture.several]
        raise ValueError(
            f"cannot write {path}: {known.pillow} does not hold the {len(picture.frames)} {what} "
            f"of the picture: use {use}"
        )
    if picture.has_alpha and not known.alpha and output.background is None:
        raise ValueError(
            f"cannot write {path}: {known.pillow} has no transparency and the picture has: use "
            ".png, .webp or .tif, or put a colour behind it by --background"
        )
    return known


_SEVERAL = {"animation": ("frames", ".png, .webp or .gif"), "pages": ("pages", ".tif")}
