"""One picture on its way to one grid: any window of the result, from the input that it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ccsr.grid import ProjectedGrid
from ccsr.model import Network
from ccsr.model.network import base_crop
from ccsr.resample import resize
from ccsr.upscaling.flips import SYMMETRIES
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
    """

    model: Network
    source: Source[Piece]
    grid: ProjectedGrid
    via: tuple[ProjectedGrid, ...]
    flips: bool
    device: torch.device
    dtype: torch.dtype
    warn: Callable[[str], None]

    def at(self, effort: float) -> "Enlargement[Piece]":
        """The same with another share of the network's work; see `CCSR.route`."""
        return replace(self, via=self.model.route(self.source.size, self.grid, effort))

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
        if self.grid == ProjectedGrid.project(source.size, source.size):
            return source.read(rows, columns)
        crop = self.model.crop(source.size, self.grid, self.via, rows, columns)
        part = source.read(crop.rows, crop.columns)
        part = part.to(self.device).contiguous(memory_format=torch.channels_last)
        place = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        for dtype in dict.fromkeys((self.dtype, torch.float32)):
            mixed = dtype != torch.float32
            with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=mixed):
                y = self._averaged(part, crop.grid, crop.via)
            if bool(y.isfinite().all()):
                return y.cpu()
            if mixed:
                self.warn(f"not finite in bfloat16, computed again in float32: {place}")
        raise RuntimeError(
            f"the network gives values that are not finite in {place}: its weights are damaged, "
            "use another model"
        )

    def _averaged(self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid]) -> Tensor:
        """The network's result at `grid`, the mean over flips and turns if they are wanted."""
        if not self.flips:
            return self.model.enlarge(x, grid, via).float()
        total = torch.zeros((), device=x.device)
        for one in SYMMETRIES:
            target, *on_the_way = (one.grid(each, x) for each in (grid, *via))
            total = total + one.undo(self.model.enlarge(one.do(x), target, on_the_way)).float()
        return total / len(SYMMETRIES)
