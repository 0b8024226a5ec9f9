"""What a file says about a picture, and the part of it that is still true when enlarged."""

import contextlib
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

Policy: TypeAlias = Literal["keep", "no-gps", "strip"]

_BASE, _EXIF, _GPS = ExifTags.Base, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
_XMP_TAG = 700
LARGEST_XMP = 1 << 18  # bytes; what is longer is an editor's history or an attack
# The first directory also describes how a TIFF stores its pixels, thumbnails included: only
# what describes the picture is taken from it.
_KEPT = {
    _BASE.DocumentName, _BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.PageName,
    _BASE.XResolution, _BASE.YResolution, _BASE.ResolutionUnit, _BASE.Software, _BASE.DateTime,
    _BASE.Artist, _BASE.HostComputer, _BASE.Copyright, _BASE.Rating, _BASE.RatingPercent,
    _BASE.XPTitle, _BASE.XPComment, _BASE.XPAuthor, _BASE.XPKeywords, _BASE.XPSubject,
}  # fmt: skip
_SIZES = {_BASE.ExifImageWidth, _BASE.ExifImageHeight}
_LONGEST_SEGMENT = 65_000  # of a JPEG, with room for its own header
_PROFILE_SPACE = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}

_STALE_XMP = (
    rb"tiff:(?:Orientation|ImageWidth|ImageLength)|exif:Pixel[XY]Dimension"
    rb"|xmp:Thumbnails|xap:Thumbnails|xmpGImg:\w+"
)
_GPS_XMP = rb"exif:GPS\w+"


@dataclass(frozen=True)
class Metadata:
    """Descriptions that go with the pixels.

    Attributes:
        profile: ICC bytes.
        exif: without orientation, sizes and thumbnail, starting with the word Exif.
        xmp: likewise.
        dpi: (horizontal, vertical).
    """

    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    def fitting(self, channels: int) -> "Metadata":
        """The same without a profile of another kind of pixels."""
        fits = self.profile and self.profile[16:20] == _PROFILE_SPACE[channels]
        return Metadata(self.profile if fits else None, self.exif, self.xmp, self.dpi)

    def directories(self) -> "Directories":
        """The parts of `exif`."""
        if not self.exif:
            return Directories({}, {})
        exif = Image.Exif()
        exif.load(self.exif)
        others = {tag: dict(exif.get_ifd(tag)) for tag in (_EXIF, _GPS)}
        base = {tag: value for tag, value in exif.items() if tag not in others}
        return Directories(base, {tag: content for tag, content in others.items() if content})


class Directories(NamedTuple):
    """EXIF by tag: the first directory, and those it points to."""

    base: dict[int, Any]
    others: dict[int, dict[int, Any]]


def collect(image: Image.Image, policy: Policy = "keep") -> Metadata:
    """What `image` says about itself and stays true of its enlargement.

    Args:
        image: decoded, because some formats say it after the pixels.
        policy: `keep`; `no-gps` without the place (and the maker's notes, which may hold it);
            `strip` nothing but the colour profile, without which colours would change.
    """
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) else None
    if policy == "strip":
        return Metadata(profile)
    return Metadata(
        profile, _exif(image, policy == "no-gps"), _xmp(image, policy == "no-gps"), _dpi(image)
    )


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none."""
    with contextlib.suppress(Exception):  # damaged EXIF: as if there were none
        value = int(image.getexif()[_BASE.Orientation])
        return value if 1 <= value <= 8 else 1
    return 1


def save_options(metadata: Metadata, file_format: str, channels: int) -> dict[str, Any]:
    """Arguments of Pillow's `save` that write `metadata` in a format."""
    if file_format == "GIF":
        return {}
    dpi: dict[str, Any] = {"dpi": metadata.dpi} if metadata.dpi else {}
    if file_format == "BMP":
        return dpi
    grey_in_colour = file_format in ("WEBP", "AVIF") and channels < 3
    fitting = metadata.fitting(channels)
    options: dict[str, Any] = {}
    if fitting.profile and not grey_in_colour:
        options["icc_profile"] = fitting.profile
    longest = _LONGEST_SEGMENT if file_format == "JPEG" else 1 << 30
    if metadata.exif and len(metadata.exif) < longest:
        options["exif"] = metadata.exif
    if metadata.xmp and len(metadata.xmp) < longest:
        options |= _xmp_option(metadata.xmp, file_format)
    if file_format in ("JPEG", "PNG", "TIFF"):
        options |= dpi
    return options


def _xmp_option(xmp: bytes, file_format: str) -> dict[str, Any]:
    if file_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        return {"pnginfo": text}
    if file_format == "TIFF":
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        directory.tagtype[_XMP_TAG] = 1  # bytes
        directory[_XMP_TAG] = xmp
        return {"tiffinfo": directory}
    return {"xmp": xmp}


def _exif(image: Image.Image, no_gps: bool) -> bytes | None:
    with contextlib.suppress(Exception):  # damaged EXIF is no reason to lose the picture
        source = image.getexif()
        details = dict(source.get_ifd(_EXIF))
        place = {} if no_gps else dict(source.get_ifd(_GPS))
        for tag in _SIZES | ({_BASE.MakerNote} if no_gps else set()):
            details.pop(tag, None)
        kept = Image.Exif()
        for tag in _KEPT & set(source):
            kept[tag] = source[tag]
        if details:
            kept.get_ifd(_EXIF).update(details)
        if place:
            kept.get_ifd(_GPS).update(place)
        return kept.tobytes() if len(kept) or details or place else None
    return None


def _xmp(image: Image.Image, no_gps: bool) -> bytes | None:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if not isinstance(xmp, bytes) or not 0 < len(xmp) <= LARGEST_XMP:
        return None
    xmp = without(xmp, _STALE_XMP)
    if no_gps:
        xmp = without(xmp, _GPS_XMP)
        if b"GPS" in xmp:  # under a prefix of its own
            return None
    return xmp


def without(xmp: bytes, names: bytes) -> bytes:
    """XMP without the attributes and elements whose qualified name matches `names`."""
    xmp = re.sub(rb"""\s(?:%b)\s*=\s*(?:"[^"]*"|'[^']*')""" % names, b"", xmp)
    xmp = re.sub(rb"<(?:%b)(?:\s[^<>]*)?/>" % names, b"", xmp)
    parts: list[bytes] = []
    end = 0
    for opening in re.finditer(rb"<(%b)(?:\s[^<>]*)?>" % names, xmp):
        closing = b"</" + opening[1] + b">"
        position = xmp.find(closing, opening.end())
        if opening.start() >= end and position >= 0:
            parts.append(xmp[end : opening.start()])
            end = position + len(closing)
    return b"".join(parts) + xmp[end:]


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    with contextlib.suppress(Exception):
        horizontal, vertical = (float(value) for value in image.info["dpi"])
        if 1 <= horizontal <= 1e5 and 1 <= vertical <= 1e5:
            return horizontal, vertical
    return None
