"""From levels to tensors in [0, 1] and back."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ccsr.image.floats import to_floats
from ccsr.image.modes import Levels, from_levels
from ccsr.image.picture import Picture
from ccsr.image.reading import read

STRIP_VALUES = 1 << 18  # of a result that are in cache at once


def to_tensor(image: Image.Image | Picture) -> Tensor:
    """Float32 (C, H, W) of a single picture: grey, grey and alpha, RGB or RGBA (C = 1 to 4).

    Levels come to [0, 1], floats are as they are. A picture of Pillow is taken as
    :meth:`ccsr.image.Picture.of` takes it: upright, with the transparency that it tells.

    Raises:
        TypeError: for what is no picture.
        ValueError: for several frames, or a mode of Pillow that holds no picture.
    """
    picture = Picture.of(image) if isinstance(image, Image.Image) else image
    if not isinstance(picture, Picture):
        raise TypeError(f"expected a picture of Pillow or a Picture, got {type(image).__name__}")
    if len(picture.frames) > 1:
        picture.to_pil()  # says what is wrong
    return from_array(picture.frames[0])


def opaque(picture: Picture) -> Tensor:
    """A single picture as uint8 (C, h, w), grey or RGB; what is transparent lies on white.

    Raises:
        ValueError: for several frames.
    """
    channels = picture.frames[0].shape[2]
    image = picture.convert("L" if channels == 1 else "RGBA" if channels in (2, 4) else "RGB")
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        image = image.getchannel(0) if channels == 2 else image
    pixels = np.array(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def read_rgb(path: Path) -> Tensor:
    """The picture in `path` as uint8 (3, h, w); what is transparent is white, not what it hides.

    Raises:
        ValueError: if it is no picture that can be read, or several frames.
        OSError: if the file cannot be read.
    """
    picture = read(path)
    try:
        return opaque(picture).expand(3, -1, -1).contiguous()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def from_array(values: Levels) -> Tensor:
    """Levels (h, w, C) as float32 (C, h, w): in [0, 1], but for floats beyond it."""
    return torch.from_numpy(to_floats(values))


def to_array(x: Tensor, like: Levels) -> Levels:
    """Floats (C, H, W) as levels (H, W, C) of the kind of `like`: to nearest, or as they are."""
    if like.dtype == np.uint8:
        return to_uint8(x).permute(1, 2, 0).contiguous().cpu().numpy()
    if like.dtype == np.float32:
        return x.permute(1, 2, 0).float().contiguous().cpu().numpy()
    rounded = _exact(x).mul(65535).add_(0.5).clamp_(0, 65535).to(torch.int32)
    return rounded.permute(1, 2, 0).contiguous().cpu().numpy().astype(np.uint16)


def store_tensor(x: Tensor, levels: Levels) -> None:
    """Write what `to_array` gives of floats (C, H, W) into levels (H, W, C)."""
    if levels.dtype != np.uint8 or not x.is_cpu:
        levels[...] = to_array(x, like=levels)
        return
    result, x = torch.from_numpy(levels), x.permute(1, 2, 0)
    step = max(1, STRIP_VALUES // (x.shape[1] * x.shape[2]))
    for top in range(0, len(x), step):
        rows = slice(top, top + step)
        result[rows].copy_(_stretched(x[rows]))


def to_float(levels: Tensor) -> Tensor:
    """8-bit levels (uint8) as float32 in [0, 1], of the same shape."""
    return levels.float() / 255


def to_uint8(x: Tensor) -> Tensor:
    """Floats in [0, 1] to uint8 of the same shape: nearest, halves up, clamped."""
    return _stretched(x).to(torch.uint8)


def _stretched(x: Tensor) -> Tensor:
    return _exact(x).mul(255).add_(0.5).clamp_(0, 255)


def _exact(x: Tensor) -> Tensor:
    """The same in at least float32: with half of a level, 8 bits have more than bfloat16."""
    return x.float() if x.dtype.itemsize < 4 else x


def to_image(x: Tensor) -> Image.Image:
    """Picture of a float tensor (C, H, W), nominally in [0, 1]; C = 1 to 4: L, LA, RGB, RGBA.

    Raises:
        TypeError: for what is no tensor in floating point.
        ValueError: for another shape, or values that are NaN.
    """
    given: Any = x
    if not (isinstance(given, Tensor) and given.is_floating_point()):
        kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
        raise TypeError(
            f"expected a tensor in floating point, got {kind}: make a picture of levels (h, w, C) "
            "by Picture((values,))"
        )
    if x.ndim != 3 or x.shape[0] not in (1, 2, 3, 4) or not x.numel() or x.is_meta:
        got = f"{tuple(x.shape)}" + (" without its values" if x.is_meta else "")
        raise ValueError(f"expected a tensor (C, H, W) with C of 1 to 4, got {got}")
    if x.isnan().any():
        raise ValueError("some values of the tensor are NaN, for which there is no level")
    return from_levels(to_uint8(x.detach()).permute(1, 2, 0).contiguous().cpu().numpy())
