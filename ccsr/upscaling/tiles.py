"""Computing a large output window by window, in pieces that fit into memory."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from ccsr.grid import ProjectedGrid
from ccsr.upscaling.pixels import Source

Piece = TypeVar("Piece")
Window = tuple[slice, slice]

_OUT_OF_MEMORY = ("out of memory", "allocate memory", "create a memory", "not enough memory")


def for_each_window(
    region: Window,
    tile: int,
    compute: Callable[[slice, slice], object],
    count: Callable[[int], None],
) -> int:
    """Call `compute(rows, columns)` on windows that together cover `region`.

    Args:
        region: rows and columns.
        tile: longest side of a window; halved, down to a pixel, when memory runs out.
        compute: may be called again for a part of a window whose call ran out of memory.
        count: called after each window with its number of pixels.

    Returns:
        The longest side that the memory sufficed for.

    Raises:
        RuntimeError: if the memory does not suffice for a pixel.
    """
    pending = [region]
    while pending:
        rows, columns = pending.pop()
        longest = max(_length(rows), _length(columns))
        if longest > tile:
            pending.extend(reversed(_split(rows, columns, tile)))
            continue
        try:
            compute(rows, columns)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if longest == 1:
                raise RuntimeError(
                    "out of memory even for a single pixel: close other programs or use another "
                    "device"
                ) from error
            tile = longest // 2
            pending.append((rows, columns))
            continue
        count(_length(rows) * _length(columns))
    return tile


def strips(
    source: Source[Piece],
    grid: ProjectedGrid,
    tile: int,
    height: int,
    compute: Callable[[slice, slice], Tensor],
    progress: Callable[[float], None] | None = None,
) -> Iterator[Piece]:
    """The result from top to bottom in strips of `height` rows, the last shorter.

    Args:
        source: stores what is computed.
        grid: of the whole result.
        tile: longest side of a window.
        height: of a strip.
        compute: gives a window of the result, (images, 3, rows, columns).
        progress: called with the share that is done, up to 1.
    """
    total, done = grid.rows.size * grid.columns.size, 0

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress(done / total)

    for top in range(0, grid.rows.size, height):
        bottom = min(top + height, grid.rows.size)
        strip = source.empty((bottom - top, grid.columns.size))

        def store(rows: slice, columns: slice, strip: Piece = strip, top: int = top) -> None:
            place = slice(rows.start - top, rows.stop - top)
            y = compute(rows, columns)
            source.store(strip, place, columns, y, grid.window(rows, columns))

        region = (slice(top, bottom), slice(0, grid.columns.size))
        tile = for_each_window(region, tile, store, count)
        yield strip


def _split(rows: slice, columns: slice, tile: int) -> list[Window]:
    """Windows of nearly equal size, at most `tile` a side, in reading order."""
    return [(r, c) for r in _cut(rows, tile) for c in _cut(columns, tile)]


def _cut(part: slice, tile: int) -> list[slice]:
    pieces = -(-_length(part) // tile)
    ends = [part.start + _length(part) * i // pieces for i in range(pieces + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY)
