"""Results larger than the memory: strip by strip into a tiled, compressed TIFF."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tifffile
import torch
from PIL import Image

from ccsr.atomic import replacing
from ccsr.device import free_memory
from ccsr.grid import Scale, Size, choose_grid
from ccsr.image import Levels, Metadata, Picture
from ccsr.image.metadata import as_stored
from ccsr.upscaling.upscaler import Upscaler

SUFFIXES = (".tif", ".tiff")
TILE = 256  # side of the file's tiles
STRIP = 4 * TILE  # rows that are computed at once, fewer where they do not fit
NOTHING = Metadata()
_SOFTWARE, _XMP = 305, 700  # tags
_TEXT, _BYTE = 2, 1  # types of tags
LARGEST_CLASSIC = 1 << 31  # bytes; beyond this not every reader takes a TIFF that is not BigTIFF


def worthwhile(upscaler: Upscaler, picture: Picture, size: Size, path: Path) -> bool:
    """Whether an enlargement of `picture` to `size` (H, W) should be streamed to `path`."""
    if path.suffix.lower() not in SUFFIXES or picture.several:
        return False
    values = picture.frames[0]
    needed: int = size[0] * size[1] * values.shape[2] * values.itemsize
    return needed > _room(upscaler)


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
        size: as in `Upscaler.levels`.
        metadata: written into the file; of the EXIF only texts such as date, camera and author.
        progress: called with the share that is done, up to 1.

    Raises:
        OSError: if the file system refuses.
        RuntimeError: see `Upscaler.tensor`.
    """
    height, width = choose_grid((values.shape[0], values.shape[1]), scale, size).size
    channels = values.shape[2]
    row = width * channels * values.itemsize
    fitting = _room(upscaler) // row // TILE * TILE
    rows = min(max(fitting, TILE), STRIP)
    strips = upscaler.strips(values, rows, scale=scale, size=size, progress=progress)
    large = height * row > LARGEST_CLASSIC
    texts = _texts(metadata)
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
            software=texts.pop(_SOFTWARE, False),  # or it would name itself
            extratags=_tags(texts, metadata.xmp),
            metadata=None,
        )


def _tiles(strips: Iterable[Levels]) -> Iterator[Levels]:
    """The file's tiles in its order; the writer fills up those at the border."""
    for strip in strips:
        for top in range(0, strip.shape[0], TILE):
            for left in range(0, strip.shape[1], TILE):
                tile = strip[top : top + TILE, left : left + TILE]
                yield tile if tile.shape[2] > 1 else tile[..., 0]


def _room(upscaler: Upscaler) -> int:
    """Bytes that a result may take on the host, wherever it is computed."""
    host = free_memory(torch.device("cpu"))
    return min(upscaler.memory, upscaler.memory if host is None else host // 4)


def _texts(metadata: Metadata) -> dict[int, str | bytes]:
    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    return {tag: as_stored(text) for tag, text in exif.items() if isinstance(text, str)}


def _tags(texts: Mapping[int, str | bytes], xmp: bytes | None) -> list[tuple[Any, ...]]:
    tags: list[tuple[Any, ...]] = [(tag, _TEXT, 0, text, True) for tag, text in texts.items()]
    if xmp:
        tags.append((_XMP, _BYTE, len(xmp), xmp, True))
    return tags
