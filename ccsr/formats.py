"""What each file format can hold, and the check that comes before any work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Size = tuple[int, int]
Several = Literal["", "animation", "pages"]


@dataclass(frozen=True)
class Format:
    """A format that can be written.

    Attributes:
        pillow: its name in Pillow.
        suffixes: in lower case; the first is given to new files.
        longest: side in pixels.
        alpha: whether it holds transparency.
        depth: bits per channel.
        several: what more than one frame can be in it.
        options: of Pillow's writer.
        lossless: likewise, to keep every level; None if it cannot.
        tunable: whether it takes a quality.
    """

    pillow: str
    suffixes: tuple[str, ...]
    longest: int = 2**31 - 1
    alpha: bool = True
    depth: int = 8
    several: Several = ""
    options: dict[str, Any] = field(default_factory=dict)
    lossless: dict[str, Any] | None = field(default_factory=dict)
    tunable: bool = False


FORMATS = {
    "png": Format("PNG", (".png", ".apng"), depth=16, several="animation"),
    "jpg": Format(
        "JPEG", (".jpg", ".jpeg"), longest=65_500, alpha=False, lossless=None, tunable=True,
        options={"quality": 95, "subsampling": 0},
    ),
    "webp": Format(
        "WEBP", (".webp",), longest=16_383, several="animation", tunable=True,
        options={"quality": 95}, lossless={"lossless": True, "exact": True, "quality": 80},
    ),
    "tiff": Format(
        "TIFF", (".tif", ".tiff"), depth=16, several="pages",
        options={"compression": "tiff_adobe_deflate"},
    ),
    "avif": Format(
        "AVIF", (".avif",), longest=65_535, several="animation", lossless=None, tunable=True,
        options={"quality": 90, "subsampling": "4:4:4"},
    ),
    "gif": Format("GIF", (".gif",), longest=65_535, several="animation", lossless=None),
    "bmp": Format("BMP", (".bmp",), alpha=False),
}  # fmt: skip
CHOICES = ("same", "png", "jpg", "webp", "tiff", "avif")
_BY_SUFFIX = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}
_ONLY_READ = {".jfif", ".jp2", ".jpe", ".j2k", ".pbm", ".pgm", ".pnm", ".ppm", ".tga"}
HEIC = frozenset({".heic", ".heif"})
READABLE = frozenset({*_BY_SUFFIX, *_ONLY_READ})


@dataclass(frozen=True)
class Encoding:
    """How pictures are written.

    Attributes:
        quality: 1 to 100, of formats that lose something; None for the format's own.
        lossless: lose nothing.
        background: 8-bit RGB behind transparency in formats without it; None to refuse that.
    """

    quality: int | None = None
    lossless: bool = False
    background: tuple[int, int, int] | None = None


def name_of(suffix: str) -> str | None:
    """Key of `FORMATS` for a suffix such as `.JPG`; None for what cannot be written."""
    return _BY_SUFFIX.get(suffix.lower())


def suffix_for(choice: str, source: str) -> str:
    """Suffix of a new file: of the format `choice`; `same` as `source`, or .png if only read."""
    if choice != "same":
        return FORMATS[choice].suffixes[0]
    if source.lower() in (".jfif", ".jpe"):
        return ".jpg"
    return source.lower() if name_of(source) else ".png"


def check_output(
    path: str | Path,
    size: Size | None = None,
    mode: str = "RGB",
    encoding: Encoding | None = None,
    several: Several = "",
) -> Format:
    """Make sure, before any work, that a picture can be written to `path`.

    Args:
        path: its suffix selects the format.
        size: (H, W); None if not known yet.
        mode: L, LA, RGB or RGBA; with an A, part of it is transparent.
        encoding: of the file.
        several: what the frames are, if there is more than one.

    Returns:
        The format.

    Raises:
        ValueError: if no format has that suffix, or the format cannot hold the size, alpha or
            frames, or has no such encoding.
    """
    path = Path(path)
    encoding = encoding or Encoding()
    name = name_of(path.suffix)
    if name is None:
        raise ValueError(
            f"cannot write {path}: no known format has the suffix {path.suffix!r}, "
            f"use one of {' '.join(_BY_SUFFIX)}"
        )
    known = FORMATS[name]
    problem = _problem(known, size, mode, encoding, several)
    if problem:
        raise ValueError(f"cannot write {path}: {known.pillow} {problem}")
    return known


def _problem(
    known: Format, size: Size | None, mode: str, encoding: Encoding, several: Several
) -> str | None:
    if size and max(size) > known.longest:
        return (
            f"holds at most {known.longest} pixels a side, got {size[1]}x{size[0]}: "
            "use .png or .tif"
        )
    if mode.endswith("A") and not known.alpha and encoding.background is None:
        return (
            "has no transparency and the picture has: use .png, .webp or .tif, "
            "or put a colour behind it by --background"
        )
    if several and known.several != several:
        use = ".png, .webp or .gif" if several == "animation" else ".tif"
        return f"does not hold the {_WORDS[several]} that the picture has: use {use}"
    if encoding.lossless and known.lossless is None:
        return "always loses something: use .png, .webp or .tif, or leave out --lossless"
    if encoding.quality is not None and not known.tunable:
        return "has no quality to choose: use .jpg, .webp or .avif, or leave out --quality"
    return None


_WORDS = {"animation": "frames", "pages": "pages"}
