"""Opening picture files: what they are is decided by their content, and what is wrong is said."""

import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from ccsr.device import NoRoomError
from ccsr.distribution import remedy
from ccsr.image import exr, icons, jpeg, pfm, psd, tga, tiff, tiff_directories
from ccsr.image.limits import check_pixels, too_many_pixels

# None that runs another program (EPS) or only draws (WMF). TGA, with no word to know it by, last.
FORMATS = [
    "PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "JPEG2000", "PPM",
    "DIB", "ICO", "PCX", "SGI", "QOI", "DDS", "TGA",
]  # fmt: skip
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_NEVER_READ = {  # by places where a text stands
    "JPEG XL": [(0, b"\xff\x0a"), (4, b"JXL \r\n")],
    "PDF": [(0, b"%PDF")],
    "PostScript": [(0, b"%!PS"), (0, b"\xc5\xd0\xd3\xc6")],
    "SVG": [(0, b"<svg"), (0, b"<?xml")],
    "a raw photo": [(4, b"ftypcrx "), (0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIU\0")],
    "a large Photoshop file (PSB)": [(0, b"8BPS\0\2")],
    "a file of GIMP (XCF)": [(0, b"gimp xcf")],
    "Radiance HDR": [(0, b"#?RADIANCE"), (0, b"#?RGBE")],
    "PAM": [(0, b"P7\n")],
    "a film": [(4, b"ftypmp4"), (4, b"ftypisom"), (4, b"ftypqt  "), (0, b"\x1aE\xdf\xa3")],
}


_filters = ExitStack()  # of the whole process, as Python has them
_inside = 0
_counting = threading.Lock()


@contextmanager
def steady_warnings() -> Iterator[None]:
    """Ignore the warnings of decoders: of damaged metadata, and the pixels are what counts.

    The filters of warnings are the whole process's. Of threads that are here at the same time the
    first one sets them and the last one sets them back, in whatever order they come and go.
    """
    global _inside
    with _counting:
        if _inside == 0:
            _filters.enter_context(warnings.catch_warnings(action="ignore"))
        _inside += 1
    try:
        yield
    finally:
        with _counting:
            _inside -= 1
            if _inside == 0:
                _filters.close()


@contextmanager
def sentences(path: Path) -> Iterator[None]:
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
        raise NoRoomError(
            f"cannot read {path}: the memory does not suffice to decode it"
        ) from error
    except Exception as error:  # decoders meet hostile bytes with anything: struct, zlib, Index...
        raise OSError(f"cannot read {path}: {_reason(error)}") from error


def _not_identified(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(jpeg.START):
        return jpeg.unread(path.read_bytes()) or "it is a damaged JPEG"
    for kind, begins in _NEVER_READ.items():
        if any(start[place:].startswith(text) for place, text in begins):
            return f"not an image of a known kind: {kind} is not read, convert it to PNG first"
    if start.lower().startswith((b"<!doctype html", b"<html")):
        return "it is a page of the web, maybe what a server said instead of sending the picture"
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
    if "MAX_TEXT" in str(error):  # as Pillow says it of PNG
        return (
            "a text or profile in it unpacks to more than 16 megabytes, which may be a "
            "decompression bomb: save it without first"
        )
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"it is damaged, or stored in a way that is not known here ({detail})"


def open_file(path: Path) -> ImageFile:
    """The opened, not yet decoded file.

    Raises:
        UnidentifiedImageError: if it is of no known kind.
        DecompressionBombError: if opening it would decode more pixels than are allowed.
        OSError: if it cannot be read, or needs a package that is not installed.
    """
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        raise OSError("the file is empty")
    if start[:4] in tiff_directories.STARTS:
        return tiff.open_file(path)
    if start[:2] in pfm.STARTS:
        return pfm.open_file(path)
    if start[:4] == exr.START:
        return exr.open_file(path)
    if start[:4] == psd.START:
        return psd.open_file(path)
    check_pixels(icons.largest(path))  # before Pillow decodes it
    try:
        opened = Image.open(path, formats=FORMATS)
        if opened.format == "MPO":  # a JPEG with others behind it, of which Pillow makes frames
            opened.format = "JPEG"
        if opened.format == "TGA" and path.stat().st_size < tga.FOOTER:  # which Pillow looks for
            return Image.open(BytesIO(path.read_bytes().ljust(tga.FOOTER, b"\0")), formats=["TGA"])
        return opened
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
            f"run {remedy('heif')}"
        ) from error
    pillow_heif.register_heif_opener()
    return Image.open(path, formats=["HEIF"])
