"""PSNR and time of an upscaler on one photo, by a protocol that allows any scale."""

import time
from typing import Protocol

from torch import Tensor

from ccsr import image
from ccsr.grid import ProjectedGrid, size_of
from ccsr.protocols import by_name

PROTOCOL = "liif-y"


class Enlarger(Protocol):
    """What can be scored, such as an `Upscaler`."""

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        """Enlarge (C, h, w) in [0, 1], at `grid`, clamped."""


def score(upscaler: Enlarger, hr: Tensor, scale: float) -> tuple[float, float]:
    """PSNR in dB and seconds.

    Args:
        upscaler: to measure.
        hr: the truth, uint8 (3, H, W); its reduction is made here.
        scale: output over input.
    """
    protocol, pair = by_name(PROTOCOL), (scale, scale)
    size, (height, width) = protocol.crop(size_of(hr), pair)
    hr = hr[:, :height, :width]
    lr = image.to_float(protocol.reduce(hr, size, pair))
    start = time.perf_counter()
    sr = upscaler.tensor(lr, grid=ProjectedGrid.project(size, (height, width)))
    seconds = time.perf_counter() - start
    return protocol.psnr(protocol.finish(sr), image.to_float(hr), pair), seconds


def middle(picture: Tensor, side: int) -> Tensor:
    """At most `side` pixels a side from the middle of (C, H, W)."""
    rows, columns = (max(0, (n - side) // 2) for n in picture.shape[1:])
    return picture[:, rows : rows + side, columns : columns + side]
