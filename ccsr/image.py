"""Pictures of Pillow: read, write, to tensors and back.

Everything it hands out is upright and of mode L, LA, RGB or RGBA with 8 bits per channel; a
colour profile travels in ``image.info["icc_profile"]``. `ccsr.decode` and `ccsr.encode` also know
16 bits, frames and metadata.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ccsr import decode, encode, metadata
from ccsr.formats import READABLE, check_output
from ccsr.metadata import Metadata
from ccsr.modes import from_levels, levels, mode_of, reduced, turned
from ccsr.picture import Levels, Picture, Size

__all__ = [
    "READABLE",
    "Size",
    "check_output",
    "from_array",
    "profile_info",
    "read",
    "to_array",
    "to_float",
    "to_image",
    "to_levels",
    "to_tensor",
    "to_uint8",
    "upright",
    "write",
]


def read(path: str | Path) -> Image.Image:
    """Decode one picture: upright, 8 bit, of mode L, LA, RGB or RGBA.

    Raises:
        OSError: if there is no such file, or it is not an image, damaged, animated, or has
            more pixels than Pillow's limit against decompression bombs.
    """
    path = Path(path)
    header = decode.probe(path)
    if header.several:
        raise OSError(
            f"cannot read {path}: expected a single picture, got {header.frames} frames or "
            "pages: save them as single files"
        )
    picture = decode.load(path, "strip")
    image = from_levels(reduced(picture.frames[0]))
    image.info.update(_info(picture.metadata))
    return image


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation and convert to L, LA, RGB or RGBA; keeps a fitting profile.

    Palettes and colour keys become alpha, 16-bit grey is scaled (rounded) to 8 bit, CMYK goes
    through its own profile to sRGB where it has one. `image` itself is not changed.

    Raises:
        ValueError: for 32-bit values that are neither whole and of 16 bit nor from 0 to 1.
    """
    values = turned(levels(image), metadata.orientation(image))
    converted = from_levels(reduced(values))
    converted.info = profile_info(image, values.shape[2])
    return converted


def profile_info(image: Image.Image, channels: int) -> dict[str | tuple[int, int], Any]:
    """`info` with the colour profile of `image`, if it fits what became of its pixels."""
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    return _info(Metadata(profile if isinstance(profile, bytes) else None).fitting(channels))


def write(image: Image.Image, path: str | Path) -> None:
    """Write `image` in the format of the suffix of `path`, whole or not at all.

    A colour profile in ``image.info["icc_profile"]`` is kept where it fits the mode.

    Raises:
        ValueError: see `check_output`.
        OSError: if the file system refuses, or the written file has another size.
    """
    path = Path(path)
    check_output(path, image.size[::-1], image.mode)
    profile = image.info.get("icc_profile")
    described = Metadata(profile if isinstance(profile, bytes) else None)
    encode.write(Picture((levels(image),), described), path)


def to_tensor(image: Image.Image) -> Tensor:
    """Float32 (C, H, W) in [0, 1] of an image of mode L, LA, RGB or RGBA (C = 1 to 4)."""
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise ValueError(f"expected mode L, LA, RGB or RGBA, got {image.mode}: see upright()")
    pixels = np.array(image)
    return from_array(pixels[..., None] if pixels.ndim == 2 else pixels)


def from_array(values: Levels) -> Tensor:
    """Levels (h, w, C) of 8 or 16 bit as float32 (C, h, w) in [0, 1]."""
    highest = np.iinfo(values.dtype).max
    channels_first = np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)
    return torch.from_numpy(channels_first) / highest


def to_array(x: Tensor, like: Levels) -> Levels:
    """Floats (C, H, W) as levels (H, W, C), of as many bits as those of `like`: to nearest."""
    if like.dtype == np.uint8:
        return to_uint8(x).permute(1, 2, 0).contiguous().cpu().numpy()
    highest = np.iinfo(like.dtype).max
    rounded = x.mul(highest).add_(0.5).clamp_(0, highest).to(torch.int32)
    return rounded.permute(1, 2, 0).cpu().numpy().astype(np.uint16)


def to_levels(image: Image.Image) -> Levels:
    """Upright levels (h, w, C) of any picture of Pillow: uint16 for 16-bit grey, else uint8."""
    return turned(levels(image), metadata.orientation(image))


def to_float(levels: Tensor) -> Tensor:
    """8-bit levels (uint8) as float32 in [0, 1], of the same shape."""
    return levels.float() / 255


def to_uint8(x: Tensor) -> Tensor:
    """Floats in [0, 1] to uint8 of the same shape: nearest, halves up, clamped."""
    return x.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)


def to_image(x: Tensor) -> Image.Image:
    """Picture of a float tensor (C, H, W), nominally in [0, 1]; C = 1 to 4: L, LA, RGB, RGBA."""
    if x.ndim != 3 or x.shape[0] not in (1, 2, 3, 4):
        raise ValueError(f"expected a tensor (C, H, W) with C of 1 to 4, got {tuple(x.shape)}")
    pixels = to_uint8(x.detach()).permute(1, 2, 0).contiguous().cpu().numpy()
    height, width, channels = pixels.shape
    return Image.frombytes(mode_of(channels), (width, height), pixels.tobytes())


def _info(described: Metadata) -> dict[str | tuple[int, int], Any]:
    return {"icc_profile": described.profile} if described.profile else {}
