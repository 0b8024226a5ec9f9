"""PSNR, SSIM and luma: the only definitions of them, for validation and evaluation alike.

Pure functions of float tensors in [0, 1]. They neither clamp nor round: what an output is
before it is measured is the business of a protocol (`ccsr.protocols`). Tensors of whole numbers are
levels of files, and are refused.
"""

import importlib
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ccsr.distribution import remedy
from ccsr.plain import is_pair, is_whole, plain

WEIGHTS_BT601 = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""ITU-R BT.601 weights of R, G, B for a luma that spans 16 to 235 of 255 levels."""
WEIGHTS_LIIF = (65.738 / 256, 129.057 / 256, 25.064 / 256)
"""The nearly equal weights in the code of the LIIF family (and EDSR before it)."""

_OFFSET = 16 / 255
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def luma(rgb: Tensor, weights: tuple[float, float, float] = WEIGHTS_BT601) -> Tensor:
    """Luma of an RGB image, kept in floating point.

    Args:
        rgb: shape `(..., 3, H, W)`, range [0, 1]. A grey image `(..., 1, H, W)` counts as its
            own luma and passes through unchanged.
        weights: of the red, green and blue channel.

    Returns:
        Shape `(..., 1, H, W)`, range [16/255, 235/255] for RGB input.

    Raises:
        TypeError: if `rgb` is not floating point.
        ValueError: if there are neither 1 nor 3 channels.
    """
    _check_kind(rgb)
    channels = rgb.shape[-3] if rgb.ndim >= 3 else 0
    if channels == 1:
        return rgb
    if channels != 3:
        raise ValueError(
            f"luma needs an image of 1 or 3 channels (..., C, H, W), got shape {tuple(rgb.shape)}"
        )
    red, green, blue = rgb.unbind(-3)
    mixed = weights[0] * red + weights[1] * green + weights[2] * blue + _OFFSET
    return mixed.unsqueeze(-3)


def psnr(sr: Tensor, hr: Tensor, shave: int | tuple[int, int] = 0) -> float:
    """Peak signal-to-noise ratio of one image in dB, for a peak of 1.

    Args:
        sr: the image to judge, shape `(C, H, W)`.
        hr: the truth, same shape.
        shave: pixels left out at each border, one number or (vertical, horizontal).

    Returns:
        `-10 log10(mean squared error)` over all channels; `inf` for equal images, `nan` where a
        value is not a number.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ or nothing is left after shaving.
    """
    sr, hr = _paired(sr, hr, shave, least=1)
    error = float((sr - hr).square().mean())
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(sr: Tensor, hr: Tensor, shave: int | tuple[int, int] = 0) -> float:
    """Structural similarity of one image, for a peak of 1.

    Wang et al., "Image quality assessment", 2004, equation 13: windows of 11x11 pixels, Gaussian
    with sigma 1.5, lying wholly inside the image; population covariance, K1 = 0.01, K2 = 0.03.

    Args:
        sr: the image to judge, shape `(C, H, W)`.
        hr: the truth, same shape.
        shave: pixels left out at each border, one number or (vertical, horizontal).

    Returns:
        The mean over windows and channels, at most 1; `nan` where a value is not a number.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ or fewer than 11x11 pixels are left after shaving.
    """
    sr, hr = _paired(sr, hr, shave, least=_WINDOW)
    planes = [_ssim_plane(x, y) for x, y in zip(sr, hr, strict=True)]
    return float(torch.stack(planes).mean())


def load_lpips() -> Callable[[Tensor, Tensor], float]:
    """The LPIPS distance (Zhang et al. 2018, AlexNet, version 0.1) of two images (C, H, W).

    The package `lpips` fetches AlexNet's weights on first use.

    Raises:
        ValueError: if the package or the weights are missing.
    """
    try:
        package = importlib.import_module("lpips")
    except ImportError as error:
        raise ValueError(
            f"LPIPS needs the packages of the extra [metrics]: {remedy('metrics')}, or "
            "leave out --lpips"
        ) from error
    try:
        with warnings.catch_warnings():  # it calls torchvision in a way that is deprecated
            warnings.simplefilter("ignore")
            network = package.LPIPS(net="alex", verbose=False).eval()
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"LPIPS could not load the weights of AlexNet ({error}): run it once with access to "
            "download.pytorch.org, or leave out --lpips"
        ) from error

    @torch.inference_mode()
    def distance(sr: Tensor, hr: Tensor) -> float:
        pair = (x.expand(3, -1, -1).unsqueeze(0).float().cpu() for x in (sr, hr))
        return float(network(*pair, normalize=True))

    return distance


def _ssim_plane(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of two channels (H, W), a scalar."""
    mean_x, mean_y, square_x, square_y, product = map(_windowed, (x, y, x * x, y * y, x * y))
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    structure = (2 * covariance + _C2) / (variances + _C2)
    brightness = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return (brightness * structure).mean()


def _windowed(x: Tensor) -> Tensor:
    """Gaussian means over every whole window: (H, W) -> (H - 10, W - 10)."""
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    gaussian = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps: list[float] = (gaussian / gaussian.sum()).tolist()
    for dim in (-2, -1):  # sums of shifted images: 20 times faster than conv2d in double precision
        length = x.shape[dim] - _WINDOW + 1
        mean = x.narrow(dim, 0, length) * taps[0]
        for start in range(1, _WINDOW):
            mean = mean.add_(x.narrow(dim, start, length), alpha=taps[start])
        x = mean
    return x


def _paired(
    sr: Tensor, hr: Tensor, shave: int | tuple[int, int], least: int
) -> tuple[Tensor, Tensor]:
    """Both images without their border, in double precision where the device has it."""
    _check_kind(sr, hr)
    if sr.shape != hr.shape or sr.ndim != 3 or not len(sr):
        raise ValueError(
            f"expected two images of one shape (C, H, W), got {tuple(sr.shape)} and "
            f"{tuple(hr.shape)}: crop the larger one first"
        )
    rows, columns = _as_border(shave)
    height, width = sr.shape[-2] - 2 * rows, sr.shape[-1] - 2 * columns
    if min(rows, columns) < 0 or min(height, width) < least:
        raise ValueError(
            f"an image of {sr.shape[-1]}x{sr.shape[-2]} pixels less {columns}x{rows} at each "
            f"border leaves {max(width, 0)}x{max(height, 0)}, but at least {least}x{least} are "
            "needed: use larger images or a smaller scale"
        )
    dtype = torch.float32 if sr.device.type == "mps" else torch.float64
    window = (..., slice(rows, rows + height), slice(columns, columns + width))
    return sr[window].to(dtype), hr[window].to(dtype)


def _check_kind(*images: Tensor) -> None:
    """Raise TypeError for what is no tensor, or an image of levels, of which the peak is not 1."""
    given: Any
    for given in images:
        if not isinstance(given, Tensor):
            raise TypeError(
                f"expected a tensor (C, H, W) of floats in [0, 1], got {type(given).__name__}: "
                "`ccsr.image.to_tensor` makes one of a picture, `torch.from_numpy` of an array"
            )
    for each in images:
        if not each.is_floating_point():
            raise TypeError(
                f"expected floats in [0, 1], got {each.dtype}: divide levels by their largest"
            )


def _as_border(shave: Any) -> tuple[int, int]:
    """Pixels at each border, (rows, columns), of one whole number or two."""
    given = plain(shave)
    pair = given if is_pair(given) else (given, given)
    if not all(is_whole(each, -math.inf) for each in pair):
        raise ValueError(f"shave must be a whole number of pixels, or two of them, got {shave!r}")
    return int(pair[0]), int(pair[1])
