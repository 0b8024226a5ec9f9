"""One picture on its way to one grid: any window of the result, from the input that it needs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ccsr.grid import ProjectedGrid
from ccsr.model import Network
from ccsr.model.network import base_crop, parts_of
from ccsr.model.residual import Encoded
from ccsr.model.whole import Crop
from ccsr.resample import resize
from ccsr.upscaling.features import Features
from ccsr.upscaling.flips import SYMMETRIES, Symmetry
from ccsr.upscaling.pixels import Source

Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Enlargement(Generic[Piece]):
    """What is computed, and how.

    Attributes:
        model: the network, on `device`.
        source: the picture.
        grid: of the whole result, laid over the picture.
        via: the grids on the way, the encoder's first, likewise.
        flips: whether to average over the eight flips and quarter turns of the picture.
        device: that computes.
        dtype: that it computes in: float32 or bfloat16.
        warn: called with what the user should know of.
        features: where those of this picture by this model are kept; None keeps none.
    """

    model: Network
    source: Source[Piece]
    grid: ProjectedGrid
    via: tuple[ProjectedGrid, ...]
    flips: bool
    device: torch.device
    dtype: torch.dtype
    warn: Callable[[str], None]
    features: Features | None = None

    def at(self, effort: float) -> "Enlargement[Piece]":
        """The same with another share of the network's work; see `CCSR.route`."""
        return replace(self, via=self.model.route(self.source.size, self.grid, effort))

    def over(self, grid: ProjectedGrid) -> "Enlargement[Piece]":
        """The same picture at another grid, with all of the work."""
        return replace(self, grid=grid, via=self.model.route(self.source.size, grid))

    @property
    def reduces(self) -> bool:
        """Whether the result has fewer pixels than the picture along both axes."""
        return max(self.grid.scale) < 1

    def window(self, rows: slice, columns: slice) -> Tensor:
        """A window of the result: float32 (images, 3, rows, columns), finite, on the CPU.

        A reduction is bicubic with antialiasing, as the picture holds more than is asked. On the
        picture's own pixels it is the picture: there is nothing between them to find out.

        Raises:
            RuntimeError: if the network gives values that are not finite.
        """
        source = self.source
        if self.reduces:
            crop = base_crop(source.size, self.grid.window(rows, columns))
            return resize(source.read(crop.rows, crop.columns), crop.grid)
        own = ProjectedGrid.project(source.size, source.size)
        if self.grid == own and not self.model.cleans:
            return source.read(rows, columns)
        compute = self._whole if self.features is None else self._from_features
        for dtype in dict.fromkeys((self.dtype, torch.float32)):
            with self._precision(dtype):
                y = compute(rows, columns)
            if bool(y.sum().isfinite()):  # as no sum with another is, in a tenth of the time
                return y.cpu()
            place = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
            if dtype != torch.float32:
                self.warn(f"not finite in bfloat16, computed again in float32: {place}")
        raise RuntimeError(
            f"the network gives values that are not finite in {place}: its weights are damaged, "
            "use another model"
        )

    @contextmanager
    def _precision(self, dtype: torch.dtype) -> Iterator[None]:
        mixed = dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=mixed):
            yield

    def _whole(self, rows: slice, columns: slice) -> Tensor:
        """A window by the whole network, from the input that it needs."""
        crop = self.model.crop(self.source.size, self.grid, self.via, rows, columns)
        x = self._read(crop)
        return self._mean(
            one.undo(self.model.enlarge(one.do(x), *_moved(one, crop, x))) for one in self._turns
        )

    def _from_features(self, rows: slice, columns: slice) -> Tensor:
        """A window from features that are kept."""
        model = parts_of(self.model)
        crop = model.reading(self.source.size, self.grid, self.via, rows, columns)
        x = self._read(crop)
        return self._mean(
            one.undo(
                model.read(
                    one.do(x), self._features(one, crop.via[0]).each(one.do), *_moved(one, crop, x)
                )
            )
            for one in self._turns
        )

    def _features(self, one: Symmetry, window: ProjectedGrid) -> Encoded:
        """The features in a window of the encoder's grid of the flipped and turned picture.

        They come turned back.
        """
        assert self.features is not None
        model, size, whole = parts_of(self.model), self.source.size, self.via[0]

        def compute(rows: slice, columns: slice) -> Encoded:
            crop = model.encoding(size, whole, rows, columns)
            x = self._read(crop)
            encoded = model.features(one.do(x), one.grid(crop.via[0], x))
            place = crop.grid.within(crop.via[0])
            top, left = (round(float(axis.positions()[0])) for axis in (place.rows, place.columns))
            height, width = crop.grid.size
            below, beside = slice(top, top + height), slice(left, left + width)
            return encoded.each(lambda each: one.undo(each)[:, :, below, beside])

        rows, columns = (
            slice(axis.first, axis.first + axis.size) for axis in (window.rows, window.columns)
        )
        dtype = torch.get_autocast_dtype(self.device.type)
        key = (one, whole, dtype if torch.is_autocast_enabled(self.device.type) else None)
        return self.features.window(key, rows, columns, whole.size, compute)

    def _read(self, crop: Crop) -> Tensor:
        part = self.source.read(crop.rows, crop.columns)
        return part.to(self.device).contiguous(memory_format=torch.channels_last)

    @property
    def _turns(self) -> Sequence[Symmetry]:
        return SYMMETRIES if self.flips else SYMMETRIES[:1]

    def _mean(self, results: Iterable[Tensor]) -> Tensor:
        total: Tensor | None = None
        for y in results:
            total = y.float() if total is None else total + y.float()
        assert total is not None
        return total / len(SYMMETRIES) if self.flips else total


def _moved(one: Symmetry, crop: Crop, x: Tensor) -> tuple[ProjectedGrid, tuple[ProjectedGrid, ...]]:
    """The target and the grids on the way over the flipped and turned `x`."""
    return one.grid(crop.grid, x), tuple(one.grid(each, x) for each in crop.via)
