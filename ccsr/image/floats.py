"""From levels to floats in [0, 1] and back, as arrays: what knows 255 and 65535."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccsr.image.modes import Levels, highest

Floats = NDArray[np.float32]

STRIP = 16  # rows that are in cache at once


def to_floats(values: Levels) -> Floats:
    """Levels (h, w, C) as float32 (C, h, w), a copy: in [0, 1], but for floats beyond it."""
    floats: Floats = np.array(values.transpose(2, 0, 1), np.float32, order="C")
    floats /= np.float32(highest(values))
    return floats


def store(x: Any, levels: Levels) -> None:
    """Write floats (C, H, W) into levels (H, W, C): to the nearest, halves up, or as they are.

    Args:
        x: an array, or a tensor of torch.
        levels: uint8, uint16 or float32.
    """
    if not isinstance(x, np.ndarray):
        from ccsr.image.tensors import store_tensor

        store_tensor(x, levels)
        return
    if levels.dtype == np.float32:
        levels[...] = x.transpose(1, 2, 0)
        return
    most = np.float32(highest(levels))
    for top in range(0, len(levels), STRIP):
        rows = slice(top, top + STRIP)
        part = x[:, rows] * most
        part += np.float32(0.5)
        np.clip(part, 0, most, out=part)
        for channel, rounded in enumerate(part.astype(levels.dtype)):
            levels[rows, :, channel] = rounded
