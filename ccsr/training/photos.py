"""Photos in folders: found by name, known by their headers, decoded when one is first drawn."""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ccsr import image
from ccsr.bundled import resource_dir
from ccsr.device import NoRoomError
from ccsr.grid import ProjectedGrid, Size, size_of
from ccsr.resample import reduce_uint8
from ccsr.training.cache import SharedCache

Roots = str | Path | Sequence[str | Path] | None
log = logging.getLogger(__name__)

_UNSEEN, _KEPT, _BROKEN = range(3)  # what is known of a photo, a byte each
_TOLERATED = 100  # one picture in so many may be unreadable
_NAMED = 20  # in one message


class UnreadableError(ValueError):
    """Too many pictures cannot be read; none of them was trained on."""


def find_images(roots: Roots) -> list[Path]:
    """Files with an image's suffix in `roots` (folders, searched to the bottom, or files), sorted.

    `None` stands for the bundled photos. Links to folders are followed; what is hidden is left out.

    Raises:
        FileNotFoundError: if a root does not exist or there is no image in any of them.
    """
    if roots is None:
        roots = resource_dir("samples")
    folders = [Path(str(r)) for r in ([roots] if isinstance(roots, str | Path) else roots)]
    files: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            several = ": several are [A,B], a sweep needs --multirun" if "," in str(folder) else ""
            raise FileNotFoundError(
                f"expected a folder of images, got {str(folder)!r}, which does not exist{several}"
            )
        if folder.is_file():
            found = iter([folder] if image.named_as_image(folder.name) else [])
        else:
            found = image.images_in(folder, recursive=True, through_links=True, unlisted=_unlisted)
        files.update(path for path in found if _may_be_read(path))
    if not files:
        names = ", ".join(repr(str(f)) for f in folders)
        raise FileNotFoundError(f"expected image files in {names}, got none")
    return sorted(files)


def _may_be_read(path: Path) -> bool:
    """Whether it is a file, or a link that leads nowhere; a pipe would be waited for."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _unlisted(folder: Path, reason: str) -> None:
    log.warning("left out a folder: %s", reason)


class Photo(NamedTuple):
    """One photo of :class:`Photos`.

    Attributes:
        path: its file.
        size: (h, w) in pixels, upright.
        factor: what its sides are reduced by; 1 leaves the file's pixels as they are.
    """

    path: Path
    size: Size
    factor: float = 1.0


class Photos:
    """Photos as uint8 (3, h, w), by number; a file is decoded when one of its photos is drawn.

    At the start only headers are read. What is decoded is kept, the first photos of the list that
    fit into `cache_mb` megabytes, where every process that was forked from this one finds it too;
    the others are decoded again whenever they are drawn. A file that turns out to be unreadable is
    named and left out; :meth:`check` tells when there are too many.

    Args:
        files: image files.
        cache_mb: megabytes of decoded photos to keep, in memory or in `cache`.
        cache: a folder that keeps them from run to run, for all processes of this machine.
        reduced: factors in (0, 1): each photo reduced by each of them is a photo of its own too.

    Attributes:
        photos: path, size and factor of each; those of one file stand together, the original first.
        versions: how many photos each file gives.

    Raises:
        ValueError: if too few of the files can be read, or for a factor out of its range.
        OSError: if the folder `cache` cannot be written.
    """

    def __init__(
        self,
        files: Sequence[Path],
        cache_mb: float = 1024,
        cache: str | Path | None = None,
        reduced: Sequence[float] = (),
    ) -> None:
        for factor in reduced:
            if not 0 < factor < 1:
                raise ValueError(f"data.reduced must be factors between 0 and 1, got {factor}")
        self.total, self.told, self.versions = len(files), 0, 1 + len(reduced)
        self.headless: list[Path] = []
        self.photos: list[Photo] = []
        with image.steady_warnings():
            for path in files:
                try:
                    size = _size(path)
                except (OSError, NoRoomError) as error:
                    self.headless.append(path)
                    log.warning("left out a picture that cannot be read: %s", error)
                    continue
                self.photos.append(Photo(path, size))
                for factor in reduced:
                    sides = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
                    self.photos.append(Photo(path, sides, factor))
        if not self.photos:
            raise ValueError(f"expected readable images, got {len(files)} files that are not")
        ends = np.cumsum([3 * h * w for h, w in self.sizes])
        self.kept = int(np.searchsorted(ends, cache_mb * 1e6, side="right"))
        self.starts = np.concatenate(([0], ends))
        folder = _folder(cache, self.photos)
        self.cache = SharedCache(int(self.starts[self.kept]), len(self), folder)
        states = self.cache.states  # what an earlier run could not read may be readable by now
        states[states == _BROKEN] = _UNSEEN
        log.info("%d photos, %.1f megapixels", len(self), self.bytes / 3e6)
        self.check()

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def sizes(self) -> list[Size]:
        """(h, w) of each photo."""
        return [photo.size for photo in self.photos]

    @property
    def bytes(self) -> int:
        """What all of them take when decoded."""
        return int(self.starts[-1])

    def get(self, index: int) -> Tensor | None:
        """Photo number `index`, uint8 (3, h, w); None if its file is unreadable."""
        _, (h, w), factor = self.photos[index]
        state = self.cache.states[index]
        if state == _BROKEN:
            return None
        if state == _KEPT:
            kept = self.cache.read(index, int(self.starts[index]), 3 * h * w)
            if kept is not None:
                return torch.from_numpy(kept).view(3, h, w)
        first = index - index % self.versions
        original = self._decoded(first) if factor == 1 else self.get(first)
        if original is None:
            return None
        photo = original if factor == 1 else reduced_to(original, (h, w))
        start = int(self.starts[index])
        if index < self.kept and self.cache.write(index, start, photo.numpy()):
            self.cache.states[index] = _KEPT
        return photo

    def _decoded(self, index: int) -> Tensor | None:
        """The original number `index`, from its file."""
        path, size, _ = self.photos[index]
        try:
            photo = image.read_rgb(path)
            if photo.shape[1:] != size:
                raise OSError(f"cannot read {path}: its size is not the one its header says")
        except (OSError, ValueError, NoRoomError) as error:
            self.cache.states[index : index + self.versions] = _BROKEN
            log.warning("left out a picture that cannot be read: %s", error)
            return None
        return photo

    def originals(self) -> Iterator[tuple[int, Tensor | None]]:
        """Each file's first photo and its number; several threads decode a few ahead."""
        count = os.cpu_count() or 1
        with image.steady_warnings(), ThreadPoolExecutor(count) as pool:
            numbers = iter(range(0, len(self), self.versions))
            ahead = deque((n, pool.submit(self.get, n)) for n in islice(numbers, 4 * count))
            while ahead:
                number, photo = ahead.popleft()
                yield number, photo.result()
                ahead += ((n, pool.submit(self.get, n)) for n in islice(numbers, 1))

    @property
    def unreadable(self) -> np.ndarray:
        """(number of photos,) bool, as far as any process that shares our store knows."""
        found: np.ndarray = self.cache.states == _BROKEN
        return found

    def broken(self) -> list[Path]:
        """The files known to be unreadable."""
        numbers = np.flatnonzero(self.unreadable)
        return list(dict.fromkeys([*self.headless, *(self.photos[n].path for n in numbers)]))

    def check(self) -> None:
        """Count what is unreadable by now.

        Raises:
            UnreadableError: if that is more than one picture in a hundred (and more than one), or
                all.
        """
        broken = self.broken()
        if len(broken) <= self.told:
            return
        self.told = len(broken)
        if len(broken) > max(1, self.total // _TOLERATED) or len(broken) == self.total:
            more = f", and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
            many = f", more than one in {_TOLERATED}" if len(broken) > 1 else ""
            raise UnreadableError(
                f"{len(broken)} of {self.total} pictures cannot be read{many}: repair or remove "
                "them; each is named in the log: "
                f"{', '.join(map(str, broken[:_NAMED]))}{more}"
            )
        log.warning("%d of %d pictures left out, unreadable", len(broken), self.total)


def _size(path: Path) -> Size:
    """(h, w) of a single picture, upright, by its header.

    Raises:
        OSError: if it cannot be read, or holds several.
    """
    header = image.probe(path)
    if header.frames > 1:
        raise OSError(
            f"{path}: expected a single picture, got {header.frames} frames or pages: save them as "
            "single files"
        )
    return header.size


def _folder(cache: str | Path | None, photos: Sequence[Photo]) -> Path | None:
    """Where in the folder `cache` these photos lie: files that change lie elsewhere."""
    if cache is None:
        return None
    digest = hashlib.sha256()
    for path, size, factor in photos:
        status = path.stat()
        digest.update(f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}|".encode())
        digest.update(f"{size}|{factor}\n".encode())
    return Path(cache) / digest.hexdigest()[:16]


def reduced_to(photo: Tensor, size: Size) -> Tensor:
    """The photo, uint8 (3, h, w) on any device, reduced to `size`."""
    grid = ProjectedGrid.project(size_of(photo), size)
    return reduce_uint8(photo, grid)
