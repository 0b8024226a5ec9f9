"""The encoder's features of one picture, kept tile by tile: the scale is not in them."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from ccsr.model.residual import Encoded

SIDE = 128  # of a tile, in features


class Block(NamedTuple):
    """Tiles beside each other: numbers of rows and columns of tiles."""

    rows: range
    columns: range


class Features:
    """Tiles of features, those that were not used for longest given up first.

    Args:
        memory: bytes that the tiles may take together.
        area: features that are computed at once, at most, or one tile.

    Attributes:
        bytes: what the tiles take.
    """

    def __init__(self, memory: int, area: int) -> None:
        self.memory = memory
        self.most = max(1, area // SIDE**2)
        self.bytes = 0
        self._tiles: OrderedDict[tuple[Hashable, int, int], Encoded] = OrderedDict()

    def window(
        self,
        key: Hashable,
        rows: slice,
        columns: slice,
        size: tuple[int, int],
        compute: Callable[[slice, slice], Encoded],
    ) -> Encoded:
        """Features (N, C, rows, columns), from tiles that are kept or computed now.

        Args:
            key: what the tiles depend on, beside their place.
            rows: of the features.
            columns: likewise.
            size: of all features.
            compute: gives the features at some rows and columns.
        """
        tall, wide = _numbers(rows), _numbers(columns)
        found: dict[tuple[int, int], Encoded] = {}
        missing = []
        for place in product(tall, wide):
            tile = self._find((key, *place))
            if tile is None:
                missing.append(place)
            else:
                found[place] = tile
        for block in blocks(missing, self.most):
            top, left = block.rows.start * SIDE, block.columns.start * SIDE
            below = slice(top, min(block.rows.stop * SIDE, size[0]))
            beside = slice(left, min(block.columns.stop * SIDE, size[1]))
            values = compute(below, beside)
            for r, c in product(*block):
                below, beside = _part(r * SIDE - top), _part(c * SIDE - left)
                found[r, c] = self._keep((key, r, c), _cut(values, below, beside))
        features = _joined({at: tile.features for at, tile in found.items()}, rows, columns)
        if all(tile.trust is None for tile in found.values()):
            return Encoded(features)
        trusts = {at: _trust(tile) for at, tile in found.items()}
        return Encoded(features, _joined(trusts, rows, columns))

    def _find(self, key: tuple[Hashable, int, int]) -> Encoded | None:
        if key in self._tiles:
            self._tiles.move_to_end(key)
        return self._tiles.get(key)

    def _keep(self, key: tuple[Hashable, int, int], tile: Encoded) -> Encoded:
        taken = _bytes(tile)
        while self._tiles and self.bytes + taken > self.memory:
            self.bytes -= _bytes(self._tiles.popitem(last=False)[1])
        if taken <= self.memory:
            self._tiles[key] = tile
            self.bytes += taken
        return tile


def blocks(places: Sequence[tuple[int, int]], most: int) -> Iterator[Block]:
    """Rectangles of at most `most` tiles that together are `places`, (row, column) in order."""
    left = dict.fromkeys(places)
    while left:
        row, column = next(iter(left))
        right = column + 1
        while (row, right) in left and right - column < most:
            right += 1
        below = row + 1
        while (below - row + 1) * (right - column) <= most and all(
            (below, each) in left for each in range(column, right)
        ):
            below += 1
        block = Block(range(row, below), range(column, right))
        yield block
        for place in product(*block):
            del left[place]


def _part(start: int) -> slice:
    return slice(start, start + SIDE)


def _cut(values: Encoded, rows: slice, columns: slice) -> Encoded:
    """A tile as tensors of its own, not as views of the whole block."""
    return values.each(
        lambda each: each[:, :, rows, columns].clone(memory_format=torch.channels_last)
    )


def _bytes(tile: Encoded) -> int:
    return tile.features.nbytes + (0 if tile.trust is None else tile.trust.nbytes)


def _trust(tile: Encoded) -> Tensor:
    return torch.ones_like(tile.features[:, :1]) if tile.trust is None else tile.trust


def _joined(tiles: Mapping[tuple[int, int], Tensor], rows: slice, columns: slice) -> Tensor:
    """The features at `rows` and `columns` out of the tiles there."""
    first = next(iter(tiles.values()))
    shape = (*first.shape[:2], rows.stop - rows.start, columns.stop - columns.start)
    whole = torch.empty(
        shape, dtype=first.dtype, device=first.device, memory_format=torch.channels_last
    )
    for (r, c), tile in tiles.items():
        top, left = r * SIDE - rows.start, c * SIDE - columns.start
        part = tile[:, :, max(-top, 0) :, max(-left, 0) :]
        place = whole[:, :, max(top, 0) : top + SIDE, max(left, 0) : left + SIDE]
        place.copy_(part[:, :, : place.shape[2], : place.shape[3]])
    return whole


def _numbers(part: slice) -> range:
    return range(part.start // SIDE, -(-part.stop // SIDE))
