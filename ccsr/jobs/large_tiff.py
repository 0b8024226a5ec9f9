"""Results larger than the memory: a TIFF that is written while it is computed."""

from collections.abc import Callable
from pathlib import Path

from ccsr.atomic import replacing
from ccsr.device import NoRoomError, free_memory
from ccsr.grid import Scale, Size, choose_grid
from ccsr.image import Levels, Metadata, Picture, tiff_writing
from ccsr.image.formats import Named
from ccsr.image.metadata import NOTHING
from ccsr.upscaling.upscaler import Upscaler

SUFFIXES = (".tif", ".tiff")
STRIP = 1024  # rows that are computed at once, fewer where they do not fit
COPIES = 3  # of such a strip: the one before it, and what is compressed


def possible(picture: Picture, path: Named) -> bool:
    """Whether an enlargement of `picture` can be streamed to `path`."""
    return path.suffix.lower() in SUFFIXES and not picture.several


def worthwhile(upscaler: Upscaler, picture: Picture, size: Size, path: Named) -> bool:
    """Whether an enlargement of `picture` to `size` (H, W) should be streamed to `path`."""
    if not possible(picture, path):
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
        values: (h, w, C), uint8, uint16 or float32.
        path: of the file.
        scale: as in `Upscaler.levels`.
        size: as in `Upscaler.levels`.
        metadata: written into the file.
        progress: called with the share that is done, up to 1.

    Raises:
        OSError: if the file system refuses.
        NoRoomError: if not even a row fits into the memory.
        RuntimeError: see `Upscaler.tensor`.
    """
    height, width = choose_grid((values.shape[0], values.shape[1]), scale, size).size
    page = tiff_writing.Page((height, width, values.shape[2]), values.dtype, (), metadata)
    rows = _rows(_room(upscaler), page)
    strips = upscaler.strips(values, rows, scale=scale, size=size, progress=progress)
    with replacing(path) as temporary:
        tiff_writing.write(temporary, [page._replace(parts=strips)])


def _rows(room: int, page: tiff_writing.Page) -> int:
    """Of what is computed at once: its copies take at most `room` bytes."""
    width = page.shape[1]
    needed = COPIES * width * page.shape[2] * page.dtype.itemsize
    if needed > room:
        raise NoRoomError(
            f"a row of {width} pixels needs {needed / 2**20:.1f} MiB of memory, "
            f"{room / 2**20:.1f} MiB may be taken: ask for a narrower size, or raise --memory"
        )
    rows = min(room // needed, STRIP)
    return max(rows - rows % page.rows, min(rows, page.rows))  # whole strips of the file


def _room(upscaler: Upscaler) -> int:
    """Bytes that a result may take on the host, wherever it is computed."""
    host = free_memory(None)
    return min(upscaler.memory, upscaler.memory if host is None else host // 4)
