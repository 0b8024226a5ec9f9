"""Computing a large output window by window, in pieces that fit into memory."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Generic, Literal, TypeVar

from ccsr.resample import KERNELS
from ccsr.upscaling.enlargement import Enlargement
from ccsr.upscaling.pixels import AnyFloats

Piece = TypeVar("Piece")
Window = tuple[slice, slice]
Tile = int | Literal["auto", "off"]
Progress = Callable[[float], None]

SMALLEST_TILE = 16  # that can be asked for: smaller ones mostly compute their surroundings

_OUT_OF_MEMORY = ("out of memory", "allocate memory", "create a memory", "not enough memory")


class Tiles(Generic[Piece]):
    """Windows of a side that the memory suffices for.

    Attributes:
        enlargement: what computes them.
        side: the longest that a window has; halved, down to a pixel, when memory runs out.
    """

    def __init__(self, enlargement: Enlargement[Piece], side: int) -> None:
        self.enlargement = enlargement
        self.side = side

    def cover(self, rows: slice, columns: slice) -> Iterator[tuple[slice, slice, AnyFloats]]:
        """Windows that together are `rows` and `columns` of the result: where, and what is there.

        Raises:
            RuntimeError: if the memory does not suffice for a pixel.
        """
        pending: list[Window] = [(rows, columns)]
        while pending:
            rows, columns = pending.pop()
            longest = max(_length(rows), _length(columns))
            if longest > self.side:
                pending.extend(reversed(_split(rows, columns, self.side)))
                continue
            try:
                y = self.enlargement.window(rows, columns)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                if longest == 1:
                    raise RuntimeError(
                        "out of memory even for a single pixel: close other programs or use "
                        "another device"
                    ) from error
                self.side = longest // 2
                pending.append((rows, columns))
                continue
            yield rows, columns, y


def strips(
    enlargement: Enlargement[Piece],
    side: int,
    height: int,
    progress: Progress | None = None,
) -> Iterator[Piece]:
    """The result from top to bottom in strips of `height` rows, the last shorter.

    Args:
        enlargement: computes it.
        side: longest of a window.
        height: of a strip.
        progress: called with the share that is done, up to 1.
    """
    grid, tiles = enlargement.grid, Tiles(enlargement, side)
    done = _Done(math.prod(grid.size), progress)
    for top in range(0, grid.rows.size, height):
        bottom = min(top + height, grid.rows.size)
        yield _piece(tiles, slice(top, bottom), slice(0, grid.columns.size), done)


def piece(
    enlargement: Enlargement[Piece],
    side: int,
    rows: slice,
    columns: slice,
    progress: Progress | None = None,
) -> Piece:
    """The result at `rows` and `columns`; the rest as for :func:`strips`."""
    done = _Done(_length(rows) * _length(columns), progress)
    return _piece(Tiles(enlargement, side), rows, columns, done)


class _Done:
    """Tells the share of all pixels that is done."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.progress, self.pixels = total, progress, 0

    def count(self, pixels: int) -> None:
        self.pixels += pixels
        if self.progress:
            self.progress(self.pixels / self.total)


def _piece(tiles: Tiles[Piece], rows: slice, columns: slice, done: _Done) -> Piece:
    source, grid = tiles.enlargement.source, tiles.enlargement.grid
    result = source.empty((_length(rows), _length(columns)))
    for top, left, y in tiles.cover(rows, columns):
        place = slice(top.start - rows.start, top.stop - rows.start)
        beside = slice(left.start - columns.start, left.stop - columns.start)
        source.store(result, place, beside, y, grid.window(top, left))
        done.count(_length(top) * _length(left))
    return result


def window_side(enlargement: Enlargement[Any], tile: Tile, memory: int) -> int:
    """Longest side of a window, in output pixels.

    Args:
        enlargement: that the window is of.
        tile: what was asked for.
        memory: bytes that computing it may take, for `auto`.
    """
    grid = enlargement.grid
    if isinstance(tile, int):
        return tile
    if tile == "off":
        return max(grid.size)
    side = math.isqrt(int(memory / (enlargement.source.images * enlargement.pixel_bytes)))
    if grid.reduces:
        return max(side - KERNELS["cubic"][1], 1)  # so many more are read around it
    return max(side, SMALLEST_TILE)


def _split(rows: slice, columns: slice, side: int) -> list[Window]:
    """Windows of nearly equal size, at most `side` a side, in reading order."""
    return [(r, c) for r in _cut(rows, side) for c in _cut(columns, side)]


def _cut(part: slice, side: int) -> list[slice]:
    pieces = -(-_length(part) // side)
    ends = [part.start + _length(part) * i // pieces for i in range(pieces + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY)
