"""Photos in folders: found, decoded once, kept within a memory budget."""

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ccsr import image
from ccsr.resample import Size
from ccsr.resources import resource_dir

Roots = str | Path | Sequence[str | Path] | None
log = logging.getLogger(__name__)


def find_images(roots: Roots) -> list[Path]:
    """Files with an image's suffix in `roots` (folders, searched to the bottom, or files), sorted.

    `None` stands for the bundled photos.

    Raises:
        FileNotFoundError: if a root does not exist or there is no image in any of them.
    """
    if roots is None:
        roots = resource_dir("samples")
    folders = [Path(r) for r in ([roots] if isinstance(roots, str | Path) else roots)]
    files: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise FileNotFoundError(
                f"expected a folder of images, got {str(folder)!r}, which does not exist"
            )
        found = [folder] if folder.is_file() else folder.rglob("*")
        files.update(f for f in found if image.named_as_image(f.name) and f.is_file())
    if not files:
        names = ", ".join(repr(str(f)) for f in folders)
        raise FileNotFoundError(f"expected image files in {names}, got none")
    return sorted(files)


def read_rgb(path: Path) -> Tensor:
    """The image in `path` as uint8 (3, h, w)."""
    pixels = np.array(image.read(path).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _area(path: Path) -> int:
    try:
        return math.prod(image.probe(path).size)
    except OSError:
        return 0


class Indexed(Protocol):
    """Anything that gives photos, uint8 (3, h, w), by number."""

    def __getitem__(self, index: int, /) -> Tensor:
        """Photo number `index`."""
        ...


class Photos:
    """Photos as uint8 (3, h, w), decoded once and kept within a memory budget.

    Every file is decoded here, so that a broken one is named and skipped at the start; those
    that do not fit into `cache_mb` megabytes are decoded again whenever they are drawn. All
    pixels lie in one tensor: workers share it, forked or spawned.

    Raises:
        ValueError: if no file can be decoded.
    """

    def __init__(self, files: Sequence[Path], cache_mb: float = 1024) -> None:
        budget = int(cache_mb * 1e6)
        self.pool = torch.empty(min(budget, 3 * sum(map(_area, files))), dtype=torch.uint8)
        self.files: list[Path] = []
        self.sizes: list[Size] = []
        self.starts: list[int | None] = []
        used = 0
        with image.steady_warnings(), ThreadPoolExecutor(torch.get_num_threads()) as threads:
            for path, photo in zip(files, threads.map(_try_read, files), strict=True):
                if isinstance(photo, Exception):
                    log.warning("skipped a broken image: %s: %s", path, photo)
                    continue
                fits = used + photo.numel() <= len(self.pool)
                if fits:
                    self.pool[used : used + photo.numel()] = photo.flatten()
                self.files.append(path)
                self.sizes.append((photo.shape[1], photo.shape[2]))
                self.starts.append(used if fits else None)
                used += photo.numel() if fits else 0
        if not self.files:
            raise ValueError(f"expected readable images, got {len(files)} files that are not")
        cached = sum(start is not None for start in self.starts)
        area = sum(h * w for h, w in self.sizes) / 1e6
        log.info("%d photos, %.1f megapixels; %d cached", len(self), area, cached)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        start, (h, w) = self.starts[index], self.sizes[index]
        if start is None:
            return read_rgb(self.files[index])
        return self.pool[start : start + 3 * h * w].view(3, h, w)


def _try_read(path: Path) -> Tensor | Exception:
    try:
        return read_rgb(path)
    except (OSError, ValueError) as error:
        return error
