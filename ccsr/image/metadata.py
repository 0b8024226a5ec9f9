"""What a file says about a picture, and the part of it that is still true when enlarged."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, get_args

from PIL import ExifTags, Image, PngImagePlugin

from ccsr.choices import Policy
from ccsr.image import xmp
from ccsr.image.modes import is_sound
from ccsr.image.profiles import Code

Size: TypeAlias = tuple[int, int]
POLICIES: tuple[Policy, ...] = get_args(Policy)

_BASE, _EXIF, _GPS = ExifTags.Base, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
LARGEST_XMP = 1 << 18  # bytes; what is longer is an editor's history or an attack
# The first directory also describes how a TIFF stores its pixels, thumbnails included: only
# what describes the picture is taken from it.
_KEPT = {
    _BASE.DocumentName, _BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.PageName,
    _BASE.XResolution, _BASE.YResolution, _BASE.ResolutionUnit, _BASE.Software, _BASE.DateTime,
    _BASE.Artist, _BASE.HostComputer, _BASE.Copyright, _BASE.Rating, _BASE.RatingPercent,
    _BASE.XPTitle, _BASE.XPComment, _BASE.XPAuthor, _BASE.XPKeywords, _BASE.XPSubject,
}  # fmt: skip
# How a TIFF stores its pixels and pages; padding; and directories and blocks that are read, or
# named, elsewhere.
_OF_STORAGE = {
    *range(254, 269), 273, 274, *range(277, 282), *range(284, 296), 297, 317, *range(320, 326), 330,
    332, 334, 338, 339, 340, 341, 346, 347, *range(512, 522), *range(529, 533), 559, 700, 32995,
    32996, 32997, 34665, 34675, 34853, 40965, 52545, 59932, 59933,
}  # fmt: skip
# Of the Exif directory what cannot stay: a pointer to a directory that is not copied, and sizes of
# other files.
_STALE = {ExifTags.IFD.Interop, _BASE.RelatedImageWidth, _BASE.RelatedImageLength}
_INCH = 2  # as the unit of a resolution
_SUBJECT_AREA = 37396  # which Pillow has no name for
_POINTS = (_SUBJECT_AREA, _BASE.SubjectLocation)
# Blocks of the first directory that are not read, by what they are called.
_BLOCKS = {
    33723: "IPTC", 34377: "Photoshop resources", 37724: "layers", 34735: "GeoTIFF",
    33550: "GeoTIFF", 33922: "GeoTIFF", 34264: "GeoTIFF", 42112: "GDAL metadata",
    42113: "GDAL metadata", 50838: "ImageJ metadata", 50839: "ImageJ metadata",
}  # fmt: skip
# Descriptions for programs, of the size and order of the smaller pictures, by what they hold.
_STACKS = {'{"shape":': "", "ImageJ=": "ImageJ metadata", "<OME ": "OME metadata"}
_LONGEST_SEGMENT = 65_000  # of a JPEG, with room for its own header
_PROFILE_SPACE = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


@dataclass(frozen=True)
class Metadata:
    """Descriptions that go with the pixels.

    Attributes:
        profile: ICC bytes.
        exif: without orientation and thumbnail, starting with the word Exif.
        xmp: without what describes other pictures and streams of the file.
        dpi: (horizontal, vertical).
        code: primaries and transfer of H.273, where the file tells its colours so; `profile`
            says the same for those who do not know them.
        size: (h, w) of the picture whose pixels `exif` and `xmp` count; None if they count none.
    """

    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    code: Code | None = None
    size: Size | None = field(default=None, compare=False)

    def fitting(self, channels: int) -> "Metadata":
        """The same without a profile of another kind of pixels, or one that is damaged."""
        if self.profile is None or not unfitting(self.profile, channels):
            return self
        return replace(self, profile=None, code=None)

    def under(self, policy: Policy) -> "Metadata":
        """What that policy lets through.

        `keep` all; `no-gps` all but the place (and notes of the camera's maker, which may hold
        it); `strip` nothing but the colours, which would change without.
        """
        if policy == "keep":
            return self
        if policy == "strip":
            return Metadata(self.profile, code=self.code)
        exif = _without_place(self.exif) if self.exif else None
        return replace(self, exif=exif, xmp=xmp.without_place(self.xmp) if self.xmp else None)

    def at(self, size: Size) -> "Metadata":
        """The same for an enlargement to `size` (H, W): what counts pixels is scaled."""
        if self.size is None:
            return self
        before = self.size
        exif = _scaled(self.exif, before, size) if self.exif else None
        text = xmp.scaled(self.xmp, before, size) if self.xmp else None
        return replace(self, exif=exif, xmp=text, size=size)

    def printed(self, dpi: float) -> "Metadata":
        """The same with a resolution of `dpi` pixels an inch, wherever one is told."""
        text = xmp.without_resolution(self.xmp) if self.xmp else None
        exif = _rewritten(self.exif or b"", dict, resolution=dpi)
        return replace(self, exif=exif, xmp=text, dpi=(dpi, dpi))


NOTHING = Metadata()


def unfitting(profile: bytes, channels: int, mode: str = "") -> str:
    """Why pixels of so many channels, or of CMYK, have not a profile, for a person.

    Empty if they have it.
    """
    mode = mode or ("L" if channels < 3 else "RGB")
    if profile[36:40] == b"acsp" and profile[16:20] != _PROFILE_SPACE[mode]:
        return "of another kind of pixels"
    return "" if is_sound(profile, mode) else "damaged"


def collect(image: Image.Image, size: Size, turn: int = 1) -> tuple[Metadata, tuple[str, ...]]:
    """What `image`, decoded, says about itself and stays true of its enlargement.

    Args:
        image: of Pillow.
        size: (h, w), upright.
        turn: the EXIF orientation that it was stored with.

    Returns:
        That, and the names of what is left out.
    """
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) else None
    exif, gone = _exif(image, size, turn)
    text, untrue = _xmp(image, turn)
    dpi = _dpi(image)
    if dpi and turn >= 5:
        dpi = dpi[::-1]
    return Metadata(profile, exif, text, dpi, size=size), (*gone, *untrue)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none (yet: some PNG have it behind the pixels)."""
    with contextlib.suppress(Exception):  # damaged EXIF: as if there were none
        # not by PngImageFile, which would decode to look for it
        value = int(Image.Image.getexif(image)[_BASE.Orientation])
        return value if 1 <= value <= 8 else 1
    return 1


def save_options(metadata: Metadata, file_format: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arguments of Pillow's `save` that write `metadata` in a format, and what it cannot hold."""
    options: dict[str, Any] = {}
    gone = []
    if metadata.dpi and file_format in ("JPEG", "PNG", "BMP"):
        options["dpi"] = metadata.dpi
    elif file_format == "BMP":
        options["dpi"] = (0, 0)  # unknown: else Pillow says 96
    elif metadata.dpi and (file_format == "GIF" or not _tells_resolution(metadata.exif)):
        gone.append("resolution")
    bare = file_format in ("GIF", "BMP")
    if metadata.profile and not bare:
        options["icc_profile"] = metadata.profile
    longest = 0 if bare else _LONGEST_SEGMENT if file_format == "JPEG" else 1 << 30
    if metadata.exif and len(metadata.exif) < longest:
        options["exif"] = metadata.exif
    elif metadata.exif and not _is_resolution(metadata.exif):
        gone.append("EXIF")
    if metadata.xmp and len(metadata.xmp) < longest:
        options |= _xmp_option(metadata.xmp, file_format)
    elif metadata.xmp:
        gone.append("XMP")
    return options, tuple(gone)


def _is_resolution(exif: bytes) -> bool:
    """Whether EXIF says nothing else, as where a resolution was asked for."""
    source = Image.Exif()
    source.load(exif)
    return set(source) <= {_BASE.XResolution, _BASE.YResolution, _BASE.ResolutionUnit}


def _tells_resolution(exif: bytes | None) -> bool:
    source = Image.Exif()
    source.load(exif or b"")
    return _BASE.XResolution in source


def _xmp_option(packet: bytes, file_format: str) -> dict[str, Any]:
    if file_format != "PNG":
        return {"xmp": packet}
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet.decode("utf-8", "replace"))
    return {"pnginfo": text}


def as_stored(value: Any) -> Any:
    """An EXIF value, or a directory of them, for writing.

    Pillow reads texts as Latin-1 but would write them as ASCII.
    """
    if isinstance(value, dict):
        return {key: as_stored(each) for key, each in value.items()}
    beyond = isinstance(value, str) and not value.isascii()
    return value.encode("latin-1", "replace") if beyond else value


def _exif(image: Image.Image, size: Size, turn: int) -> tuple[bytes | None, tuple[str, ...]]:
    with contextlib.suppress(Exception):  # damaged EXIF is no reason to lose the picture
        source = image.getexif()
        kept = Image.Exif()
        stack = _stack(str(source.get(_BASE.ImageDescription, "")))
        for tag in _KEPT & set(source) - ({_BASE.ImageDescription} if stack else set()):
            kept[tag] = as_stored(source[tag])
        details = {t: v for t, v in source.get_ifd(_EXIF).items() if t not in _STALE}
        gone = [name for tag, name in _BLOCKS.items() if tag in source]
        others = sorted(set(source) - _KEPT - _OF_STORAGE - set(_BLOCKS))
        gone += [f"EXIF {ExifTags.TAGS.get(tag, tag)}" for tag in others]
        gone += [name for name in (_STACKS.get(stack),) if name]
        if image.format != "TIFF" and source.get_ifd(ExifTags.IFD.IFD1):  # of TIFF a page
            gone.append("thumbnail")
        upright = _upright(details, size, turn)
        place = dict(source.get_ifd(_GPS))
        return _as_bytes(kept, upright, place), tuple(dict.fromkeys(gone))
    return None, ("damaged EXIF",)


def _stack(description: str) -> str:
    """By what a description is one of a stack of pictures, for programs; empty if it is not."""
    start = description[:2000]
    found = (key for key in _STACKS if start.startswith(key) or (key in start and key[0] == "<"))
    return next(found, "")


def _upright(details: dict[int, Any], size: Size, turn: int) -> dict[int, Any]:
    """Fields that count pixels in a picture that was turned to `size` (h, w)."""
    details = dict(details)
    for tag in _POINTS:
        if tag in details and turn != 1:
            details[tag] = _turned(details[tag], size, turn)
    first, second = _BASE.FocalPlaneXResolution, _BASE.FocalPlaneYResolution
    if turn >= 5 and first in details and second in details:
        details[first], details[second] = details[second], details[first]
    return details


def _turned(place: Any, size: Size, turn: int) -> Any:
    """x, y and, if given, a diameter or a width and height."""
    x, y, *extent = place
    if turn >= 5:  # as the pixels: transposed, then mirrored
        x, y, extent = y, x, extent[::-1]
    if turn in (3, 4, 7, 8):
        y = max(0, size[0] - 1 - y)
    if turn in (2, 3, 6, 7):
        x = max(0, size[1] - 1 - x)
    return (x, y, *extent)


def _scaled(exif: bytes, before: Size, after: Size) -> bytes | None:
    down, across = after[0] / before[0], after[1] / before[1]

    def change(details: dict[int, Any]) -> dict[int, Any]:
        new = dict(details)
        sides = {_BASE.ExifImageWidth: after[1], _BASE.ExifImageHeight: after[0]}
        new |= {tag: side for tag, side in sides.items() if tag in new}
        density = {_BASE.FocalPlaneXResolution: across, _BASE.FocalPlaneYResolution: down}
        new |= {tag: float(new[tag]) * factor for tag, factor in density.items() if tag in new}
        for tag in set(_POINTS) & set(new):
            last = (across * down) ** 0.5 if len(new[tag]) == 3 else across
            factors = (across, down, last, down)
            new[tag] = tuple(round(v * f) for v, f in zip(new[tag], factors, strict=False))
        return new

    with contextlib.suppress(Exception):  # numbers that are none
        return _rewritten(exif, change)
    return exif


def _without_place(exif: bytes) -> bytes | None:
    def change(details: dict[int, Any]) -> dict[int, Any]:
        return {t: v for t, v in details.items() if t != _BASE.MakerNote}

    return _rewritten(exif, change, place=False)


def _rewritten(
    exif: bytes,
    change: Callable[[dict[int, Any]], dict[int, Any]],
    place: bool = True,
    resolution: float | None = None,
) -> bytes | None:
    """EXIF with other details, without the place or with another resolution if so wanted."""
    source = Image.Exif()
    source.load(exif)
    kept = Image.Exif()
    for tag in _KEPT & set(source):
        kept[tag] = as_stored(source[tag])
    if resolution:
        kept[_BASE.XResolution] = kept[_BASE.YResolution] = resolution
        kept[_BASE.ResolutionUnit] = _INCH
    where = dict(source.get_ifd(_GPS)) if place else {}
    return _as_bytes(kept, change(dict(source.get_ifd(_EXIF))), where)


def _as_bytes(kept: Image.Exif, details: dict[int, Any], place: dict[int, Any]) -> bytes | None:
    if details:
        kept.get_ifd(_EXIF).update(as_stored(details))
    if place:
        kept.get_ifd(_GPS).update(as_stored(place))
    return kept.tobytes() if len(kept) or details or place else None


def _xmp(image: Image.Image, turn: int) -> tuple[bytes | None, tuple[str, ...]]:
    text = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(text, str):
        text = text.encode()
    if not isinstance(text, bytes) or not text:
        return None, ()
    if len(text) > LARGEST_XMP:
        return None, ("XMP",)
    return xmp.true_of_pixels(text, turn)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    by_exif = image.format == "TIFF" or (image.format == "JPEG" and not image.info.get("jfif_unit"))
    if by_exif and _BASE.XResolution not in image.getexif():
        return None  # Pillow says 1 dot per inch, or 72
    with contextlib.suppress(Exception):
        horizontal, vertical = (float(value) for value in image.info["dpi"])
        if 1 <= horizontal <= 1e5 and 1 <= vertical <= 1e5:
            return horizontal, vertical
    return None
