"""The validation set: fixed images at fixed scales, with bicubic's result beside each."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import center_crop

from ccsr import image
from ccsr.grid import Pair, ProjectedGrid, Scale, as_pair, output_size, scale_text
from ccsr.metrics import luma, psnr
from ccsr.resample import reduce_uint8, resize
from ccsr.training.photos import read_rgb

log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One image at one scale.

    Attributes:
        lr: (1, 3, h, w) uint8.
        hr: (1, 3, H, W) uint8.
        scale: (vertical, horizontal).
        bicubic: PSNR of the bicubic enlargement, see :func:`score`.
    """

    lr: Tensor
    hr: Tensor
    scale: Pair
    bicubic: float

    @property
    def grid(self) -> ProjectedGrid:
        """The grid of `hr` over `lr`."""
        return ProjectedGrid.project(_size(self.lr), _size(self.hr))


class ValidationSet(Dataset[Item]):
    """At most `images` of the files, cut to `crop` pixels, at each of the scales.

    What bicubic restores exactly, an image of one colour, says nothing and is left out.

    Low-resolution images are made by MATLAB's 8-bit bicubic. The cut is chosen per scale so
    that input times scale is an integer, or as near as it gets (within 8 pixels).

    Args:
        files: image files; of more than `images` those at even distances are taken.
        scales: one number, or a pair (vertical, horizontal), per scale.
        images: number of images.
        crop: side of the square in the middle of each image.

    Raises:
        ValueError: if no file is readable, an image is too small for a scale, or that is 1.
    """

    def __init__(
        self,
        files: Sequence[Path],
        scales: Sequence[float | Sequence[float]] = (2, 3, 4),
        images: int = 8,
        crop: int = 256,
    ) -> None:
        chosen = np.linspace(0, len(files) - 1, min(images, len(files))).round().astype(int)
        self.scales = [_as_scale(scale) for scale in scales]
        if (1.0, 1.0) in self.scales:
            raise ValueError("expected scales for validation other than 1, where bicubic is exact")
        self.items: list[Item] = []
        for path in (files[i] for i in chosen):
            try:
                photo = read_rgb(path)
            except (OSError, ValueError) as error:
                log.warning("skipped a broken image: %s: %s", path, error)
                continue
            for item in (_item(photo, scale, crop) for scale in self.scales):
                if math.isfinite(item.bicubic):
                    self.items.append(item)
                else:
                    name = f"x{scale_text(item.scale)}"
                    log.warning("skipped an image at %s: bicubic is exact: %s", name, path)
        if not self.items:
            raise ValueError(
                "expected readable images, not of one colour, and scales for validation, got "
                f"{len(files)} files and {len(self.scales)} scales: check data.val"
            )

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]


def as_float(x: Tensor) -> Tensor:
    """A uint8 image as float32 in [0, 1]; a float image as it is."""
    return image.to_float(x) if x.dtype == torch.uint8 else x


def quantised(x: Tensor) -> Tensor:
    """A float image as the 8-bit file of it would be: uint8."""
    return image.to_uint8(x.float())


def score(sr: Tensor, hr: Tensor, scale: Pair) -> float:
    """PSNR of 8-bit images (1, 3, H, W) on luma, `ceil(scale)` border pixels left out."""
    shave = math.ceil(scale[0]), math.ceil(scale[1])
    return psnr(luma(as_float(sr[0])), luma(as_float(hr[0])), shave)


def _as_scale(scale: float | Sequence[float]) -> Pair:
    pair: Scale = scale if isinstance(scale, int | float) else (scale[0], scale[1])
    return as_pair(pair)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


def _item(photo: Tensor, scale: Pair, crop: int) -> Item:
    rows, columns = (min(crop, side) for side in _size(photo))
    lr_size = _input_side(rows, scale[0]), _input_side(columns, scale[1])
    hr_size = output_size(lr_size, scale)
    hr = center_crop(photo, list(hr_size))[None]
    lr = reduce_uint8(hr, ProjectedGrid.project(hr_size, lr_size))
    item = Item(lr, hr, scale, 0.0)
    bicubic = quantised(resize(as_float(lr), item.grid))
    return item._replace(bicubic=score(bicubic, hr, scale))


def _input_side(limit: int, scale: float) -> int:
    """Input pixels for at most `limit` output pixels, with a product as whole as can be."""
    largest = max(1, math.floor((limit + 0.499) / scale))
    sides = range(largest, max(0, largest - 8), -1)
    return min(sides, key=lambda side: round(abs(side * scale - round(side * scale)), 6))
