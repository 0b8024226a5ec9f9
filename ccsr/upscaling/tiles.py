"""Computing a large output window by window, in pieces that fit into memory."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from ccsr.upscaling.enlargement import Enlargement

Piece = TypeVar("Piece")
Window = tuple[slice, slice]

_OUT_OF_MEMORY = ("out of memory", "allocate memory", "create a memory", "not enough memory")


class Tiles:
    """Windows of a side that the memory suffices for.

    Attributes:
        enlargement: what computes them.
        side: the longest that a window has; halved, down to a pixel, when memory runs out.
    """

    def __init__(self, enlargement: Enlargement[Any], side: int) -> None:
        self.enlargement = enlargement
        self.side = side

    def cover(self, rows: slice, columns: slice) -> Iterator[tuple[slice, slice, Tensor]]:
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
    progress: Callable[[float], None] | None = None,
) -> Iterator[Piece]:
    """The result from top to bottom in strips of `height` rows, the last shorter.

    Args:
        enlargement: computes it.
        side: longest of a window.
        height: of a strip.
        progress: called with the share that is done, up to 1.
    """
    source, grid, tiles = enlargement.source, enlargement.grid, Tiles(enlargement, side)
    total, done = grid.rows.size * grid.columns.size, 0
    for top in range(0, grid.rows.size, height):
        bottom = min(top + height, grid.rows.size)
        strip = source.empty((bottom - top, grid.columns.size))
        for rows, columns, y in tiles.cover(slice(top, bottom), slice(0, grid.columns.size)):
            place = slice(rows.start - top, rows.stop - top)
            source.store(strip, place, columns, y, grid.window(rows, columns))
            done += _length(rows) * _length(columns)
            if progress:
                progress(done / total)
        yield strip


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
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY)
