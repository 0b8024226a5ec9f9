"""Batches, asked for step after step by a loader that knows how long they are waited for."""

import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from ccsr.training.batches import Batch


class Singles(Dataset[list[Batch]]):
    """`singles[step]` is `count` batches of one sample each: every sample has its own scale.

    Like those that it is made of it is a pure function of seed and step.

    Args:
        batches: of one sample each.
        count: samples of a step.
    """

    def __init__(self, batches: Dataset[Batch], count: int) -> None:
        self.batches, self.count = batches, count

    def __getitem__(self, step: int) -> list[Batch]:
        return [self.batches[step * self.count + place] for place in range(self.count)]


class Timed(DataLoader[Any]):
    """A loader that measures how long its batches are waited for.

    Attributes:
        waited: seconds, in all.
    """

    waited = 0.0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches = super().__iter__()
        while True:
            start = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - start
            yield batch


class Steps(Sampler[int]):
    """Steps from `start()` on, without end; of several processes each takes its own share."""

    def __init__(self, start: Callable[[], int], rank: int = 0, world_size: int = 1) -> None:
        self.start, self.rank, self.world_size = start, rank, world_size

    def __iter__(self) -> Iterator[int]:
        return count(self.start() * self.world_size + self.rank, self.world_size)


def leave_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM reach whole process groups: stopping is the main process' business."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
