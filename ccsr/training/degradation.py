"""What cameras and files do to a picture: blur, noise, JPEG, WebP and AVIF on patches.

What is done to a batch is decided on the host from (seed, step), as the batch itself is
(:meth:`Degradation.draw`), and then done to all patches at once, wherever they lie
(:func:`degraded`). WebP and AVIF are made by libraries that work on the host alone: where patches
lie on another device they become JPEG instead.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor
from torch.nn import functional as F

from ccsr.resample import KERNELS, Kernel
from ccsr.training import jpeg
from ccsr.training.settings import number, numbers

TAPS = 5  # of a blur, enough for 0.8 pixels
PASSES = 2  # of compression, at most
SMALLEST = 2  # side of a patch, whose noise is reflected at its borders
LARGEST_BLUR = 0.8
LARGEST_NOISE = 64.0  # levels
# Formats that libraries make, and how fast they are asked to work.
CODERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("WEBP", {"method": 2}),
    ("AVIF", {"speed": 8, "max_threads": 1}),
)


class Drawn(NamedTuple):
    """What is done to N patches (N, 3, h, w), one after the other in this order.

    Attributes:
        blur: (N, 5) weights of a separable blur.
        noise: (N, 3, h, w), standard normal.
        amounts: (N, 2): its standard deviation in levels, and how much of it is shot noise, whose
            variance grows with the light; 0 or 1.
        smooth: (N,) bool, whether the noise is as smooth as demosaicing leaves it.
        steps: (N, 2, 2, 64), for each pass the tables of :func:`ccsr.training.jpeg.tables`.
        halved: (N, 2) bool, for each pass whether chroma has half the resolution.
        start: (N, 2, 2) int64, for each pass where the blocks lie.
        passes: (N,) int64, how many passes of compression there are, 0 to 2.
        coder: (N,) int64, what makes the last pass: -1 is JPEG, others are indices of `CODERS`.
        quality: (N, 2) int64, for each pass.
        told: (N,), the quality that a network is told of, that of the coarser of its JPEGs; 0 for
            none: what is not to be told, or no JPEG in the end.
    """

    blur: Tensor
    noise: Tensor
    amounts: Tensor
    smooth: Tensor
    steps: Tensor
    halved: Tensor
    start: Tensor
    passes: Tensor
    coder: Tensor
    quality: Tensor
    told: Tensor


class Degradation:
    """The shares of patches that something is done to, and how much of it.

    Args:
        clean: share of the patches that nothing at all is done to.
        kernels: share of the batches that are reduced by one of the other kernels (`box`, `linear`,
            `lanczos`) than by bicubic, clean patches too.
        blur: share, of the patches that are not clean, that are blurred.
        sigmas: least and largest standard deviation of the blur in pixels, at most 0.8.
        noise: share of them that get noise; half of it grows with the light, half is as smooth as
            demosaicing leaves it.
        levels: least and largest standard deviation of the noise, in levels of 255.
        jpeg: share of them that are compressed as JPEG, the grid of blocks at any place.
        quality: least and largest quality, 1 to 100, as libjpeg counts.
        halved: share of the JPEGs with chroma at half the resolution (4:2:0).
        twice: share of the files that had been a JPEG before, with another quality and grid.
        webp: share of them that are compressed as WebP instead, at the same qualities. On a
            training's device, where no WebP is made, they become JPEGs.
        avif: share of them that are compressed as AVIF, likewise.
        told: share of the JPEGs whose quality a conditioned network is told, within
            :data:`ccsr.model.conditioning.QUALITIES`; a picture of another format does not tell
            what it was before.

    Raises:
        ValueError: if a number is out of its range, or a format is wanted that Pillow lacks.
    """

    def __init__(
        self,
        clean: float = 0.125,
        kernels: float = 0.0,
        blur: float = 0.0,
        sigmas: Sequence[float] = (0.0, 0.8),
        noise: float = 0.0,
        levels: Sequence[float] = (0.0, 10.0),
        jpeg: float = 0.0,
        quality: Sequence[float] = (30, 98),
        halved: float = 0.7,
        twice: float = 0.0,
        webp: float = 0.0,
        avif: float = 0.0,
        told: float = 0.85,
    ) -> None:
        shares = {"clean": clean, "kernels": kernels, "blur": blur, "noise": noise, "jpeg": jpeg}
        shares |= {"halved": halved, "twice": twice, "webp": webp, "avif": avif}
        shares["told"] = told
        for name, value in shares.items():
            number(f"data.degradation.{name}", value, "[0, 1]")
        if jpeg + webp + avif > 1 + 1e-9:
            raise ValueError(
                "data.degradation.jpeg, webp and avif are shares of the same patches: expected at "
                f"most 1 together, got {jpeg}, {webp} and {avif}"
            )
        for name, value in (("webp", webp), ("avif", avif)):
            if value and not features.check(name):
                raise ValueError(
                    f"data.degradation.{name}={value} needs a Pillow that writes {name.upper()}, "
                    f"and this one does not: install its wheel, or give data.degradation.{name}=0"
                )
        self.clean, self.kernels, self.blur, self.noise = clean, kernels, blur, noise
        self.files = np.cumsum((jpeg, webp, avif))
        self.halved, self.twice, self.told = halved, twice, told
        self.sigmas = _range("sigmas", sigmas, f"[0, {LARGEST_BLUR}]")
        self.levels = _range("levels", levels, f"[0, {LARGEST_NOISE}]")
        self.quality = _range("quality", quality, "[1, 100]")

    @property
    def tells(self) -> bool:
        """Whether a conditioned network is told anything."""
        return bool(self.clean < 1 and self.files[0] and self.told)

    def kernel(self, rng: np.random.Generator) -> Kernel:
        """The kernel that a batch is reduced with."""
        others = [name for name in KERNELS if name != "cubic"]
        other = others[int(rng.integers(len(others)))]
        return other if rng.random() < self.kernels else "cubic"

    def draw(self, rng: np.random.Generator, count: int, size: tuple[int, int]) -> Drawn:
        """What is done to `count` patches of `size` (h, w)."""
        dirty = rng.random(count) >= self.clean
        sigma = rng.uniform(*self.sigmas, count) * (dirty & (rng.random(count) < self.blur))
        amount = rng.uniform(*self.levels, count) * (dirty & (rng.random(count) < self.noise))
        kinds = rng.random((3, count))  # of noise: shot, smooth; of files
        noise = rng.standard_normal((count, 3, *size), np.float32)
        quality = torch.from_numpy(rng.uniform(*self.quality, (count, PASSES)).round()).long()
        again = rng.random(count) < self.twice
        file = np.searchsorted(self.files, kinds[2], side="right")  # the last: none
        passes = (1 + again) * (dirty & (file < len(self.files)))
        halved = rng.random((count, PASSES)) < self.halved
        start = rng.integers(jpeg.UNIT, size=(count, PASSES, 2))
        telling = (passes > 0) & (file == 0) & (rng.random(count) < self.told)
        coarser = torch.where(torch.from_numpy(passes > 1), quality.amin(1), quality[:, 0])
        return Drawn(
            torch.from_numpy(_gaussians(sigma)),
            torch.from_numpy(noise),
            torch.from_numpy(np.stack((amount, kinds[0] < 0.5), 1)).float(),
            torch.from_numpy(kinds[1] < 0.5),
            jpeg.tables(quality.flatten()).unflatten(0, (count, PASSES)),
            torch.from_numpy(halved),
            torch.from_numpy(start),
            torch.from_numpy(passes),
            torch.from_numpy(file - 1),
            quality,
            coarser.float() * torch.from_numpy(telling),
        )


def degraded(patches: Tensor, drawn: Drawn) -> Tensor:
    """Patches (N, 3, h, w), uint8, after what was drawn for them, likewise.

    On other devices than the CPU nothing waits for it, and all files are JPEGs.
    """
    x = patches.float()
    x = _where(drawn.blur[:, TAPS // 2] < 1, _blurred, x, drawn.blur)
    x = _where(drawn.amounts[:, 0] > 0, _noisy, x, drawn.noise, drawn.amounts, drawn.smooth)
    x = x.round().clamp(0, 255)
    for n in range(PASSES):
        here = drawn.passes > n
        if x.device.type == "cpu":
            last = (drawn.passes == n + 1) & (drawn.coder >= 0)
            for place in last.nonzero().flatten().tolist():
                coder, quality = int(drawn.coder[place]), int(drawn.quality[place, n])
                x[place] = coded(x[place], coder, quality)
            here = here & ~last
        x = _where(here, jpeg.compress, x, drawn.steps[:, n], drawn.halved[:, n], drawn.start[:, n])
    return x.to(torch.uint8)


def coded(patch: Tensor, coder: int, quality: int) -> Tensor:
    """A patch (3, h, w) of levels, after one of `CODERS`."""
    name, options = CODERS[coder]
    stream = io.BytesIO()
    pixels = patch.to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(stream, name, quality=quality, **options)
    with Image.open(stream) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).to(patch)


def _where(here: Tensor, make: Callable[..., Tensor], x: Tensor, *drawn: Tensor) -> Tensor:
    """The patches `x`, of which those `here` (N,) become what `make` makes of them.

    A GPU would wait to know which those are: it makes all, and takes these.
    """
    if x.device.type != "cpu":
        return torch.where(here[:, None, None, None], make(x, *drawn), x)
    if here.any():
        x[here] = make(x[here], *(part[here] for part in drawn))
    return x


def _range(name: str, values: Sequence[float], interval: str) -> tuple[float, float]:
    least, most = numbers(f"data.degradation.{name}", values, interval, count=2)
    if least > most:
        raise ValueError(
            f"data.degradation.{name} must be the least and the largest, got [{least:g}, {most:g}]"
        )
    return least, most


def _gaussians(sigma: np.ndarray) -> np.ndarray:
    """(N, 5) weights of a blur; without one where sigma is 0."""
    offset = np.arange(TAPS) - TAPS // 2
    weights = np.exp(-(offset**2) / (2 * np.maximum(sigma, 0.05)[:, None] ** 2))
    shares: np.ndarray = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return shares


def _blurred(x: Tensor, weights: Tensor) -> Tensor:
    """Each patch by its own weights, along rows and columns; borders replicated."""
    around = TAPS // 2
    for axis in (2, 3):
        padding = (0, 0, around, around) if axis == 2 else (around, around, 0, 0)
        wide, length = F.pad(x, padding, "replicate"), x.shape[axis]
        parts = [
            weights[:, tap, None, None, None] * wide.narrow(axis, tap, length)
            for tap in range(TAPS)
        ]
        x = torch.stack(parts).sum(0)
    return x


def _noisy(x: Tensor, noise: Tensor, amounts: Tensor, smooth: Tensor) -> Tensor:
    """Each patch with its noise, not rounded."""
    wide = F.pad(noise, (1, 1, 1, 1), "reflect")
    rows = (wide[:, :, :-2] + wide[:, :, 2:]) / 4 + wide[:, :, 1:-1] / 2
    demosaiced = (rows[..., :-2] + rows[..., 2:]) / 4 + rows[..., 1:-1] / 2
    demosaiced = demosaiced / 0.375  # keeps the variance
    noise = torch.where(smooth[:, None, None, None], demosaiced, noise)
    amount, shot = (part[:, None, None, None] for part in amounts.unbind(1))
    light = (x.clamp_min(0) / 128).sqrt()
    return x + noise * amount * torch.where(shot > 0, light, 1.0)
