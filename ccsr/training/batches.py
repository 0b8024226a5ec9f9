"""Batches of training patches: what is drawn, where it is cut, how it is reduced.

A batch is a pure function of (seed, step): nothing has to be replayed or stored for a resumed run
to see exactly the batches that it would have seen. First everything random is decided, from a few
numbers (:meth:`Batches.draw`); then pixels are read, photo by photo from files
(:class:`FromFiles`) or all patches at once from one tensor on the training's device
(:class:`OnDevice`); then they are reduced, wherever they lie, by the same operations.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import to_dtype

from ccsr.grid import Pair, ProjectedGrid, Size
from ccsr.resample import reduce_uint8, resize
from ccsr.training.photos import Photos, reduced_to
from ccsr.training.replay import Replay, sent
from ccsr.training.scales import Scales

Reduction = Literal["uint8", "float"]
# thresholds of an ordered dither (Bayer 1973)
_BAYER = (torch.tensor([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16


class Batch(NamedTuple):
    """Pairs of patches of one scale pair.

    Attributes:
        lr: (N, 3, h, w), uint8, or float in [0, 1] with the reduction ``float``.
        hr: (N, 3, H, W), likewise; covers the same area (grid anchor ``ratio``).
    """

    lr: Tensor
    hr: Tensor


class Cuts(NamedTuple):
    """Where N patches of one size are cut, before they are flipped and turned.

    Attributes:
        photo: (N,) numbers of photos.
        start: (N, 2) first row and column in the photo; beyond the photo its border is replicated.
        flipped: (N, 2) whether the photo's rows and columns are taken in reverse.
        turned: (N,) whether rows and columns are swapped after that.
        size: (h, w) of the patches, after turning.
    """

    photo: np.ndarray
    start: np.ndarray
    flipped: np.ndarray
    turned: np.ndarray
    size: Size


class Source(Protocol):
    """Where patches are cut from."""

    def cut(self, cuts: Cuts) -> tuple[Tensor, list[int]]:
        """The patches, uint8 (N, 3, h, w), and which of them lack their photo, unreadable."""
        ...

    def reduce(self, function: Callable[[Tensor], Batch], key: Hashable, patches: Tensor) -> Batch:
        """What `function` makes of the patches, the same operations whenever `key` is the same."""
        ...


class FromFiles:
    """Cuts patches photo by photo, from files or what is kept of them.

    Args:
        photos: the photos, by number.
    """

    def __init__(self, photos: Photos) -> None:
        self.photos = photos

    def cut(self, cuts: Cuts) -> tuple[Tensor, list[int]]:
        """See :meth:`Source.cut`."""
        patches = torch.zeros(len(cuts.photo), 3, *cuts.size, dtype=torch.uint8)
        lacking = []
        for n, patch in enumerate(patches):
            photo = self.photos.get(int(cuts.photo[n]))
            if photo is None:
                lacking.append(n)
                continue
            size = cuts.size[::-1] if cuts.turned[n] else cuts.size
            for dim in (1, 2):
                start = int(cuts.start[n, dim - 1])
                photo = _cut(photo, dim, start, start + size[dim - 1])
            photo = photo.flip([dim for dim in (1, 2) if cuts.flipped[n, dim - 1]])
            patch.copy_(photo.mT if cuts.turned[n] else photo)
        return patches, lacking

    def reduce(self, function: Callable[[Tensor], Batch], key: Hashable, patches: Tensor) -> Batch:
        """See :meth:`Source.reduce`."""
        return function(patches)


def _cut(photo: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Indices `start` to `stop` of a dimension; beyond the photo its border is replicated."""
    side = photo.shape[dim]
    if start >= 0 and stop <= side:
        return photo.narrow(dim, start, stop - start)
    return photo.index_select(dim, torch.arange(start, stop).clamp_(0, side - 1))


class OnDevice:
    """Holds all photos in one tensor and gathers the patches of a batch from it at once.

    Args:
        photos: are all decoded here.
        device: where they lie from then on.

    Attributes:
        pixels: uint8, all photos one after the other, each (3, h, w).
    """

    def __init__(self, photos: Photos, device: torch.device) -> None:
        self.pixels = torch.empty(photos.bytes, dtype=torch.uint8, device=device)
        self.starts, self.sizes = photos.starts[:-1], np.array(photos.sizes)
        for number, original in photos.originals():
            if original is None:
                photos.check()
                continue
            original = original.to(device)
            for n in range(number, number + photos.versions):
                _, size, factor = photos.photos[n]
                photo = original if factor == 1 else reduced_to(original, size)
                self.pixels[self.starts[n] : photos.starts[n + 1]] = photo.flatten()
        self.unreadable = photos.unreadable
        self.replay = Replay(device)

    def cut(self, cuts: Cuts) -> tuple[Tensor, list[int]]:
        """See :meth:`Source.cut`."""
        sizes = self.sizes[cuts.photo]
        rows, columns = (_indices(cuts, axis, sizes[:, axis]) for axis in (0, 1))
        rows = rows * sizes[:, 1:]  # of pixels: a row further is a photo's width further
        turned = cuts.turned[:, None]
        vertical = np.where(turned, columns[:, : cuts.size[0]], rows[:, : cuts.size[0]])
        horizontal = np.where(turned, rows[:, : cuts.size[1]], columns[:, : cuts.size[1]])
        area = sizes.prod(1)
        first = self.starts[cuts.photo][:, None] + area[:, None] * np.arange(3)
        parts = first.shape[1], vertical.shape[1], horizontal.shape[1]
        places = torch.from_numpy(np.concatenate((first, vertical, horizontal), 1))
        gather = partial(self._gather, parts=parts)
        patches = self.replay((places.shape, parts), gather, places)
        return patches, np.flatnonzero(self.unreadable[cuts.photo]).tolist()

    def _gather(self, places: Tensor, parts: tuple[int, int, int]) -> Tensor:
        """The pixels at the sums of a channel's first place, a row's and a column's."""
        first, vertical, horizontal = places.split(parts, 1)
        index = first[:, :, None, None] + vertical[:, None, :, None]
        return self.pixels[index + horizontal[:, None, None, :]]  # (N, 3, h, w)

    def reduce(self, function: Callable[[Tensor], Batch], key: Hashable, patches: Tensor) -> Batch:
        """See :meth:`Source.reduce`."""
        lr, hr = self.replay(key, function, patches)
        return Batch(lr.clone(), hr.clone())


def _indices(cuts: Cuts, axis: int, sides: np.ndarray) -> np.ndarray:
    """(N, longest side) rows or columns of the photos that the cuts read, in order."""
    length = np.where(cuts.turned, cuts.size[1 - axis], cuts.size[axis])[:, None]
    index = np.arange(max(cuts.size))[None]
    index = np.where(cuts.flipped[:, axis, None], length - 1 - index, index)
    found: np.ndarray = (index + cuts.start[:, axis, None]).clip(0, sides[:, None] - 1)
    return found


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
        dots: share of the patches that are turned into dots, see :func:`dotted`. Photos alone
            leave a network free to do anything with what no photo looks like.

    Raises:
        ValueError: if `patch` times a scale is no integer, or no photo is large enough.
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
    ) -> None:
        if reduction not in ("uint8", "float"):
            raise ValueError(f"reduction must be 'uint8' or 'float', got {reduction!r}")
        if not 0 <= dots <= 1:
            raise ValueError(f"data.dots must be in [0, 1], got {dots}")
        self.source, self.scales, self.patch, self.dots = source, scales, patch, dots
        self.batch_size, self.seed, self.reduction = batch_size, seed, reduction
        self.sizes = np.array(sizes)
        self._weights: dict[Size, np.ndarray | None] = {}
        for pair in scales.pairs():
            self._choices(self._sides(pair)[2])

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        lr, hr, source = self._sides(self.scales.draw(rng))
        margin = _margin(lr[0], hr[0]), _margin(lr[1], hr[1])
        cuts = self.draw(rng, source, margin, self.batch_size)
        patches, lacking = self.source.cut(cuts)
        for n in lacking:
            patches[n] = self._another(step, n, source, margin)
        for n in np.flatnonzero(rng.random(self.batch_size) < self.dots).tolist():
            own = np.random.default_rng((self.seed, step, n))
            upright = patches[n].mT if cuts.turned[n] else patches[n]
            dots = dotted(upright, own)
            patches[n] = dots.mT if cuts.turned[n] else dots
        made = partial(self._reduced, source=source, margin=margin, sizes=(lr, hr))
        return self.source.reduce(made, (lr, hr), patches)

    def _reduced(
        self, patches: Tensor, source: Size, margin: Size, sizes: tuple[Size, Size]
    ) -> Batch:
        if self.reduction == "float":
            patches = to_dtype(patches, torch.float32, scale=True)
        return Batch(*(_reduce(patches, source, margin, size) for size in sizes))

    def _sides(self, scale: Pair) -> tuple[Size, Size, Size]:
        """Sizes of the input, of the target, and of the part of the photo that makes both."""
        hr = tuple(round(self.patch * s) for s in scale)
        if any(abs(self.patch * s - side) > 1e-6 for s, side in zip(scale, hr, strict=True)):
            raise ValueError(
                f"data.patch times every scale must be an integer, got {self.patch} x {scale}: "
                "make data.patch a multiple of data.scales.denominator"
            )
        source = max(self.patch, hr[0]), max(self.patch, hr[1])
        return (self.patch, self.patch), (hr[0], hr[1]), source

    def _choices(self, source: Size) -> list[tuple[bool, np.ndarray]]:
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
            raise ValueError(
                f"no photo has {source[0]} x {source[1]} pixels, which data.patch={self.patch} "
                "needs at the largest scale: lower data.patch or data.scales.max"
            )
        return turns

    def draw(self, rng: np.random.Generator, source: Size, margin: Size, count: int) -> Cuts:
        """Where `count` random patches of `source` pixels and a margin around are cut."""
        turns = self._choices(source)
        chosen = rng.integers(len(turns), size=count)
        totals = np.array([weights[-1] for _, weights in turns])
        places = rng.integers(totals[chosen])
        photo = np.empty(count, np.int64)
        for number, (_, weights) in enumerate(turns):
            mine = chosen == number
            photo[mine] = np.searchsorted(weights, places[mine], side="right")
        turned = np.array([turn for turn, _ in turns])[chosen]
        length, around = (
            np.where(turned[:, None], pair[::-1], pair) for pair in (source, margin)
        )  # along the photo's axes
        start = rng.integers(self.sizes[photo] - length + 1) - around
        flipped = rng.integers(2, size=(count, 2)).astype(bool)
        size = source[0] + 2 * margin[0], source[1] + 2 * margin[1]
        return Cuts(photo, start, flipped, turned, size)

    def _another(self, step: int, place: int, source: Size, margin: Size) -> Tensor:
        """A patch instead of one whose photo is unreadable, again a function of seed and step.

        Once too many photos are (see :meth:`ccsr.training.photos.Photos.check`), it may be black.
        """
        rng = np.random.default_rng((self.seed, step, place, 0))
        for _ in range(100):
            patches, lacking = self.source.cut(self.draw(rng, source, margin, 1))
            if not lacking:
                break
        return patches[0]


def _margin(side: int, other: int) -> int:
    """Pixels around the larger of two sides that its reduction to the smaller one reads."""
    return 0 if side == other else math.ceil(2 * max(side / other, other / side)) + 1


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


def _reduce(patches: Tensor, source: Size, margin: Size, size: Size) -> Tensor:
    """The patches, without their margin, at `size`."""
    if size == source:
        return patches[..., margin[0] :, margin[1] :][..., : size[0], : size[1]].contiguous()
    grid = ProjectedGrid.project(source, size).shifted(-margin[0], -margin[1])
    if patches.dtype == torch.uint8:
        return reduce_uint8(patches, grid)
    return resize(patches, grid).clamp_(0, 1)
