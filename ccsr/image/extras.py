"""What a file holds beside its pixels that Pillow does not tell, or does not read.

Its colours, where something else than an ICC profile tells them; and all that is left behind when
its pixels are taken: other pictures, streams, blocks, bits.
"""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ExifTags, Image

from ccsr.image import bmp, boxes, dds, gif, jpeg, png, profiles
from ccsr.image.profiles import Colours
from ccsr.image.tiff_directories import are_reduced

_IPTC = 1028  # of Photoshop
_MEDIA_TAG, _ADOBE_NAME = 1, "R03"  # of EXIF's interoperability: which colours a camera uses
_BITS, _DIRECTORIES = 258, 330  # of a TIFF: of its channels; below a page
_CREDENTIALS = "content credentials"  # signed statements of where a picture comes from (C2PA)
_CREDENTIALS_TAG = 52545  # of a TIFF
_WEBP = {  # chunks that are read
    b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ",
}  # fmt: skip
_THUMBNAILS = {1033, 1036}  # of Photoshop
_OF_CAMERAS = ("JPEG", "WEBP", "HEIF")
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_SHOWN = {  # chunks of PNG that are read, or say nothing about an enlargement
    b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"cICP", b"iCCP",
    b"sRGB", b"gAMA", b"cHRM", b"eXIf", b"pHYs", b"sBIT", b"hIST", b"bKGD", b"iDOT",
}  # fmt: skip
_MASTERING = {b"mDCV", b"cLLI", b"mDCv", b"cLLi"}
_GAIN_MAP = (b"hdrgm", b"urn:iso:std:iso:ts:21496", b"HDRGainMap", b"hdrgainmap")
_SEGMENTS = (  # of JPEG, that are read, told otherwise, or say nothing about an enlargement
    b"JFIF\0", b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"MPF\0",
    b"urn:iso:std:iso:ts:21496", b"Photoshop 3.0\0", b"Adobe", b"Ducky", b"AVI1",
)  # fmt: skip
_RESOLUTION = 1005  # of Photoshop
_BLOCKS_TOLD = {_IPTC, _RESOLUTION, 1061}  # of Photoshop's; the resolution and a sum of IPTC


class Extras(NamedTuple):
    """What a file says beside what Pillow tells.

    Attributes:
        colours: what its levels mean; None for sRGB, or where a profile says it.
        profile: ICC bytes that Pillow does not read.
        turn: the EXIF orientation of what was decoded upright.
        narrow: whether black is level 16 and white 235 (of 8 bits), as in films.
        left: what is not read, by names for a person.
    """

    colours: Colours | None = None
    profile: bytes | None = None
    narrow: bool = False
    turn: int = 1
    left: tuple[str, ...] = ()


def of(image: Image.Image, path: Path) -> Extras:
    """What an opened file says beside what Pillow tells, even if parts of it are damaged.

    XMP of GIF, which Pillow does not read, is put into `image.info`.
    """
    told = _OF.get(str(image.format), _nothing)
    with suppress(Exception):  # hostile bytes: the pixels are what counts
        extras = told(image, path)
        colours = extras.colours or _by_exif(image)
        has_profile = bool(image.info.get("icc_profile") or extras.profile)
        if has_profile and (colours is None or image.format != "PNG" or colours.code is None):
            colours = None  # which says more; but of PNG, code points come first
        return extras._replace(colours=colours, left=tuple(dict.fromkeys(extras.left)))
    return Extras()


def _nothing(image: Image.Image, path: Path) -> Extras:
    return Extras()


def _by_exif(image: Image.Image) -> Colours | None:
    """Adobe RGB, as cameras tell it."""
    if image.format not in _OF_CAMERAS:  # to look for it, some would decode
        return None
    details = image.getexif().get_ifd(ExifTags.IFD.Exif)
    name = image.getexif().get_ifd(ExifTags.IFD.Interop).get(_MEDIA_TAG, "")
    if str(name).startswith(_ADOBE_NAME) or details.get(ExifTags.Base.ColorSpace) == 2:
        return profiles.adobe()
    return None


def _of_png(image: Image.Image, path: Path) -> Extras:
    code, end = b"", 0
    names: dict[str, None] = {}
    with png.mapped(path) as data:
        for kind, content, part in png.chunks(data):
            end = part.stop + 4
            if kind == b"cICP" and not code:
                code = content
            if not _is_read(kind, content):
                names[_name(kind)] = None
        left = [*names, *_rest(data[end:])]
    if getattr(image, "is_animated", False) and image.info.get("default_image"):
        left.append("default picture")
    left += _aspect(*image.info.get("aspect", (1, 1)))
    if len(code) == 4:
        colours = profiles.of_code(code[0], code[1])
        if colours is None:  # code points come first, and these say sRGB
            image.info.pop("icc_profile", None)
        return Extras(colours, None, code[3] == 0, left=tuple(left))
    return Extras(profiles.of_png(image.info), left=tuple(left))


def _aspect(across: int, down: int) -> list[str]:
    """What is lost of pixels that are not square, as a file says without a unit."""
    return [f"pixel aspect {across}:{down}"] if across != down and across and down else []


def _is_read(kind: bytes, content: bytes) -> bool:
    return kind in _SHOWN or (kind in _TEXTS and content.startswith(b"XML:com.adobe.xmp"))


def _name(kind: bytes) -> str:
    if kind in _TEXTS:
        return "text"
    if kind in _MASTERING:
        return "HDR mastering data"
    return _CREDENTIALS if kind == b"caBX" else f"chunk {kind.decode('ascii', 'replace')}"


def _of_jpeg(image: Any, path: Path) -> Extras:
    left = []
    blocks = image.info.get("photoshop", {})
    left += ["IPTC"] if _IPTC in blocks else []
    left += ["Photoshop resources"] if set(blocks) - _BLOCKS_TOLD else []
    left += ["comment"] if "comment" in image.info else []
    parts = any(content.startswith(b"ICC_PROFILE\0") for _, content in image.applist)
    left += ["colour profile (damaged)"] if parts and not image.info.get("icc_profile") else []
    left += [_segment(*each) for each in image.applist if not each[1].startswith(_SEGMENTS)]
    left = [name for name in left if name]
    if image.info.get("jfif_unit") == 0:
        left += _aspect(*image.info.get("jfif_density", (1, 1)))
    return Extras(left=(*left, *_behind(image, path.read_bytes())))


def _segment(marker: str, content: bytes) -> str:
    """What a segment that is not read is called; nothing for a comment, which is told already."""
    if marker == "COM":
        return ""
    if content.startswith(b"http://ns.adobe.com/xmp/extension/"):
        return "extended XMP"
    if marker == "APP11" and b"c2pa" in content:
        return _CREDENTIALS
    if content.startswith(b"JFXX\0"):
        return "thumbnail"
    name = re.match(rb"[\x21-\x7e]{2,16}", content)
    return f"segment {name[0].decode() if name else marker}"


def _behind(image: Any, data: bytes) -> Iterator[str]:
    """What follows the picture in a JPEG."""
    rest = jpeg.behind(data)
    heads = b"".join(content for _, content in image.applist)
    video = b"ftyp" in rest[:4096] or b"MotionPhoto_Data" in rest
    pictures = b"\xff\xd8\xff" in rest
    if video:
        yield "motion video"
    if pictures and any(word in heads or word in rest for word in _GAIN_MAP):
        yield "gain map"
    elif pictures and "mp" in image.info:
        yield "further pictures"
    elif not video and rest.strip(b"\0\r\n \xff"):
        yield "bytes behind the picture"


def _of_heif(image: Image.Image, path: Path) -> Extras:
    facts = boxes.heif_facts(path.read_bytes())
    left = list(facts.others)
    if image.format == "HEIF" and getattr(image, "n_frames", 1) > 1:
        left.append("further pictures")
    # of a HEIC, whose pixels come upright and its EXIF without orientation; of AVIF both stay
    turn = image.info.get("original_orientation") if facts.turned else None
    return Extras(
        profiles.of_code(*facts.nclx) if facts.nclx else None,
        turn=turn if isinstance(turn, int) and 1 <= turn <= 8 else 1,
        left=(*left, *_deep(facts)),
    )


def _deep(facts: boxes.Facts) -> list[str]:
    cut = facts.bits is not None and facts.bits > 8
    return [f"precision ({facts.bits} bits read as 8)"] if cut else []


def _of_webp(image: Image.Image, path: Path) -> Extras:
    data = path.read_bytes()
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    left, place = [], 12
    while place + 8 <= end:
        kind = data[place : place + 4]
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if kind not in _WEBP:
            credentials = kind == b"C2PA"
            left.append(_CREDENTIALS if credentials else f"chunk {kind.decode('latin-1').strip()}")
        place += 8 + length + length % 2
    return Extras(left=(*left, *_rest(data[end:])))


def _rest(data: bytes) -> list[str]:
    """What follows a picture that says where it ends; padding is nothing."""
    return ["bytes behind the picture"] if data.strip(b"\0\r\n ") else []


def _of_jpeg2000(image: Image.Image, path: Path) -> Extras:
    facts = boxes.jpeg2000_facts(path.read_bytes())
    left = [] if image.mode == "I;16" else _deep(facts)
    return Extras(None, facts.profile, left=(*facts.others, *left))


def _of_psd(image: Any, path: Path) -> Extras:
    resources = {number: data for number, _, data in image.resources}
    left = ["IPTC"] if _IPTC in resources else []
    left += [] if _THUMBNAILS.isdisjoint(resources) else ["thumbnail"]
    if _RESOLUTION in resources:  # of 16.16 bits, always an inch
        across, down = struct.unpack_from(">I4xI", resources[_RESOLUTION] + bytes(12))
        image.info.setdefault("dpi", (across / 65536, down / 65536))
    if image.unread:
        left.append(_channels(image.unread))
    with suppress(Exception):  # layers that cannot be told apart
        left += ["layers"] if image.layers else []
    return Extras(left=tuple(left))


def _of_gif(image: Image.Image, path: Path) -> Extras:
    file = gif.parse(path.read_bytes())
    if file.xmp:
        image.info.setdefault("xmp", file.xmp)
    left = ["comment"] if file.comment else []
    left += [_CREDENTIALS] if file.credentials else []
    return Extras(None, file.profile, left=(*left, *_aspect(*file.aspect), *_rest(file.rest)))


def _of_bmp(image: Image.Image, path: Path) -> Extras:
    colours, profile = bmp.colours(path)
    lost = ("transparency",) if bmp.loses_alpha(path, image.size) else ()
    return Extras(colours, profile, left=lost)


def _of_dds(image: Image.Image, path: Path) -> Extras:
    return Extras(left=dds.left(path))


def _of_tiff(image: Any, path: Path) -> Extras:
    bits = max(image.tag_v2.get(_BITS, (1,)))
    cut = image.mode == "CMYK" and bits > 8
    left = [f"precision ({bits} bits read as 8)"] if cut else []
    if _CREDENTIALS_TAG in image.tag_v2:
        left.append(_CREDENTIALS)
    if image.unread:
        left.append(_channels(image.unread))
    below = image.tag_v2.get(_DIRECTORIES, ())
    if below and not are_reduced(path, [below] if isinstance(below, int) else below):
        left.append("further pictures")
    return Extras(left=tuple(left))


def _channels(unread: int) -> str:
    return f"further channels ({unread})"


def _of_exr(image: Any, path: Path) -> Extras:
    return Extras(profiles.of_linear(image.chromaticities), left=image.left)


def _of_sgi(image: Image.Image, path: Path) -> Extras:
    with path.open("rb") as file:
        deep = file.read(4)[3:] == b"\2"
    return Extras(left=("precision (16 bits read as 8)",) if deep else ())


def _of_ico(image: Image.Image, path: Path) -> Extras:
    return Extras(left=("smaller sizes",) if len(image.info.get("sizes", ())) > 1 else ())


def _of_ppm(image: Any, path: Path) -> Extras:
    """Whether another picture follows; of numbers that are written as texts none can."""
    tile = image.tile[0]
    if tile.codec_name == "ppm_plain":
        return Extras()
    bits = 1 if image.mode == "1" else 8 * len(image.getbands())
    deep = image.mode == "I" or (tile.codec_name == "ppm" and tile.args[1] > 255)
    with path.open("rb") as file:
        file.seek(tile.offset + -(-bits * image.width // 8) * (1 + deep) * image.height)
        rest = file.read(64).lstrip()
        file.seek(0)
        comment = b"#" in file.read(tile.offset)
    further = bool(re.match(rb"P[1-7]\s", rest))
    return Extras(left=("comment",) * comment + ("further pictures",) * further)


def _of_tga(image: Image.Image, path: Path) -> Extras:
    with path.open("rb") as file:
        named = file.read(1) != b"\0"
    return Extras(left=("comment",) if named else ())


_OF: dict[str, Callable[[Image.Image, Path], Extras]] = {
    "PNG": _of_png,
    "JPEG": _of_jpeg,
    "HEIF": _of_heif,
    "AVIF": _of_heif,
    "WEBP": _of_webp,
    "TGA": _of_tga,
    "JPEG2000": _of_jpeg2000,
    "PSD": _of_psd,
    "GIF": _of_gif,
    "BMP": _of_bmp,
    "DDS": _of_dds,
    "TIFF": _of_tiff,
    "EXR": _of_exr,
    "SGI": _of_sgi,
    "ICO": _of_ico,
    "PPM": _of_ppm,
}
