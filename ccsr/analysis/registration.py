"""How far a picture lies beside another, to a fraction of a pixel."""

import torch
from torch import Tensor

from ccsr.grid import Axis, ProjectedGrid
from ccsr.resample import resize


def registered_drift(y: Tensor, reference: Tensor) -> float:
    """Horizontal shift of `y` against `reference`, both (1, 1, n, n), in pixels.

    Lucas and Kanade's: least squares of the difference on the gradient, iterated, without borders.
    """
    n = y.shape[-1]
    inside = slice(n // 8, n - n // 8)
    shift = torch.zeros(2, dtype=torch.float64)
    for _ in range(20):
        axes = [Axis(n, 1.0, -float(each)) for each in shift]
        moved = resize(reference.double(), ProjectedGrid(*axes))
        slopes = [torch.gradient(moved, dim=dim)[0][..., inside, inside] for dim in (2, 3)]
        design = torch.stack([slope.flatten() for slope in slopes], 1)
        difference = (moved - y)[..., inside, inside].flatten()
        shift = shift + torch.linalg.lstsq(design, difference).solution
    return float(shift[1])
