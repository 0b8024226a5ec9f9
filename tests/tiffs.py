"""Pixels in TIFF files, written by tifffile."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ccsr import image

SIZE = (37, 53)
GREY: dict[str, Any] = {"photometric": "minisblack"}
GREY_ALPHA: dict[str, Any] = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}


def noise(
    channels: int, dtype: Any = np.uint16, size: tuple[int, int] = SIZE, most: int = 65535
) -> np.ndarray:
    most = min(most, np.iinfo(dtype).max)
    return np.random.default_rng(0).integers(0, most + 1, (*size, channels), dtype)


def read(path: Path) -> np.ndarray:
    (frame,) = image.read(path).frames
    return frame


def write(path: Path, values: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, values, **options)
    return path
