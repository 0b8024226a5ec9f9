"""PSNR and time of upscalers on photos, by a protocol that allows any scale."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Protocol

import torch
from torch import Tensor

from ccsr import image
from ccsr.grid import Pair, ProjectedGrid, as_pair, scale_text, size_of
from ccsr.protocols import by_name
from ccsr.resample import resize
from ccsr.training.photos import find_images

PROTOCOL = "liif-y"
Clock = Callable[[], float]


class Enlarger(Protocol):
    """What can be scored, such as an `Upscaler`."""

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        """Enlarge (C, h, w) in [0, 1], at `grid`, clamped."""


class Bicubic:
    """Enlarges with a fixed kernel."""

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        """(C, h, w) -> (C, H, W), clamped."""
        return resize(x, grid).clamp_(0, 1)


def score(
    upscaler: Enlarger,
    hr: Tensor,
    scale: float | Pair,
    protocol: str = PROTOCOL,
    clock: Clock = time.perf_counter,
) -> tuple[float, float]:
    """PSNR in dB and seconds.

    Args:
        upscaler: to measure.
        hr: the truth, uint8 (3, H, W); its reduction is made here.
        scale: output over input, or (vertical, horizontal).
        protocol: how it is reduced and compared.
        clock: tells the seconds.
    """
    rule, pair = by_name(protocol), as_pair(scale)
    size, (height, width) = rule.crop(size_of(hr), pair)
    hr = hr[:, :height, :width]
    lr = image.to_float(rule.reduce(hr, size, pair))
    start = clock()
    sr = upscaler.tensor(lr, grid=ProjectedGrid.project(size, (height, width)))
    seconds = clock() - start
    return rule.psnr(rule.finish(sr), image.to_float(hr), pair), seconds


def in_turns(
    enlargers: Sequence[Enlarger],
    photos: Sequence[Tensor],
    scale: float | Pair,
    repeats: int,
    protocol: str = PROTOCOL,
    clock: Clock = time.perf_counter,
) -> list[tuple[float, float]]:
    """(PSNR, seconds) of each, mean over the photos.

    They take turns on each photo, so that what else the machine does hits all; of the repeats the
    fastest counts, since that only ever adds.
    """
    found: list[list[tuple[float, float]]] = [[] for _ in enlargers]
    for photo in photos:
        rounds = [
            [score(each, photo, scale, protocol, clock) for each in enlargers]
            for _ in range(repeats)
        ]
        for number, results in enumerate(zip(*rounds, strict=True)):
            found[number].append((results[0][0], min(seconds for _, seconds in results)))
    return [
        (fmean(psnr for psnr, _ in results), fmean(seconds for _, seconds in results))
        for results in found
    ]


@contextmanager
def one_thread() -> Iterator[Clock]:
    """Compute on one thread of the processor, and give the clock of this process alone.

    What else the machine does then matters little. On a GPU it would not tell.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield time.process_time
    finally:
        torch.set_num_threads(threads)


def read_photos(
    data: Path | None, limit: int | None, side: int, scales: Sequence[float | Pair]
) -> list[Tensor]:
    """Read the images to measure on: at most `side` pixels a side from their middle, uint8.

    Args:
        data: a folder, searched to the bottom, or an image; None for the bundled photos.
        limit: at most so many; None for all.
        side: see above.
        scales: that each must be large enough for.

    Raises:
        OSError: if there is none, or one cannot be read.
        ValueError: naming an image that cannot be measured on.
    """
    rule, found = by_name(PROTOCOL), []
    for path in find_images(data)[:limit]:
        picture = middle(image.read_rgb(path), side)
        for pair in map(as_pair, scales):
            try:
                _, (height, width) = rule.crop(size_of(picture), pair)
                part = image.to_float(picture[:, :height, :width])
                rule.psnr(part, part, pair)
            except ValueError as error:
                raise ValueError(f"{path}, at the scale {scale_text(pair)}: {error}") from error
        found.append(picture)
    return found


def middle(picture: Tensor, side: int) -> Tensor:
    """At most `side` pixels a side from the middle of (C, H, W)."""
    rows, columns = (max(0, (n - side) // 2) for n in picture.shape[1:])
    return picture[:, rows : rows + side, columns : columns + side]
