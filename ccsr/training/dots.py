"""Patches in dots: what no photo looks like, and people enlarge all the same."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ccsr.training.replay import sent

# thresholds of an ordered dither (Bayer 1973)
_BAYER = (torch.tensor([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16


def dotted(photo: Tensor, rng: np.random.Generator) -> Tensor:
    """The photo, or one colour in its place, in dots of 1 to 8 pixels: each black or white.

    Per channel or all at once; which of the two, thresholds decide, noise or an ordered dither's.
    Half of the results get two other levels instead.

    Args:
        photo: uint8 (3, h, w).
        rng: decides which.

    Returns:
        uint8 (3, h, w).
    """
    size = int(rng.integers(1, 9))
    height, width = photo.shape[1:]
    there = partial(sent, device=photo.device)
    rows = (torch.arange(height) + int(rng.integers(size))) // size
    columns = (torch.arange(width) + int(rng.integers(size))) // size
    values = photo.float() / 255
    if rng.integers(2):
        values = values.mean(0, keepdim=True)
    if rng.integers(2):
        values = values.mean((1, 2), keepdim=True).expand_as(values)
    values = values[:, there((rows * size).clamp(max=height - 1))]
    values = values[:, :, there((columns * size).clamp(max=width - 1))]
    if rng.integers(2):
        thresholds = _BAYER[rows % 4][:, columns % 4]
    else:
        shape = len(values), int(rows[-1]) + 1, int(columns[-1]) + 1
        thresholds = torch.from_numpy(rng.random(shape))[:, rows][:, :, columns]
    above, below = (0, 255) if rng.integers(2) else map(int, rng.integers(256, size=2))
    dots = torch.where(values > there(thresholds), above, below)
    return dots.to(torch.uint8).expand(photo.shape)
