"""JPEG in tensors: what libjpeg makes of patches, whole batches at once and on any device.

The baseline codec (ITU-T T.81) as libjpeg runs it by default: colours of JFIF, chroma at half the
resolution by 2x2 means and back by triangle filters, the standard tables scaled by quality. It does
not entropy-code, which loses nothing. Coefficients and pixels are rounded where libjpeg rounds.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ccsr.image.traces import LUMINANCE

BLOCK = 8
UNIT = 16  # chroma blocks cover as many pixels
# The tables K.1 and K.2 of the standard, for luma and chroma, row by row.
TABLES = torch.tensor(
    [
        LUMINANCE.tolist(),
        [
            *(17, 18, 24, 47, 99, 99, 99, 99),
            *(18, 21, 26, 66, 99, 99, 99, 99),
            *(24, 26, 56, 99, 99, 99, 99, 99),
            *(47, 66, 99, 99, 99, 99, 99, 99),
            *([99] * 32),
        ],
    ]
)
# Fixed point, as libjpeg computes: 16 bits for colours, 13 for the transform of 8 values (Loeffler,
# Ligtenberg and Moschytz 1989), whose constants are rounded before they are added up.
_FROM_RGB = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
_TO_RGB = ((65536, 0, 91881), (65536, -22554, -46802), (65536, 116130, 0))
_HALVES = (  # of the transform's rows; even ones are symmetric, odd ones antisymmetric
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)
_QUARTERS = (0.25, 0.5)  # are added to means of four before they are cut, by column


def tables(quality: Tensor) -> Tensor:
    """The tables that libjpeg takes for qualities (N,) of 1 to 100: (N, 2, 64), luma and chroma."""
    quality = quality.round().long().clamp(1, 100)
    percent = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return ((TABLES * percent[:, None, None] + 50) // 100).clamp(1, 255).float()


def compress(image: Tensor, steps: Tensor, halved: Tensor, start: Tensor) -> Tensor:
    """Compress patches and decode them again.

    Args:
        image: (N, 3, h, w), RGB of whole numbers from 0 to 255, floating point.
        steps: (N, 2, 64), see :func:`tables`.
        halved: (N,) bool, whether chroma is stored at half the resolution (4:2:0), else 4:4:4.
        start: (N, 2) int64, rows and columns of 0 to 15 before the patch in the unit of 16 pixels
            that its corner lies in: where the grid of blocks lies. Beyond a patch its border is
            replicated.

    Returns:
        As `image`.
    """
    rows, columns = (_units(n, start[:, axis]) for axis, n in enumerate(image.shape[2:]))
    rgb = _taken(image.double(), rows, columns)
    luma, *differences = _combined(rgb, _FROM_RGB)
    luma = _coded(_rounded(luma, 16) - 128, steps[:, 0]) + 128
    both = ((torch.stack(differences, 1) + 2**15 - 1) / 2**16).floor()  # halves go down here
    table = steps[:, 1].repeat_interleave(2, 0)
    whole = _coded(both.flatten(0, 1), table).reshape(both.shape)
    # libjpeg rounds the quarters of a mean down and up in turn, by column
    half = F.avg_pool2d(both + 128, 2)
    half = (half.unflatten(3, (-1, 2)) + _constant(_QUARTERS, half.device)).floor().flatten(3)
    half = half - 128
    half = _enlarged(_coded(half.flatten(0, 1), table).reshape(half.shape) + 128) - 128
    chroma = torch.where(halved[:, None, None, None], half, whole)
    decoded = torch.cat((luma.clamp(0, 255)[:, None], chroma.clamp(-128, 127)), 1)
    rgb = torch.stack([_rounded(part, 16) for part in _combined(decoded, _TO_RGB)], 1)
    inside = [torch.arange(n, device=image.device) for n in image.shape[2:]]
    rows, columns = (start[:, axis, None] + n for axis, n in enumerate(inside))
    return _taken(rgb.clamp(0, 255), rows, columns).to(image.dtype)


def _units(side: int, start: Tensor) -> Tensor:
    """(N, whole units) indices of the patch's pixels, its border replicated around it."""
    count = -(-(side + UNIT - 1) // UNIT) * UNIT
    index: Tensor = torch.arange(count, device=start.device) - start[:, None]
    return index.clamp(0, side - 1)


def _taken(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, rows, columns) of (N, C, h, w), other ones for each image."""
    index = rows[:, :, None] * image.shape[3] + columns[:, None]  # (N, rows, columns)
    flat = index.flatten(1)[:, None].expand(-1, image.shape[1], -1)
    taken: Tensor = image.flatten(2).gather(2, flat).unflatten(2, index.shape[1:])
    return taken


def _combined(image: Tensor, matrix: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    """Other colours, in fixed point."""
    return list(torch.einsum("kc,nchw->knhw", _constant(matrix, image.device), image))


def _rounded(fixed: Tensor, bits: int) -> Tensor:
    """Without the fraction of so many bits; halves go up."""
    whole: Tensor = ((fixed + 2 ** (bits - 1)) / 2**bits).floor()
    return whole


def _coded(plane: Tensor, steps: Tensor) -> Tensor:
    """Planes (N, h, w), about 0, after their coefficients were rounded to steps (N, 64)."""
    transform = _transform(plane.device)
    blocks = plane.unflatten(1, (-1, BLOCK)).unflatten(3, (-1, BLOCK)).transpose(2, 3)
    table = steps.double().reshape(-1, 1, 1, BLOCK, BLOCK)
    rows = _rounded(blocks @ transform.T, 11)  # two bits of the fraction are kept
    coefficients = _rounded(transform @ rows, 15)  # eight times the transform
    size = ((coefficients.abs() + 4 * table) / (8 * table)).floor()
    kept = size * coefficients.sign() * table
    columns = _rounded(transform.T @ kept, 11)
    pixels = _rounded(columns @ transform, 18)
    return pixels.transpose(2, 3).flatten(3).flatten(1, 2)


def _enlarged(half: Tensor) -> Tensor:
    """Planes at twice the size: each pixel is 9, 3, 3 and 1 sixteenths of the four nearest."""
    rows = torch.cat((half[:, :, :1], half, half[:, :, -1:]), 2)
    rows = torch.stack((3 * half + rows[:, :, :-2], 3 * half + rows[:, :, 2:]), 3).flatten(2, 3)
    around = torch.cat((rows[..., :1], rows, rows[..., -1:]), 3)
    left, right = 3 * rows + around[..., :-2] + 8, 3 * rows + around[..., 2:] + 7
    return (torch.stack((left, right), 4).flatten(3) / 16).floor()


@cache
def _constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """Nested numbers, made once per device: a CUDA graph cannot hold a copy to it."""
    return torch.tensor(values, dtype=torch.float64, device=device)


@cache
def _transform(device: torch.device) -> Tensor:
    """The cosine transform of 8 values, times the root of 8 and 2 ** 13, as (8, 8)."""
    half, signs = _constant(_HALVES, device), _constant(((1,), (-1,)) * 4, device)
    return torch.cat((half, half.flip(1) * signs), 1)
