"""What the screen shows: a window of an enlargement, in pieces, the nearest to the middle first."""

import math
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ccsr.grid import Axis, ProjectedGrid, choose_grid, reach
from ccsr.image import Levels
from ccsr.image.modes import from_levels, reduced, to_srgb
from ccsr.jobs.target import Target
from ccsr.resample import Kernel, resize
from ccsr.upscaling.automatic import CLEAN, CLEANING, choose
from ccsr.upscaling.upscaler import AUTO
from ccsr.upscaling.view import View
from ccsr.web.entry import LimitError
from ccsr.web.models import Models
from ccsr.web.shelf import Opened, Shelf

FIXED: Mapping[str, tuple[Kernel, int]] = {"bicubic": ("cubic", 4), "lanczos": ("lanczos", 6)}
PREVIEW = "bicubic"
KEPT = 2  # pictures by a network whose features are at hand: as many as there are sides
TILE = 512  # longest side of what a network computes at once, in output pixels
STRIP = 1 << 22  # pixels that a fixed kernel reads or gives at once, as floats
_HEADER = struct.Struct("<5I")
_ERROR = 0  # in the place of the sides


class Window(NamedTuple):
    """A window that a tab wants to see.

    Attributes:
        picture: its number.
        target: the size of the whole enlargement.
        left: of the window, in pixels of the enlargement.
        top: likewise.
        width: likewise.
        height: likewise.
        methods: one name for each side of the divider.
        divider: column of the window where the second one begins.
    """

    picture: int
    target: Target
    left: int
    top: int
    width: int
    height: int
    methods: tuple[str, str]
    divider: int


class Tile(NamedTuple):
    """A part of a view.

    Attributes:
        sides: 1 for the first method, 2 for the second, 3 for both.
        left: of the part, in pixels of the view.
        top: likewise.
        pixels: (h, w, 4), uint8, sRGB with alpha.
    """

    sides: int
    left: int
    top: int
    pixels: NDArray[np.uint8]

    def encode(self) -> bytes:
        """Five little-endian numbers (sides, left, top, width, height), then the pixels."""
        height, width, _ = self.pixels.shape
        return _HEADER.pack(self.sides, self.left, self.top, width, height) + self.pixels.tobytes()


def encode_end(error: str = "") -> bytes:
    """What ends a view: no side, no pixels, and a sentence if something went wrong."""
    text = error.encode(errors="replace")
    return _HEADER.pack(_ERROR, 0, 0, len(text), 0) + text


@dataclass
class Views:
    """Computes views of the pictures on a shelf, in one thread at a time."""

    shelf: Shelf
    models: Models
    _suited: dict[int, str] = field(default_factory=dict)
    _kept: "OrderedDict[tuple[int, str], View[Levels]]" = field(default_factory=OrderedDict)

    def check(self, view: Window) -> None:
        """Refuse, before any work, what is out of bounds.

        Raises:
            LimitError: for a window that is too large.
            ValueError: for one that is not within the enlargement, or an unknown method or picture.
        """
        if view.width * view.height > self.shelf.limits.view:
            raise LimitError(
                f"a view has at most {self.shelf.limits.view} pixels, got "
                f"{view.width}x{view.height}: make the window smaller"
            )
        height, width = view.target.size(self.shelf.find(view.picture).size)
        inside = 0 <= view.left < view.left + view.width <= width
        if not (inside and 0 <= view.top < view.top + view.height <= height):
            raise ValueError(
                f"a window must lie within {width}x{height}, got {view.width}x{view.height} at "
                f"{view.left}, {view.top}"
            )
        for name in view.methods:
            if name not in FIXED:
                self.models.check(name)

    def tiles(self, view: Window) -> Iterator[Tile]:
        """The window by fixed kernels at once, then what networks make of it, piece by piece.

        The pieces that the divider hides come last.
        """
        opened = self.shelf.opened(view.picture)
        size = view.target.size(opened.source.size)
        scale = view.target.scale
        grid = choose_grid(opened.source.size, scale, None if scale else size)
        sides: dict[str, int] = {}
        for number, name in enumerate(view.methods):
            sides[name] = sides.get(name, 0) | 1 << number
        first: dict[str, int] = {}
        for name, side in sides.items():
            kernel = name if name in FIXED else PREVIEW
            first[kernel] = first.get(kernel, 0) | side
        for kernel, side in first.items():
            yield from self._fixed(view, opened, grid, kernel, side)
        if grid.reduces:
            return  # bicubic is all that a network gives
        networks = {side: name for name, side in sides.items() if name not in FIXED}
        for side, (left, top, width, height) in _ordered(view, list(networks)):
            self.shelf.find(view.picture)  # nobody sees one that was removed
            rows = slice(view.top + top, view.top + top + height)
            columns = slice(view.left + left, view.left + left + width)
            at_hand = self._at_hand(view.picture, networks[side], opened)
            values = at_hand.window(rows, columns, grid=grid)
            yield Tile(side, left, top, _shown(values, opened.profile))

    def tidy(self) -> None:
        """Give free what is kept of pictures that were removed, in the thread that computes."""
        for key in [key for key in self._kept if not self.shelf.has(key[0])]:
            del self._kept[key]
        for number in [number for number in self._suited if not self.shelf.has(number)]:
            del self._suited[number]

    def _at_hand(self, picture: int, name: str, opened: Opened) -> View[Levels]:
        """The features of a picture by a network; those that were used last are kept."""
        if name == AUTO:
            if picture not in self._suited:
                cleans = choose(opened.source.values, opened.coding).cleans
                self._suited[picture] = CLEANING if cleans else CLEAN
            name = self._suited[picture]
        key = picture, name
        if key not in self._kept:
            upscaler = self.models.upscaler(name)
            room = upscaler.memory // (2 * KEPT)
            self._kept[key] = upscaler.view(opened.source, memory=room, coding=opened.coding)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _fixed(
        self, view: Window, opened: Opened, grid: ProjectedGrid, name: str, sides: int
    ) -> Iterator[Tile]:
        kernel, kernel_size = FIXED[name]
        source = opened.source
        inputs = 1 / min(math.prod(grid.scale), 1.0)  # read for each pixel of the view, at least 1
        step = max(1, int(STRIP / (view.width * inputs)))
        for top in range(0, view.height, step):
            height = min(step, view.height - top)
            rows = slice(view.top + top, view.top + top + height)
            window = grid.window(rows, slice(view.left, view.left + view.width))
            near = [
                _near(axis, kernel_size, limit)
                for axis, limit in zip((window.rows, window.columns), source.size, strict=True)
            ]
            x = source.read(*near)
            y = resize(x, window.shifted(near[0].start, near[1].start), kernel)
            piece = source.empty(window.size)
            source.store(piece, slice(None), slice(None), y, window)
            yield Tile(sides, 0, top, _shown(piece, opened.profile))


def _cut(length: int) -> list[tuple[int, int]]:
    """Starts and lengths of pieces of nearly equal length, at most `TILE`."""
    count = -(-length // TILE)
    ends = [length * number // count for number in range(count + 1)]
    return [(start, stop - start) for start, stop in pairwise(ends)]


def _near(axis: Axis, kernel_size: int, limit: int) -> slice:
    start, stop = reach(axis, kernel_size)
    return slice(min(max(start, 0), limit - 1), max(min(stop, limit), 1))


def _ordered(view: Window, sides: list[int]) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Sides and boxes (left, top, width, height): first what is seen, from the middle outwards."""
    boxes = [
        (left, top, width, height)
        for top, height in _cut(view.height)
        for left, width in _cut(view.width)
    ]

    def rank(item: tuple[int, tuple[int, int, int, int]]) -> tuple[bool, float]:
        side, (left, top, width, height) = item
        hidden = (side == 1 and left >= view.divider) or (
            side == 2 and left + width <= view.divider
        )
        across = left + width / 2 - view.width / 2
        down = top + height / 2 - view.height / 2
        return hidden, across**2 + down**2

    return sorted(product(sides, boxes), key=rank)


def _shown(values: Levels, profile: bytes | None) -> NDArray[np.uint8]:
    """Levels (h, w, C) as the screen takes them: (h, w, 4), 8 bit, sRGB."""
    levels = reduced(values)
    colours = levels.shape[2] - (levels.shape[2] in (2, 4))
    colour = levels[..., :colours]
    converted = to_srgb(from_levels(np.ascontiguousarray(colour)), profile) if profile else None
    shown = np.empty((*levels.shape[:2], 4), np.uint8)
    shown[..., :3] = colour if converted is None else np.asarray(converted)
    shown[..., 3] = 255 if colours == levels.shape[2] else levels[..., -1]
    return shown
