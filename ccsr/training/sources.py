"""Where patches are cut from: photo by photo from files, or all at once from one tensor."""

from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ccsr.grid import Size
from ccsr.training.photos import Photos, reduced_to
from ccsr.training.replay import Replay


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
    """Where patches are cut from.

    Attributes:
        replay: runs what is done with the patches, on the device where they lie.
    """

    replay: Replay

    def cut(self, cuts: Cuts) -> tuple[Tensor, list[int]]:
        """The patches, uint8 (N, 3, h, w), and which of them lack their photo, unreadable."""
        ...


class FromFiles:
    """Cuts patches photo by photo, from files or what is kept of them.

    Args:
        photos: the photos, by number.
    """

    def __init__(self, photos: Photos) -> None:
        self.photos, self.replay = photos, Replay(torch.device("cpu"))

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
        records: whether a GPU's operations are recorded, see :class:`ccsr.training.replay.Replay`.

    Attributes:
        pixels: uint8, all photos one after the other, each (3, h, w).
    """

    def __init__(self, photos: Photos, device: torch.device, records: bool = True) -> None:
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
        self.replay = Replay(device, records)

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


def _indices(cuts: Cuts, axis: int, sides: np.ndarray) -> np.ndarray:
    """(N, longest side) rows or columns of the photos that the cuts read, in order."""
    length = np.where(cuts.turned, cuts.size[1 - axis], cuts.size[axis])[:, None]
    index = np.arange(max(cuts.size))[None]
    index = np.where(cuts.flipped[:, axis, None], length - 1 - index, index)
    found: np.ndarray = (index + cuts.start[:, axis, None]).clip(0, sides[:, None] - 1)
    return found
