"""What a file says about a picture, and the part of it that is still true when enlarged."""

import contextlib
import re
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from PIL import ExifTags, Image, PngImagePlugin

Policy: TypeAlias = Literal["keep", "no-gps", "strip"]
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
_SUBJECT_AREA = 37396  # which Pillow has no name for
# Measured in pixels of the smaller picture, or a pointer to a directory that is not copied.
_STALE = {
    _BASE.ExifImageWidth, _BASE.ExifImageHeight, _SUBJECT_AREA, _BASE.SubjectLocation,
    _BASE.FocalPlaneXResolution, _BASE.FocalPlaneYResolution, _BASE.FocalPlaneResolutionUnit,
    _BASE.RelatedImageWidth, _BASE.RelatedImageLength, ExifTags.IFD.Interop,
}  # fmt: skip
_SHAPE = '{"shape":'  # what tifffile writes as the description: the size of the smaller picture
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

    def under(self, policy: Policy) -> "Metadata":
        """What of it a policy leaves.

        `no-gps` drops the place (and the maker's notes, which may hold it); `strip` all but the
        colour profile, without which colours would change.
        """
        if policy == "keep":
            return self
        if policy == "strip":
            return Metadata(self.profile)
        exif = _without_place(self.exif) if self.exif else None
        return replace(self, exif=exif, xmp=_xmp_without_place(self.xmp) if self.xmp else None)


def collect(image: Image.Image) -> Metadata:
    """What `image`, decoded, says about itself and stays true of its enlargement."""
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) else None
    return Metadata(profile, _exif(image), _xmp(image), _dpi(image))


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none (yet: some PNG have it behind the pixels)."""
    with contextlib.suppress(Exception):  # damaged EXIF: as if there were none
        # not by PngImageFile, which would decode to look for it
        value = int(Image.Image.getexif(image)[_BASE.Orientation])
        return value if 1 <= value <= 8 else 1
    return 1


def save_options(metadata: Metadata, file_format: str) -> dict[str, Any]:
    """Arguments of Pillow's `save` that write `metadata` in a format, as far as it holds it."""
    options: dict[str, Any] = {}
    if metadata.dpi and file_format in ("JPEG", "PNG", "BMP"):
        options["dpi"] = metadata.dpi
    if file_format in ("GIF", "BMP"):
        return options
    if metadata.profile:
        options["icc_profile"] = metadata.profile
    longest = _LONGEST_SEGMENT if file_format == "JPEG" else 1 << 30
    if metadata.exif and len(metadata.exif) < longest:
        options["exif"] = metadata.exif
    if metadata.xmp and len(metadata.xmp) < longest:
        options |= _xmp_option(metadata.xmp, file_format)
    return options


def _xmp_option(xmp: bytes, file_format: str) -> dict[str, Any]:
    if file_format != "PNG":
        return {"xmp": xmp}
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return {"pnginfo": text}


def as_stored(value: Any) -> Any:
    """An EXIF value, or a directory of them, for writing.

    Pillow reads texts as Latin-1 but would write them as ASCII.
    """
    if isinstance(value, dict):
        return {key: as_stored(each) for key, each in value.items()}
    beyond = isinstance(value, str) and not value.isascii()
    return value.encode("latin-1", "replace") if beyond else value


def _exif(image: Image.Image) -> bytes | None:
    with contextlib.suppress(Exception):  # damaged EXIF is no reason to lose the picture
        source = image.getexif()
        kept = Image.Exif()
        for tag in _KEPT & set(source):
            if not str(source[tag]).startswith(_SHAPE):
                kept[tag] = as_stored(source[tag])
        details = {t: v for t, v in source.get_ifd(_EXIF).items() if t not in _STALE}
        return _as_bytes(kept, details, dict(source.get_ifd(_GPS)))
    return None


def _without_place(exif: bytes) -> bytes | None:
    source = Image.Exif()
    source.load(exif)
    details = {t: v for t, v in source.get_ifd(_EXIF).items() if t != _BASE.MakerNote}
    kept = Image.Exif()
    for tag in _KEPT & set(source):
        kept[tag] = as_stored(source[tag])
    return _as_bytes(kept, details, {})


def _as_bytes(kept: Image.Exif, details: dict[int, Any], place: dict[int, Any]) -> bytes | None:
    if details:
        kept.get_ifd(_EXIF).update(as_stored(details))
    if place:
        kept.get_ifd(_GPS).update(as_stored(place))
    return kept.tobytes() if len(kept) or details or place else None


def _xmp(image: Image.Image) -> bytes | None:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if not isinstance(xmp, bytes) or not 0 < len(xmp) <= LARGEST_XMP:
        return None
    return _without(xmp, _STALE_XMP)


def _xmp_without_place(xmp: bytes) -> bytes | None:
    xmp = _without(xmp, _GPS_XMP)
    # under a prefix of its own, as drones write it
    return None if re.search(rb"gps|latitude|longt?itude", xmp, re.IGNORECASE) else xmp


def _without(xmp: bytes, names: bytes) -> bytes:
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
    if image.format == "TIFF" and _BASE.XResolution not in image.getexif():
        return None  # Pillow says 1 dot per inch
    with contextlib.suppress(Exception):
        horizontal, vertical = (float(value) for value in image.info["dpi"])
        if 1 <= horizontal <= 1e5 and 1 <= vertical <= 1e5:
            return horizontal, vertical
    return None
