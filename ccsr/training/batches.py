"""Batches of training patches: what is drawn, where it is cut, how it is reduced.

A batch is a pure function of (seed, step): nothing has to be replayed or stored for a resumed run
to see exactly the batches that it would have seen. First everything random is decided, from a few
numbers (:meth:`Batches.draw`); then pixels are read (:mod:`ccsr.training.sources`), photo by photo
from files or all patches at once from one tensor on the training's device; then they are reduced,
wherever they lie, by the same operations.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import to_dtype

from ccsr.grid import Pair, ProjectedGrid, Size, output_size, scale_text
from ccsr.resample import KERNELS, Kernel, reduce_uint8, resize
from ccsr.training.degradation import SMALLEST, Degradation, Drawn, degraded
from ccsr.training.dots import dotted
from ccsr.training.photos import UnreadableError
from ccsr.training.scales import Scales
from ccsr.training.settings import number
from ccsr.training.sources import Cuts, Source

Reduction = Literal["uint8", "float"]
# For a patch whose photo is unreadable so many others are drawn, and then looked for in order.
DRAWN_ANEW, LAST_RESORT = 100, 1000


class Batch(NamedTuple):
    """Pairs of patches of one scale pair.

    Attributes:
        lr: (N, 3, h, w), uint8, or float in [0, 1] with the reduction ``float``.
        hr: (N, 3, H, W), likewise; covers the same area (grid anchor ``ratio``).
        quality: (N,), of the JPEGs that the patches of `lr` were, as a conditioned network is told;
            0 for none.
    """

    lr: Tensor
    hr: Tensor
    quality: Tensor


class Batches(Dataset[Batch]):
    """`batches[step]` is the batch of that step, a pure function of (`seed`, `step`).

    One scale pair per batch, so that shapes stack. Per axis the photo is cut to the larger of
    the two sides plus a margin, and reduced where the scale asks for it; thanks to the margin
    each patch equals the same part of the whole photo's reduction. Flips and transposes at
    random; photos are drawn in proportion to their area.

    Args:
        source: what the patches are cut from.
        sizes: of its photos.
        scales: to draw from.
        patch: side of the low-resolution patches (of the high-resolution ones below scale 1).
        batch_size: patches per batch.
        seed: with the step it decides every batch.
        reduction: ``uint8`` (MATLAB's, rounded to 8 bit) or ``float`` (not rounded).
        dots: share of the patches that are turned into dots (:func:`ccsr.training.dots.dotted`).
            Photos alone leave a network free to do anything with what no photo looks like.
        degradation: what is done to the low-resolution patches; None for nothing.

    Raises:
        ValueError: if `patch` times a scale is no integer (unless the scales are such that sizes
            are rounded), or no photo is large enough.
    """

    def __init__(
        self,
        source: Source,
        sizes: Sequence[Size],
        scales: Scales,
        patch: int = 48,
        batch_size: int = 16,
        seed: int = 0,
        reduction: Reduction = "uint8",
        dots: float = 0.0,
        degradation: Degradation | None = None,
    ) -> None:
        if degradation and reduction != "uint8":
            raise ValueError(
                "data.degradation ends in the levels of a file: expected data.reduction=uint8, got "
                f"{reduction}"
            )
        if degradation and patch < SMALLEST:
            raise ValueError(
                f"data.degradation needs a data.patch of at least {SMALLEST}, got {patch}"
            )
        if reduction not in ("uint8", "float"):
            raise ValueError(f"data.reduction must be 'uint8' or 'float', got {reduction!r}")
        number("data.dots", dots, "[0, 1]")
        self.source, self.scales, self.patch, self.dots = source, scales, patch, dots
        self.batch_size, self.seed, self.reduction = batch_size, seed, reduction
        self.degradation = degradation
        self.sizes = np.array(sizes)
        self._weights: dict[Size, np.ndarray | None] = {}
        needed = {self._sides(pair)[2]: pair for pair in scales.pairs()}
        for size in sorted(needed, key=math.prod, reverse=True):
            self._choices(size, needed[size])

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        lr, hr, source = self._sides(self.scales.draw(rng))
        kernel, drawn = self._degradation(step, lr)
        margin = _margin(lr[0], hr[0], kernel), _margin(lr[1], hr[1], kernel)
        cuts = self.draw(rng, source, margin, self.batch_size)
        patches, lacking = self.source.cut(cuts)
        for n in lacking:
            patches[n] = self._another(step, n, source, margin)
        for n in np.flatnonzero(rng.random(self.batch_size) < self.dots).tolist():
            own = np.random.default_rng((self.seed, step, n))
            upright = patches[n].mT if cuts.turned[n] else patches[n]
            dots = dotted(upright, own)
            patches[n] = dots.mT if cuts.turned[n] else dots
        make = partial(self._made, source=source, margin=margin, sizes=(lr, hr), kernel=kernel)
        made = self.source.replay((lr, hr, kernel), make, patches, *drawn)
        quality = Drawn(*drawn).told if drawn else torch.zeros(self.batch_size)
        lower, higher = (x.clone() for x in made)  # as the next are made before these are used
        return Batch(lower, higher, quality)

    def _degradation(self, step: int, size: Size) -> tuple[Kernel, Sequence[Tensor]]:
        """The kernel of a batch, and what is done to its patches.

        Its numbers are drawn apart, so that photos and places are the same without it.
        """
        if self.degradation is None:
            return "cubic", ()
        rng = np.random.default_rng((self.seed, step, 0, 1))
        kernel = self.degradation.kernel(rng)
        return kernel, self.degradation.draw(rng, self.batch_size, size)

    def _made(
        self,
        patches: Tensor,
        *drawn: Tensor,
        source: Size,
        margin: Size,
        sizes: tuple[Size, Size],
        kernel: Kernel,
    ) -> tuple[Tensor, Tensor]:
        if self.reduction == "float":
            patches = to_dtype(patches, torch.float32, scale=True)
        lr = _reduce(patches, source, margin, sizes[0], kernel)
        hr = _reduce(patches, source, margin, sizes[1])
        return degraded(lr, Drawn(*drawn)) if drawn else lr, hr

    def _sides(self, scale: Pair) -> tuple[Size, Size, Size]:
        """Sizes of the input, of the target, and of the part of the photo that makes both."""
        hr = output_size((self.patch, self.patch), scale)
        for factor, side in zip(scale, hr, strict=True):
            if not self.scales.rounds and abs(self.patch * factor - side) > 1e-6:
                whole = Fraction(factor).limit_denominator(1000).denominator
                raise ValueError(
                    f"data.patch={self.patch} times the scale {factor:g} is {self.patch * factor:g}"
                    f" pixels, not whole: give a data.patch that is a multiple of {whole}, or "
                    "data.scales.denominator=null, which rounds sizes and takes their ratio as the "
                    f"scale, here {side}/{self.patch} = {side / self.patch:.4g}"
                )
        return (self.patch, self.patch), hr, (max(self.patch, hr[0]), max(self.patch, hr[1]))

    def _choices(self, source: Size, scale: Pair = (1, 1)) -> list[tuple[bool, np.ndarray]]:
        """(turned, cumulated areas of the photos large enough) for each possible turn."""
        turns = []
        for turned in (False, True):
            size = source[::-1] if turned else source
            if size not in self._weights:
                area = self.sizes.prod(1) * (self.sizes >= size).all(1)
                self._weights[size] = area.cumsum() if area.any() else None
            weights = self._weights[size]
            if weights is not None:
                turns.append((turned, weights))
        if not turns:
            height, width = self.sizes[self.sizes.prod(1).argmax()]
            raise ValueError(
                f"no photo has {source[1]}x{source[0]} pixels, which data.patch={self.patch} needs "
                f"at the scale {scale_text(scale)}; the largest has {width}x{height}: lower "
                "data.patch or data.scales, or give larger photos"
            )
        return turns

    def undrawn(self) -> list[int]:
        """Numbers of the photos that are too small for every scale."""
        drawn = np.zeros(len(self.sizes), bool)
        for source in {self._sides(pair)[2] for pair in self.scales.pairs()}:
            for size in (source, source[::-1]):
                drawn |= (self.sizes >= size).all(1)
        return [int(n) for n in np.flatnonzero(~drawn)]

    def draw(self, rng: np.random.Generator, source: Size, margin: Size, count: int) -> Cuts:
        """Where `count` random patches of `source` pixels and a margin around are cut."""
        turns = self._choices(source)
        chosen = rng.integers(len(turns), size=count)
        totals = np.array([weights[-1] for _, weights in turns])
        places = rng.integers(totals[chosen])
        photo = np.empty(count, np.int64)
        for turn, (_, weights) in enumerate(turns):
            mine = chosen == turn
            photo[mine] = np.searchsorted(weights, places[mine], side="right")
        turned = np.array([swapped for swapped, _ in turns])[chosen]
        return self._placed(rng, photo, turned, source, margin)

    def _placed(
        self,
        rng: np.random.Generator,
        photo: np.ndarray,
        turned: np.ndarray,
        source: Size,
        margin: Size,
    ) -> Cuts:
        """Where in these photos, which are large enough, patches are cut, and how flipped."""
        count = len(photo)
        length, around = (
            np.where(turned[:, None], pair[::-1], pair) for pair in (source, margin)
        )  # along the photo's axes
        start = rng.integers(self.sizes[photo] - length + 1) - around
        flipped = rng.integers(2, size=(count, 2)).astype(bool)
        size = source[0] + 2 * margin[0], source[1] + 2 * margin[1]
        return Cuts(photo, start, flipped, turned, size)

    def _another(self, step: int, place: int, source: Size, margin: Size) -> Tensor:
        """A patch instead of one whose photo is unreadable, again a function of seed and step.

        Once too many photos are (see :meth:`ccsr.training.photos.Photos.check` and
        :meth:`check_left`), it may be black.
        """
        rng = np.random.default_rng((self.seed, step, place, 0))
        for cuts in self._others(rng, source, margin):
            patches, lacking = self.source.cut(cuts)
            if not lacking:
                break
        return patches[0]

    def _others(self, rng: np.random.Generator, source: Size, margin: Size) -> Iterator[Cuts]:
        """Single patches, by which one whose photo is unreadable may be replaced."""
        for _ in range(DRAWN_ANEW):
            yield self.draw(rng, source, margin, 1)
        for turned, weights in self._choices(source):
            for photo in np.flatnonzero(np.diff(weights, prepend=0))[:LAST_RESORT]:
                yield self._placed(rng, np.array([photo]), np.array([turned]), source, margin)

    def check_left(self, unreadable: np.ndarray) -> None:
        """See that each scale has a photo left to cut from, of what is unreadable by now.

        Args:
            unreadable: (number of photos,) bool.

        Raises:
            UnreadableError: if one has none.
        """
        for scale in self.scales.pairs():
            source = self._sides(scale)[2]
            upright, turned = ((self.sizes >= size).all(1) for size in (source, source[::-1]))
            if not ((upright | turned) & ~unreadable).any():
                raise nothing_left(self.patch, scale_text(scale))


def nothing_left(patch: int, scale: str) -> UnreadableError:
    """That all photos that are large enough for a scale are unreadable."""
    return UnreadableError(
        f"none of the photos that are large enough for data.patch={patch} at the scale {scale} can "
        "be read: repair them, each is named in the log, or add others"
    )


def _margin(side: int, other: int, kernel: Kernel = "cubic") -> int:
    """Pixels around the larger of two sides that its reduction to the smaller one reads."""
    reach = max(KERNELS[kernel][1], KERNELS["cubic"][1]) / 2
    return 0 if side == other else math.ceil(reach * max(side / other, other / side)) + 1


def _reduce(
    patches: Tensor, source: Size, margin: Size, size: Size, kernel: Kernel = "cubic"
) -> Tensor:
    """The patches, without their margin, at `size`."""
    if size == source:
        return patches[..., margin[0] :, margin[1] :][..., : size[0], : size[1]].contiguous()
    grid = ProjectedGrid.project(source, size).shifted(-margin[0], -margin[1])
    if patches.dtype != torch.uint8:
        return resize(patches, grid, kernel).clamp_(0, 1)
    if kernel == "cubic":
        return reduce_uint8(patches, grid)
    return resize(patches.float(), grid, kernel).round_().clamp_(0, 255).to(torch.uint8)
