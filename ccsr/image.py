"""Reading and writing image files, and the way to tensors and back.

The only module that knows 255. Everything it hands out is upright and of mode L, LA, RGB or
RGBA with 8 bits per channel; a colour profile travels in ``image.info["icc_profile"]``.
"""

import io
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from ccsr.files import replacing

Size = tuple[int, int]
Levels: TypeAlias = NDArray[Any]  # (h, w, C) uint8 or uint16: grey, grey + alpha, RGB, RGBA

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
READABLE = frozenset(
    {".avif", ".gif", ".jfif", ".jp2", ".jpe", ".pbm", ".pgm", ".pnm", ".ppm", ".tga", *_FORMATS}
)
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_OPAQUE_ONLY = {"JPEG", "BMP"}
_CHANNELS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_OPAQUE_MODES = {"1": "L", "L": "L"} | dict.fromkeys(("RGB", "RGBX", "YCbCr", "HSV", "LAB"), "RGB")
_ALPHA_MODES = {"LA": "LA", "La": "LA"} | dict.fromkeys(("RGBA", "RGBa", "PA"), "RGBA")
_PROFILE_SPACE = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}


def read(path: str | Path) -> Image.Image:
    """Decode one picture: upright, 8 bit, of mode L, LA, RGB or RGBA.

    Raises:
        OSError: if there is no such file, or it is not an image, damaged, animated, or has
            more pixels than Pillow's limit against decompression bombs.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _refuse_animation(image)
                return upright(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise OSError(
            f"cannot read {path}: it has more than {limit:.0f} million pixels, which may be a "
            "decompression bomb: reduce or cut it first"
        ) from error
    except UnidentifiedImageError as error:
        raise OSError(f"cannot read {path}: not an image of a known kind, or damaged") from error
    except Exception as error:  # decoders meet hostile bytes with anything: struct, zlib, Index...
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OSError(f"cannot read {path}: {reason or type(error).__name__}") from error


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation and convert to L, LA, RGB or RGBA; keeps a fitting profile.

    Palettes and colour keys become alpha, 16-bit grey is scaled (rounded) to 8 bit, CMYK goes
    through its own profile to sRGB where it has one. `image` itself is not changed.

    Raises:
        ValueError: for modes without a defined range (32-bit integer, float).
    """
    turned = ImageOps.exif_transpose(image)
    converted = _to_8bit(turned)
    profile = turned.info.get("icc_profile")
    converted.info = {"icc_profile": profile} if _fits(profile, converted.mode) else {}
    return converted


def check_output(path: str | Path, size: Size | None = None, mode: str = "RGB") -> None:
    """Make sure, before any work, that a picture can be written to `path`.

    Args:
        path: its suffix selects the format.
        size: (H, W); None if not known yet.
        mode: L, LA, RGB or RGBA.

    Raises:
        ValueError: if no format has that suffix, or the format cannot hold the size or alpha.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(
            f"cannot write {path}: no known format has the suffix {path.suffix!r}, "
            f"use one of {' '.join(_FORMATS)}"
        )
    file_format = _FORMATS[suffix]
    longest = _LONGEST_SIDE.get(file_format)
    if size and longest and max(size) > longest:
        raise ValueError(
            f"cannot write {path}: {file_format} holds at most {longest} pixels a side, "
            f"got {size[1]}x{size[0]}: use .png or .tif"
        )
    if mode.endswith("A") and file_format in _OPAQUE_ONLY:
        raise ValueError(
            f"cannot write {path}: {file_format} has no transparency and the picture has: "
            "use .png, .webp or .tif"
        )


def write(image: Image.Image, path: str | Path) -> None:
    """Write `image` in the format of the suffix of `path`, whole or not at all.

    A colour profile in ``image.info["icc_profile"]`` is kept where it fits the mode.

    Raises:
        ValueError: see `check_output`.
        OSError: if the file system refuses, or the written file has another size.
    """
    path = Path(path)
    check_output(path, image.size[::-1], image.mode)
    file_format = _FORMATS[path.suffix.lower()]
    profile = image.info.get("icc_profile")
    if not _fits(profile, image.mode) or (file_format == "WEBP" and image.mode in ("L", "LA")):
        profile = None  # WebP stores grey as RGB
    try:
        with replacing(path) as temporary:
            image.save(temporary, file_format, icc_profile=profile, **_OPTIONS.get(file_format, {}))
            with Image.open(temporary) as written:
                if written.size != image.size:
                    raise OSError(f"expected {image.size} pixels in the file, got {written.size}")
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def to_tensor(image: Image.Image) -> Tensor:
    """Float32 (C, H, W) in [0, 1] of an image of mode L, LA, RGB or RGBA (C = 1 to 4)."""
    if image.mode not in _CHANNELS.values():
        raise ValueError(f"expected mode L, LA, RGB or RGBA, got {image.mode}: see upright()")
    return from_array(to_levels(image))


def to_levels(image: Image.Image) -> Levels:
    """Levels (h, w, C), uint8, of an image of mode L, LA, RGB or RGBA."""
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def from_levels(values: Levels) -> Image.Image:
    """Picture of levels (h, w, C), uint8: mode L, LA, RGB or RGBA."""
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def from_array(values: Levels) -> Tensor:
    """Levels (h, w, C) of 8 or 16 bit as float32 (C, h, w) in [0, 1]."""
    channels = np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)
    return torch.from_numpy(channels).div_(np.iinfo(values.dtype).max)


def to_array(x: Tensor, like: Levels) -> Levels:
    """Floats (C, H, W) as levels (H, W, C), of as many bits as those of `like`: to nearest."""
    if like.dtype == np.uint8:
        return to_uint8(x).permute(1, 2, 0).cpu().numpy()
    rounded = x.mul(65535).add_(0.5).clamp_(0, 65535).to(torch.int32)
    return rounded.permute(1, 2, 0).cpu().numpy().astype(like.dtype)


def to_float(levels: Tensor) -> Tensor:
    """8-bit levels (uint8) as float32 in [0, 1], of the same shape."""
    return levels.float() / 255


def to_uint8(x: Tensor) -> Tensor:
    """Floats in [0, 1] to uint8 of the same shape: nearest, halves up, clamped."""
    return x.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)


def to_image(x: Tensor) -> Image.Image:
    """Picture of a float tensor (C, H, W), nominally in [0, 1]; C = 1 to 4: L, LA, RGB, RGBA."""
    if x.ndim != 3 or x.shape[0] not in _CHANNELS:
        raise ValueError(f"expected a tensor (C, H, W) with C of 1 to 4, got {tuple(x.shape)}")
    return from_levels(to_uint8(x.detach()).permute(1, 2, 0).cpu().numpy())


def _refuse_animation(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a photo with previews or depth behind it
        raise ValueError(
            f"expected a single picture, got {frames} frames or pages: save them as single files"
        )


def _to_8bit(image: Image.Image) -> Image.Image:
    mode = image.mode
    alpha = "A" if "transparency" in image.info else ""
    if mode.startswith("I;16"):
        return _from_16bit(image)
    if mode == "CMYK":
        return _from_cmyk(image)
    if mode == "P":
        grey = "icc_profile" not in image.info and _is_grey(image.getpalette() or [])
        return image.convert(("L" if grey else "RGB") + alpha)
    if mode in _OPAQUE_MODES:
        return image.convert(_OPAQUE_MODES[mode] + alpha)
    if mode in _ALPHA_MODES:
        return image.convert(_ALPHA_MODES[mode])
    raise ValueError(
        f"expected 8 or 16 bits per channel, got Pillow's mode {mode}, whose range is not "
        "defined: convert it to 8 bit first"
    )


def _is_grey(palette: list[int]) -> bool:
    return palette[0::3] == palette[1::3] == palette[2::3]


def _from_16bit(image: Image.Image) -> Image.Image:
    """Scale, where Pillow's own conversion clips: 65535 becomes 255."""
    values = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    key = image.info.get("transparency")
    if key is not None:
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a damaged profile: the plain formula
        converted = None
    return converted or image.convert("RGB")


def _fits(profile: object, mode: str) -> bool:
    """Whether an ICC profile describes this kind of pixels (bytes 16 to 20 of its header)."""
    return isinstance(profile, bytes) and profile[16:20] == _PROFILE_SPACE[mode]
