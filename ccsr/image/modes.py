"""From each of Pillow's modes to levels: grey or colour, with or without alpha, 8 or 16 bit."""

import io
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Levels: TypeAlias = NDArray[np.unsignedinteger[Any] | np.float32]  # uint8, uint16 or float32

_OPAQUE_MODES = {"1": "L", "L": "L"} | dict.fromkeys(("RGB", "RGBX", "YCbCr", "HSV", "LAB"), "RGB")
_ALPHA_MODES = {"LA": "LA", "La": "LA"} | dict.fromkeys(("RGBA", "RGBa", "PA"), "RGBA")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_ROUNDING = 1e-3  # of floats of 16 bits, near 1
_WIDE = "expected 8 or 16 bits per channel or {}, got values from {:g} to {:g}: scale them first"


def check_levels(values: Any) -> None:
    """See that something is pixels (h, w, C) as files hold them, at least one.

    Raises:
        TypeError: if it is no array, or one of which a part is masked.
        ValueError: for an array of another shape or type.
    """
    if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"expected an array of levels (h, w, C), got {type(values).__name__}: pictures are for "
            "the upscaler itself, and tensors for its `tensor`"
        )
    if (
        values.ndim != 3
        or not values.size
        or values.shape[2] > 4
        or values.dtype not in (np.uint8, np.uint16, np.float32)
    ):
        raise ValueError(
            "expected levels (h, w, C) of uint8, uint16 or float32 with C of 1 to 4, got "
            f"{values.dtype} {values.shape}"
        )


def levels(image: Image.Image) -> Levels:
    """Pixels (h, w, C) as they are stored, not turned: C = 1 to 4 for L, LA, RGB, RGBA.

    Palettes and colour keys become alpha, CMYK goes through its own profile to sRGB where it has
    one. 16-bit grey and 32-bit integers of that range give uint16, floats stay so, all else is
    uint8. `image` itself is not changed.

    Raises:
        ValueError: for 32-bit integers outside that range, and floats that are not finite.
    """
    if image.mode.startswith("I;16"):
        return _keyed(np.asarray(image).astype(np.uint16), image.info.get("transparency"))
    if image.mode in ("1", "L") and isinstance(image.info.get("transparency"), int):
        return _keyed(np.asarray(image.convert("L")), image.info["transparency"])
    if image.mode == "I":
        return _keyed(whole(np.asarray(image)), image.info.get("transparency"))
    if image.mode == "F":
        return floats(np.asarray(image))[..., None]
    converted = _to_8bit_mode(image)
    values = np.asarray(converted)
    return values[..., None] if values.ndim == 2 else values


def from_levels(values: Levels) -> Image.Image:
    """Picture of mode L, LA, RGB, RGBA or, for grey of 16 bits or floats, I;16 or F.

    Pillow has no mode for others: they are rounded to 8 bits.
    """
    height, width, channels = values.shape
    if values.dtype == np.float32 and channels == 1:
        return Image.fromarray(values[..., 0])
    if values.dtype == np.uint16 and channels == 1:
        return Image.frombytes("I;16", (width, height), values.astype("<u2").tobytes())
    return Image.frombytes(_MODES[channels], (width, height), reduced(values).tobytes())


def reduced(values: Levels) -> NDArray[np.uint8]:
    """8-bit levels: of others the nearest, so that 65535, and 1 of floats, becomes 255."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.float32:
        return (values * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def spread(values: Levels) -> Levels:
    """Colours over all levels that were stored from 16 to 235, or as much of 16 bits.

    Alpha has all levels already.
    """
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    unit, highest = (1, 255) if values.dtype == np.uint8 else (256, 65535)
    wide = (values[..., :colours].astype(np.float64) - 16 * unit) * (highest / (219 * unit))
    result = values.copy()
    result[..., :colours] = (wide + 0.5).clip(0, highest)
    return result


def deepened(values: Levels) -> Levels:
    """16-bit levels of floats: the nearest, of those beyond [0, 1] its ends."""
    return (values.astype(np.float64) * 65535 + 0.5).clip(0, 65535).astype(np.uint16)


def as_floats(values: Levels) -> NDArray[np.float32]:
    """Levels as floats in which 1 is white."""
    return values.astype(np.float32, copy=False) / np.float32(highest(values))


def highest(values: Levels) -> int:
    """The level that is white, or opaque: 255, 65535 or, of floats, 1."""
    return {1: 255, 2: 65535, 4: 1}[values.itemsize]


def whole(values: NDArray[np.integer[Any]]) -> Levels:
    """16-bit levels of numbers with more bits, or a sign.

    Raises:
        ValueError: if one of them is no such level.
    """
    lowest, largest = int(values.min()), int(values.max())
    if lowest < 0 or largest > 65535:
        raise ValueError(_WIDE.format("whole numbers from 0 to 65535", lowest, largest))
    return values.astype(np.uint16)


def floats(values: NDArray[np.floating[Any]]) -> Levels:
    """Floats of any size as levels of 32 bits, in which 1 is white; they may lie beyond.

    Raises:
        ValueError: if one of them is not finite.
    """
    with np.errstate(over="ignore"):  # is infinite then
        single = np.require(values, np.float32, ["C", "W"])
    bad = single.size - int(np.isfinite(single).sum())
    if bad:
        raise ValueError(
            f"{bad} of its values are not finite (NaN or infinite): replace them by others first"
        )
    return single


def covered(alpha: Levels) -> tuple[Levels, list[str]]:
    """Alpha within [0, 1], and what is lost by that, by its name for a person, if there is any."""
    cut = alpha.clip(0, 1)
    beyond = bool((abs(cut - alpha) > _ROUNDING).any())
    return cut, ["transparency beyond 0 to 1"] * beyond


def unmultiplied(values: Levels) -> Levels:
    """Levels whose colour was stored multiplied by alpha, the last channel."""
    alpha = values[..., -1:]
    share = alpha.astype(np.float64) / highest(values)
    colour = values[..., :-1] / np.where(share > 0, share, 1)
    if values.dtype != np.float32:
        colour = np.minimum(colour + 0.5, highest(values))
    return np.concatenate((colour.astype(values.dtype), alpha), axis=-1)


@lru_cache(maxsize=8)  # files of a folder share theirs
def is_sound(profile: bytes, mode: str) -> bool:
    """Whether colours of 8-bit pixels of a mode can be told by a profile."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return False
    return True


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """An 8-bit picture in sRGB, mode RGB; None if its profile is damaged or does not fit."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


def in_srgb(values: Levels, profile: bytes) -> Levels:
    """8-bit levels in sRGB, RGB and maybe alpha; as they are where `to_srgb` gives nothing."""
    has_alpha = values.shape[2] in (2, 4)
    colour = to_srgb(from_levels(reduced(values[..., :-1] if has_alpha else values)), profile)
    if colour is None:
        return values
    rgb = np.asarray(colour)
    return np.concatenate((rgb, reduced(values[..., -1:])), axis=2) if has_alpha else rgb


def from_srgb(colour: tuple[int, ...], profile: bytes) -> tuple[int, ...] | None:
    """8-bit levels in a profile that look as grey (1) or colour (3) of sRGB; None as `to_srgb`."""
    mode = _MODES[len(colour)]
    try:
        target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        source, image = ImageCms.createProfile("sRGB"), Image.new("RGB", (1, 1), colour[:1] * 3)
        image.putpixel((0, 0), colour if len(colour) == 3 else colour * 3)
        converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return None
    return tuple(np.asarray(converted).ravel().tolist())


def turned(values: Levels, orientation: int) -> Levels:
    """Upright pixels of those stored with an EXIF orientation from 1 to 8."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def same_kind(frames: list[Levels]) -> tuple[Levels, ...]:
    """Frames with the same channels: alpha and colour as soon as one of them has it."""
    alpha = any(frame.shape[2] in (2, 4) for frame in frames)
    colour = any(frame.shape[2] > 2 for frame in frames)
    return tuple(with_channels(frame, colour, alpha) for frame in frames)


def with_channels(values: Levels, colour: bool, alpha: bool) -> Levels:
    """Levels of another number of channels; grey is the first, and no alpha is opaque."""
    has_alpha = values.shape[2] in (2, 4)
    hues = values[..., :-1] if has_alpha else values
    hues = hues.repeat(3, axis=2) if colour and hues.shape[2] == 1 else hues
    hues = hues if colour else hues[..., :1]
    if not alpha:
        return np.ascontiguousarray(hues)
    opaque = np.full_like(values[..., :1], highest(values))
    return np.concatenate((hues, values[..., -1:] if has_alpha else opaque), axis=2)


def _to_8bit_mode(image: Image.Image) -> Image.Image:
    """The same in mode L, LA, RGB or RGBA."""
    mode = image.mode
    own = getattr(image.palette, "mode", "") == "RGBA"  # a palette may hold alpha itself
    alpha = "A" if own or "transparency" in image.info else ""
    if mode == "CMYK":
        return _from_cmyk(image)
    if mode == "P":
        grey = "icc_profile" not in image.info and _is_grey(image)
        wanted = ("L" if grey else "RGB") + alpha
    elif mode in _OPAQUE_MODES:
        wanted = _OPAQUE_MODES[mode] + alpha
    elif mode in _ALPHA_MODES:
        wanted = _ALPHA_MODES[mode]
    else:
        raise ValueError(f"Pillow's mode {mode} is not known here: convert it to RGB first")
    return image if mode == wanted else image.convert(wanted)  # which would copy it


def _is_grey(image: Image.Image) -> bool:
    """Whether the palette's colours that occur are shades of grey."""
    palette = np.array(image.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
    used = np.unique(np.asarray(image))
    shades = palette[used[used < len(palette)]]
    return bool((shades == shades[:, :1]).all())


def _keyed(values: Levels, key: object) -> Levels:
    """(h, w) to (h, w, 1), or with an alpha that is 0 where `values` are `key`."""
    if not isinstance(key, int):
        return values[..., None]
    alpha = np.where(values == key, 0, highest(values)).astype(values.dtype)
    return np.stack((values, alpha), axis=-1)


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    return (to_srgb(image, profile) if profile else None) or image.convert("RGB")
