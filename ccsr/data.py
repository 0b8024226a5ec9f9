"""Training data: photos in folders, cut into pairs of low- and high-resolution patches.

A batch is a pure function of (seed, step), see :class:`Batches`: nothing has to be replayed or
stored for a resumed run to see exactly the batches that it would have seen.
"""

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2.functional import to_dtype

from ccsr.photos import Indexed, Photos, Roots, find_images
from ccsr.resample import ProjectedGrid, Size, reduce_uint8, resize
from ccsr.scales import Scales
from ccsr.validation import ValidationSet

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


class Batches(Dataset[Batch]):
    """`batches[step]` is the batch of that step, a pure function of (`seed`, `step`).

    One scale pair per batch, so that shapes stack. Per axis the photo is cut to the larger of
    the two sides plus a margin, and reduced where the scale asks for it; thanks to the margin
    each patch equals the same part of the whole photo's reduction. Flips and transposes at
    random; photos are drawn in proportion to their area.

    Args:
        photos: where the patches come from.
        sizes: of the photos.
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
        photos: Indexed,
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
        self.photos, self.scales, self.patch, self.dots = photos, scales, patch, dots
        self.batch_size, self.seed, self.reduction = batch_size, seed, reduction
        self.sizes = np.array(sizes)
        self._weights: dict[Size, np.ndarray | None] = {}
        for pair in scales.pairs():
            self._choose(self._sides(pair)[2])

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        lr, hr, source = self._sides(self.scales.draw(rng))
        margin = tuple(
            0 if a == b else math.ceil(2 * max(a / b, b / a)) + 1
            for a, b in zip(lr, hr, strict=True)
        )
        crops = torch.stack([self._crop(rng, source, margin) for _ in range(self.batch_size)])
        if self.reduction == "float":
            crops = to_dtype(crops, torch.float32, scale=True)
        return Batch(*(_reduce(crops, source, margin, size) for size in (lr, hr)))

    def _sides(self, scale: tuple[float, float]) -> tuple[Size, Size, Size]:
        """Sizes of the input, of the target, and of the part of the photo that makes both."""
        hr = tuple(round(self.patch * s) for s in scale)
        if any(abs(self.patch * s - side) > 1e-6 for s, side in zip(scale, hr, strict=True)):
            raise ValueError(
                f"data.patch times every scale must be an integer, got {self.patch} x {scale}: "
                "make data.patch a multiple of data.scales.denominator"
            )
        source = max(self.patch, hr[0]), max(self.patch, hr[1])
        return (self.patch, self.patch), (hr[0], hr[1]), source

    def _choose(self, source: Size) -> list[tuple[bool, np.ndarray]]:
        """(transposed, cumulated areas of the photos large enough) for each possible turn."""
        turns = []
        for transposed in (False, True):
            size = source[::-1] if transposed else source
            if size not in self._weights:
                area = self.sizes.prod(1) * (self.sizes >= size).all(1)
                self._weights[size] = area.cumsum() if area.any() else None
            weights = self._weights[size]
            if weights is not None:
                turns.append((transposed, weights))
        if not turns:
            raise ValueError(
                f"no photo has {source[0]} x {source[1]} pixels, which data.patch={self.patch} "
                "needs at the largest scale: lower data.patch or data.scales.max"
            )
        return turns

    def _crop(self, rng: np.random.Generator, source: Size, margin: Sequence[int]) -> Tensor:
        """A random part of a random photo, uint8 (3, source + 2 margin), flipped and turned."""
        turns = self._choose(source)
        transposed, weights = turns[int(rng.integers(len(turns)))]
        index = int(np.searchsorted(weights, rng.integers(weights[-1]), side="right"))
        photo, order = self.photos[index], (1, 0) if transposed else (0, 1)
        for dim, axis in enumerate(order, start=1):
            side, m = photo.shape[dim], margin[axis]
            start = int(rng.integers(side - source[axis] + 1))
            photo = _cut(photo, dim, start - m, start + source[axis] + m)
        flips = [dim for dim in (1, 2) if rng.integers(2)]
        photo = photo.flip(flips)
        if self.dots and rng.random() < self.dots:
            photo = dotted(photo, rng)
        return photo.mT if transposed else photo


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
    rows = (torch.arange(height) + int(rng.integers(size))) // size
    columns = (torch.arange(width) + int(rng.integers(size))) // size
    values = photo.float() / 255
    if rng.integers(2):
        values = values.mean(0, keepdim=True)
    if rng.integers(2):
        values = values.mean((1, 2), keepdim=True).expand_as(values)
    values = values[:, (rows * size).clamp(max=height - 1)]
    values = values[:, :, (columns * size).clamp(max=width - 1)]
    if rng.integers(2):
        thresholds = _BAYER[rows % 4][:, columns % 4]
    else:
        shape = len(values), int(rows[-1]) + 1, int(columns[-1]) + 1
        thresholds = torch.from_numpy(rng.random(shape))[:, rows][:, :, columns]
    above, below = (0, 255) if rng.integers(2) else map(int, rng.integers(256, size=2))
    dots = torch.where(values > thresholds, above, below)
    return dots.to(torch.uint8).expand(photo.shape)


def _cut(photo: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Indices `start` to `stop` of a dimension; beyond the photo its border is replicated."""
    side = photo.shape[dim]
    if start >= 0 and stop <= side:
        return photo.narrow(dim, start, stop - start)
    return photo.index_select(dim, torch.arange(start, stop).clamp_(0, side - 1))


def _reduce(crops: Tensor, source: Size, margin: Sequence[int], size: Size) -> Tensor:
    """The crops, without their margin, at `size`."""
    if size == source:
        return crops[..., margin[0] :, margin[1] :][..., : size[0], : size[1]].contiguous()
    grid = ProjectedGrid.project(source, size).shifted(-margin[0], -margin[1])
    if crops.dtype == torch.uint8:
        return reduce_uint8(crops, grid)
    return resize(crops, grid).clamp_(0, 1)


class PhotoData(LightningDataModule):
    """Training batches from folders of photos, and the validation set beside them.

    Args:
        root: folder or folders, searched to the bottom; None for the bundled photos.
        val: arguments of :class:`ccsr.validation.ValidationSet`, and instead of its files `root`,
            as above, or without one `subfolder`, which lies within each training root.
        scales: arguments of :class:`ccsr.scales.Scales`.
        patch: side of the low-resolution patches (of the high-resolution ones below scale 1).
        batch_size: patches per batch.
        seed: with the step it decides every batch.
        subfolder: folder within each root that holds the photos; None for the root itself.
        reduction: ``uint8`` (MATLAB's, rounded to 8 bit) or ``float`` (not rounded).
        dots: share of the patches that are turned into dots, see :class:`Batches`.
        cache_mb: megabytes of decoded photos to keep; the rest is decoded whenever drawn.
        workers: processes that prepare batches; 0 prepares them between the steps.
    """

    def __init__(
        self,
        root: Roots,
        val: Mapping[str, Any],
        scales: Mapping[str, Any],
        patch: int,
        batch_size: int,
        seed: int = 0,
        subfolder: str | None = None,
        reduction: Reduction = "uint8",
        dots: float = 0.0,
        cache_mb: float = 1024,
        workers: int = 0,
    ) -> None:
        super().__init__()
        photos = Photos(find_images(_within(root, subfolder)), cache_mb)
        self.batches = Batches(
            photos,
            photos.sizes,
            Scales(**{"seed": seed, **scales}),
            patch=patch,
            batch_size=batch_size,
            seed=seed,
            reduction=reduction,
            dots=dots,
        )
        options = dict(val)
        own, part = options.pop("root", None), options.pop("subfolder", None)
        files = find_images(_within(root, part) if part is not None and own is None else own)
        self.validation = ValidationSet(files, **options)
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the trainer's step on, so that a resumed run takes up where it was."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("expected a trainer: pass this to Trainer.fit(datamodule=...)")
        steps = Steps(
            lambda: trainer.global_step * trainer.accumulate_grad_batches,
            trainer.global_rank,
            trainer.world_size,
        )
        return DataLoader(
            self.batches,
            batch_size=None,
            sampler=steps,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=_leave_signals,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """One item per (image, scale)."""
        return DataLoader(self.validation, batch_size=None)


def _within(root: Roots, subfolder: str | None) -> Roots:
    """The same folder within each root."""
    if root is None or subfolder is None:
        return root
    roots = [root] if isinstance(root, str | Path) else root
    return [Path(each) / subfolder for each in roots]


def _leave_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM reach whole process groups: stopping is the main process' business."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class Steps(Sampler[int]):
    """Steps from `start()` on, without end; of several processes each takes its own share."""

    def __init__(self, start: Callable[[], int], rank: int = 0, world_size: int = 1) -> None:
        self.start, self.rank, self.world_size = start, rank, world_size

    def __iter__(self) -> Iterator[int]:
        return count(self.start() * self.world_size + self.rank, self.world_size)
