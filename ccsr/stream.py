"""Results larger than the memory: strip by strip into a tiled, compressed TIFF."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import tifffile
import torch
from PIL import Image

from ccsr.choice import choose_grid
from ccsr.device import free_memory
from ccsr.files import replacing
from ccsr.image import Levels, Metadata, Picture
from ccsr.resample import Scale, Size
from ccsr.upscale import Upscaler

SUFFIXES = (".tif", ".tiff")
TILE = 256  # side of the file's tiles
STRIP = 4 * TILE  # rows that are computed at once
NOTHING = Metadata()
_XMP, _TEXT, _BYTE = 700, 2, 1  # a tag, and types of tags
LARGEST_CLASSIC = 1 << 31  # bytes; beyond this not every reader takes a TIFF that is not BigTIFF


def worthwhile(upscaler: Upscaler, picture: Picture, size: Size, path: Path) -> bool:
    """Whether an enlargement of `picture` to `size` (H, W) should be streamed to `path`."""
    if path.suffix.lower() not in SUFFIXES or picture.several:
        return False
    values = picture.frames[0]
    needed: int = size[0] * size[1] * values.shape[2] * values.itemsize
    host = free_memory(torch.device("cpu"))  # holds the result, wherever it is computed
    room = min(upscaler.memory, upscaler.memory if host is None else host // 4)
    return needed > room


def enlarge(
    upscaler: Upscaler,
    values: Levels,
    path: Path,
    *,
    scale: Scale | None = None,
    size: Size | None = None,
    metadata: Metadata = NOTHING,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write what `upscaler.levels` gives to a TIFF file, whole or not at all, never holding it.

    Args:
        upscaler: computes it.
        values: (h, w, C), uint8 or uint16.
        path: of the file.
        scale: as in `Upscaler.levels`.
        size: likewise.
        metadata: written into the file; of the EXIF only texts such as date, camera and author.
        progress: called with the share that is done, up to 1.

    Raises:
        OSError: if the file system refuses.
        RuntimeError: see `Upscaler.tensor`.
    """
    height, width = choose_grid((values.shape[0], values.shape[1]), scale, size).size
    channels = values.shape[2]
    strips = upscaler.strips(values, STRIP, scale=scale, size=size, progress=progress)
    large = height * width * channels * values.itemsize > LARGEST_CLASSIC
    with replacing(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=large) as file:
        file.write(
            _tiles(strips),
            shape=(height, width, channels) if channels > 1 else (height, width),
            dtype=values.dtype,
            tile=(TILE, TILE),
            compression="adobe_deflate",
            predictor=True,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig",
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            iccprofile=metadata.profile,
            resolution=metadata.dpi,
            resolutionunit="inch" if metadata.dpi else None,
            extratags=_tags(metadata),
            metadata=None,
        )


def _tiles(strips: Iterable[Levels]) -> Iterator[Levels]:
    """The file's tiles in its order; the writer fills up those at the border."""
    for strip in strips:
        for top in range(0, strip.shape[0], TILE):
            for left in range(0, strip.shape[1], TILE):
                tile = strip[top : top + TILE, left : left + TILE]
                yield tile if tile.shape[2] > 1 else tile[..., 0]


def _tags(metadata: Metadata) -> list[tuple[Any, ...]]:
    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    texts = [(tag, text) for tag, text in exif.items() if isinstance(text, str)]
    tags: list[tuple[Any, ...]] = [
        (tag, _TEXT, 0, text.encode("ascii", "replace"), True) for tag, text in texts
    ]
    if metadata.xmp:
        tags.append((_XMP, _BYTE, len(metadata.xmp), metadata.xmp, True))
    return tags
