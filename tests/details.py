"""A detail of a photo, of each kind of pixels, and a photo that was never a JPEG, or was one."""

import io
from typing import Any

import numpy as np
from PIL import Image

from ccsr import image
from ccsr.bundled import resource_dir

SIZE = (41, 53)


def photo(channels: int, kind: type[np.generic] = np.uint8) -> Any:
    """A detail; its alpha has a hole, an edge, and a part that is opaque."""
    picture = image.read(resource_dir("samples") / "chelsea.png").frames[0]
    values = picture[60 : 60 + SIZE[0], 90 : 90 + SIZE[1]]
    values = values[..., : 1 if channels < 3 else 3]
    if channels in (2, 4):
        ramp = np.broadcast_to(np.arange(SIZE[1]) * 10.0 - 100, SIZE)
        values = np.dstack((values, ramp.clip(0, 255).astype(np.uint8)))
    if kind is np.float32:
        return values.astype(np.float32) / 255
    return values.astype(kind) * (257 if kind is np.uint16 else 1)


def clean() -> Any:
    """A photo (100, 151, 3), reduced: it was never a JPEG."""
    with Image.open(resource_dir("samples") / "chelsea.png") as opened:
        return np.asarray(opened.convert("RGB").resize((151, 100), Image.Resampling.BICUBIC))


def as_jpeg(values: Any, quality: int) -> Any:
    """Pixels (h, w, 3) after a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))
