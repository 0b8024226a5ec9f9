"""Windows of a result, computed by torch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from ccsr.device import choose_device, has_native_bfloat16
from ccsr.grid import ProjectedGrid
from ccsr.model import Network
from ccsr.model.network import CCSR, parts_of
from ccsr.model.residual import Encoded
from ccsr.model.whole import Crop
from ccsr.resample import resize
from ccsr.upscaling.enlargement import FEATURES, Enlargement
from ccsr.upscaling.features import Features
from ccsr.upscaling.flips import SYMMETRIES, Symmetry
from ccsr.upscaling.pixels import Source

Piece = TypeVar("Piece")


class TorchEngine:
    """A network on a device.

    Args:
        model: moved to `device`, in float32, and set to evaluation.
        device: see `Upscaler`.
        precision: likewise.

    Raises:
        ValueError: for an unknown or unavailable device.
    """

    def __init__(self, model: Network, device: str | torch.device, precision: str) -> None:
        self.device = choose_device(device)
        self.automatic = precision == "auto"
        native = self.automatic and has_native_bfloat16(self.device)
        self.dtype = torch.bfloat16 if precision == "bf16" or native else torch.float32
        self.model = model.eval().to(self.device, torch.float32)
        self.model.to(memory_format=torch.channels_last)
        self._untold = self.model

    def at_quality(self, quality: float | None) -> Self:
        """The same with the network for JPEGs of a quality, see `Network.at_quality`."""
        made = copy(self)
        made.model = self._untold.at_quality(quality)
        return made

    def enlargement(
        self, source: Source[Piece], grid: ProjectedGrid, flips: bool, warn: Callable[[str], None]
    ) -> Enlargement[Piece]:
        """What computes any window of a picture at `grid`, with all of the work."""
        via = self.model.route(source.size, grid)
        dtype = torch.float32 if source.exact and self.automatic else self.dtype
        return TorchEnlargement(self.model, source, grid, via, flips, warn, self.device, dtype)

    def features(self, images: int, kept: int, working: int) -> Features | None:
        """Room for the features of a picture; None where the network has no parts.

        Args:
            images: that it consists of.
            kept: bytes that they may take.
            working: bytes that computing them may take.
        """
        pixel = images * FEATURES * self.model.channels * 4
        ours = isinstance(self.model, CCSR)  # what another package computes has no parts
        return Features(kept, working // pixel) if ours else None


@dataclass(frozen=True)
class TorchEnlargement(Enlargement[Piece]):
    """See :class:`ccsr.upscaling.enlargement.Enlargement`.

    Attributes:
        device: that computes; the network is there.
        dtype: that it computes in: float32 or bfloat16.
        features: where those of this picture by this model are kept; None keeps none.
    """

    device: torch.device
    dtype: torch.dtype
    features: Features | None = None

    def resized(self, x: Any, grid: ProjectedGrid) -> Tensor:
        """See :meth:`Enlargement.resized`."""
        return resize(torch.as_tensor(x, device=getattr(x, "device", "cpu")), grid)

    def computed(self, rows: slice, columns: slice) -> Tensor:
        """See :meth:`Enlargement.computed`."""
        compute = self._whole if self.features is None else self._from_features
        for dtype in dict.fromkeys((self.dtype, torch.float32)):
            with self._precision(dtype):
                y = compute(rows, columns)
            if dtype == torch.float32 or self.finite(y):
                break
            place = self.place(rows, columns)
            self.warn(f"not finite in bfloat16, computed again in float32: {place}")
        return y.cpu()

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
        part = torch.as_tensor(self.source.read(crop.rows, crop.columns), device=self.device)
        return part.contiguous(memory_format=torch.channels_last)

    @property
    def _turns(self) -> Sequence[Symmetry]:
        return SYMMETRIES if self.flips else SYMMETRIES[:1]

    def _mean(self, results: Iterable[Tensor]) -> Tensor:
        total: Tensor | None = None
        for y in results:
            y = y.float().clamp(0, 1) if self.flips else y.float()  # each, as any engine gives it
            total = y if total is None else total + y
        assert total is not None
        return total / len(SYMMETRIES) if self.flips else total


def _moved(one: Symmetry, crop: Crop, x: Tensor) -> tuple[ProjectedGrid, tuple[ProjectedGrid, ...]]:
    """The target and the grids on the way over the flipped and turned `x`."""
    return one.grid(crop.grid, x), tuple(one.grid(each, x) for each in crop.via)
