"""One picture on its way to one grid: any window of the result, from the input that it needs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Generic, Protocol, Self, TypeVar

from ccsr.grid import ProjectedGrid, Size
from ccsr.resample import needed
from ccsr.upscaling.pixels import AnyFloats, Source

Piece = TypeVar("Piece")

FEATURES = 6  # of the encoder's width that are in memory at once
OUTPUT_PIXEL_BYTES = 96


class Model(Protocol):
    """What is asked of a network, whatever computes it; see :class:`ccsr.model.Network`."""

    channels: int
    efforts: tuple[float, ...]
    cleans: bool
    conditioned: bool

    def route(self, size: Size, grid: ProjectedGrid, effort: float = 1.0) -> Any:
        """The grids on the way."""

    def check_effort(self, effort: float) -> None:
        """Raise ValueError for an effort that it has not."""


@dataclass(frozen=True)
class Enlargement(ABC, Generic[Piece]):
    """What is computed, and how; a subclass has an engine that computes it.

    Attributes:
        model: the network.
        source: the picture.
        grid: of the whole result, laid over the picture.
        via: the grids on the way, the encoder's first, likewise.
        flips: whether to average over the eight flips and quarter turns of the picture.
        warn: called with what the user should know of.
    """

    model: Any
    source: Source[Piece]
    grid: ProjectedGrid
    via: tuple[ProjectedGrid, ...]
    flips: bool
    warn: Callable[[str], None]

    def at(self, effort: float) -> Self:
        """The same with another share of the network's work; see `CCSR.route`."""
        return replace(self, via=self.model.route(self.source.size, self.grid, effort))

    def over(self, grid: ProjectedGrid) -> Self:
        """The same picture at another grid, with all of the work."""
        return replace(self, grid=grid, via=self.model.route(self.source.size, grid))

    @property
    def pixel_bytes(self) -> float:
        """What computing a pixel of the result takes, of one image."""
        channels = 3 if self.grid.reduces else self.model.channels
        features = FEATURES * channels * 4 / (self.grid.scale[0] * self.grid.scale[1])
        return OUTPUT_PIXEL_BYTES + features

    def window(self, rows: slice, columns: slice) -> AnyFloats:
        """A window of the result: float32 (images, 3, rows, columns), finite, on the CPU.

        A reduction is bicubic with antialiasing, as the picture holds more than is asked. On the
        picture's own pixels it is the picture: there is nothing between them to find out.

        Raises:
            RuntimeError: if the network gives values that are not finite.
        """
        source = self.source
        if self.grid.reduces:
            window = self.grid.window(rows, columns)
            top, left = needed(source.size, window)
            return self.resized(source.read(top, left), window.shifted(top.start, left.start))
        if self.grid.keeps(source.size) and not self.model.cleans:
            return source.read(rows, columns)
        y = self.computed(rows, columns)
        if not self.finite(y):
            raise RuntimeError(
                f"the network gives values that are not finite in {self.place(rows, columns)}: its "
                "weights are damaged, use another model"
            )
        return y

    @abstractmethod
    def resized(self, x: AnyFloats, grid: ProjectedGrid) -> AnyFloats:
        """A part of the picture at `grid`, by a cubic kernel."""

    @abstractmethod
    def computed(self, rows: slice, columns: slice) -> AnyFloats:
        """A window by the network, float32 (images, 3, rows, columns), on the CPU."""

    @staticmethod
    def finite(y: AnyFloats) -> bool:
        """Whether all values are: no sum with another is, and it takes a tenth of the time."""
        return bool(isfinite(float(y.sum())))

    @staticmethod
    def place(rows: slice, columns: slice) -> str:
        """Where a window is, for a person."""
        return f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
