"""What an upscaler reads and what it makes of the network's results: floats, or levels of a file.

A source gives the network its windows of the input as floats and puts windows of the result into
a piece of the output, so that neither the input nor the output is ever held as floats where levels
of 8 or 16 bit will do.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from ccsr import device
from ccsr.grid import ProjectedGrid, Size, size_of
from ccsr.image import Levels
from ccsr.image.floats import store, to_floats
from ccsr.image.modes import check_levels
from ccsr.resample import resize
from ccsr.upscaling.alpha import bleed, confine, surroundings

if TYPE_CHECKING:  # slow to import, and not always there
    from torch import Tensor

Piece = TypeVar("Piece")
AnyFloats = Any  # float32, an array or a tensor on the CPU: which of them is the engine's choice

COPIES = 3  # of a result on the way to a file
LARGEST = 1e37  # of floats: the differences of larger ones are infinite
RARE = 0.005  # share of floats, at each end, that are not usual
BEYOND = 0.5  # that tensors may lie outside [0, 1]; then they are of another range
SAMPLED = 1 << 20  # values that show what is usual
GREY = (0.299, 0.587, 0.114)  # BT.601, sums to 1


class Source(Protocol[Piece]):
    """Pixels to enlarge.

    Attributes:
        size: (h, w).
        images: number of images that the network computes at once.
        pixel_bytes: what a pixel of the result takes, with its copies on the way to a file.
        exact: whether steps of the result are finer than bfloat16 keeps apart.
    """

    size: Size
    images: int
    pixel_bytes: int
    exact: bool

    def read(self, rows: slice, columns: slice) -> AnyFloats:
        """A window of the input for the network: float32 (images, 3, rows, columns)."""

    def empty(self, size: Size) -> Piece:
        """Room for rows and columns of the result."""

    def store(
        self, piece: Piece, rows: slice, columns: slice, y: AnyFloats, window: ProjectedGrid
    ) -> None:
        """Put what the network gave, float32 (images, 3, H, W), into rows and columns of `piece`.

        `window` is its grid, laid over the whole input.
        """


class FloatSource:
    """Images as floating-point tensors in [0, 1]; the result is float32 of the same kind.

    Args:
        x: (N, C, h, w) or (C, h, w), RGB or grey (C of 3 or 1). Values may lie a little beyond, as
            a filter's do.

    Raises:
        TypeError: for what is no tensor.
        ValueError: for another shape or type, or values that are not finite or of another range.
    """

    exact = False

    def __init__(self, x: "Tensor") -> None:
        import torch

        if not isinstance(x, torch.Tensor):
            raise TypeError(
                f"expected a tensor, got {type(x).__name__}: levels (h, w, C) are an array, for "
                "Upscaler.levels or view, and a picture is for the upscaler itself"
            )
        colours = x.ndim in (3, 4) and x.numel() > 0 and x.shape[-3] in (1, 3)
        there = x.layout == torch.strided and not x.is_meta
        if not (colours and there and x.is_floating_point()):
            raise ValueError(
                "expected a floating-point tensor (N, C, h, w) or (C, h, w) with C of 1 or 3, "
                f"got {x.dtype} {tuple(x.shape)}" + ("" if there else " without its values")
            )
        x = x.detach().float()
        low, high = (float(value) for value in x.aminmax())
        if not (low >= -BEYOND and high <= 1 + BEYOND):  # nor NaN
            raise ValueError(
                f"expected values in [0, 1], got {low:g} to {high:g}: divide by the largest level "
                "of a picture, undo a normalisation, and replace NaN"
            )
        self.shape = x.shape[:-2]
        self.x = x.reshape(-1, *x.shape[-3:])  # (N, C, h, w)
        self.size = size_of(self.x)
        self.images = len(self.x)
        self.pixel_bytes = self.images * self.x.shape[1] * 4

    def read(self, rows: slice, columns: slice) -> "Tensor":
        """See :meth:`Source.read`."""
        return self.x[..., rows, columns].expand(-1, 3, -1, -1)

    def empty(self, size: Size) -> "Tensor":
        """(N, C, *size) or (C, *size)."""
        import torch

        return torch.empty(*self.shape, *size, dtype=torch.float32, device="cpu")

    def store(
        self, piece: "Tensor", rows: slice, columns: slice, y: "Tensor", window: ProjectedGrid
    ) -> None:
        """See :meth:`Source.store`."""
        values = (to_grey(y) if self.x.shape[1] == 1 else y).clamp(0, 1)
        piece[..., rows, columns] = values.reshape(*self.shape, *values.shape[2:])


class LevelSource:
    """A picture as a file holds it; the result (H, W, C) has as many bits.

    Alpha goes through the network as a second image, unless it is the same everywhere. The usual
    range of floats is brought to [0, 1] for it. What lies beyond, such as a lamp, would leave
    little of that to all the rest: it is enlarged by a cubic kernel, and added.

    Raises:
        ValueError: for another array than (h, w, C) of uint8, uint16 or float32 with C of 1 to 4,
            or values that are not finite, or nearly so.
    """

    def __init__(self, values: Levels) -> None:
        check_levels(values)
        if values.dtype == np.float32 and not (
            values.min() >= -LARGEST and values.max() <= LARGEST
        ):
            raise ValueError(
                f"expected finite values, at most {LARGEST:g}, got NaN, infinity or larger ones: "
                "replace them by others first"
            )
        self.size = (values.shape[0], values.shape[1])
        colours = values.shape[2] - (values.shape[2] in (2, 4))
        self.values = values
        self.grey = colours == 1
        self.alpha = values[..., colours:]
        self.flat = self.alpha.size == 0 or self.alpha.min() == self.alpha.max()
        self.colour = values[..., :colours]
        if not self.flat and self.alpha.min() == 0:
            self.colour = bleed(self.colour, self.alpha)
        self.images = 1 if self.flat else 2
        self.pixel_bytes = values.itemsize * values.shape[2] * COPIES
        self.exact = values.dtype != np.uint8
        self.ranged = values.dtype == np.float32
        self.low, self.high = usual_range(self.colour) if self.ranged else (0.0, 1.0)

    def read(self, rows: slice, columns: slice) -> AnyFloats:
        """See :meth:`Source.read`."""
        colour = to_floats(self.colour[rows, columns])
        if self.ranged:
            colour = ((colour - self.low) / (self.high - self.low)).clip(0, 1)
        images = [colour] if self.flat else [colour, to_floats(self.alpha[rows, columns])]
        if self.flat and not self.grey:
            return colour[None]
        return np.stack([np.broadcast_to(image, (3, *image.shape[1:])) for image in images])

    def empty(self, size: Size) -> Levels:
        """(*size, C)."""
        return np.empty((*size, self.values.shape[2]), self.values.dtype)

    def store(
        self, piece: Levels, rows: slice, columns: slice, y: AnyFloats, window: ProjectedGrid
    ) -> None:
        """See :meth:`Source.store`."""
        colours = self.colour.shape[2]
        result = piece[rows, columns]
        colour = to_grey(y[0]) if self.grey else y[0]
        if self.ranged:
            colour = np.asarray(colour).clip(0, 1) * (self.high - self.low) + self.low
            colour += self._beyond(window, y)
        store(colour, result[..., :colours])
        if self.flat:
            result[..., colours:] = self.alpha[0, 0]
        else:
            store(self._alpha(np.asarray(to_grey(y[1])), window), result[..., colours:])

    def _beyond(self, window: ProjectedGrid, like: AnyFloats) -> AnyFloats:
        """(C, H, W): by how much the colours lie beyond the usual range, without ringing.

        It is computed by the library that `like` is of.
        """
        top, left = surroundings(window, self.size)
        near = to_floats(self.colour[top, left])
        near = near - near.clip(self.low, self.high)
        if not near.any():
            return np.float32(0)
        grid = window.shifted(top.start, left.start)
        enlarged = resize(near if isinstance(like, np.ndarray) else like.new_tensor(near), grid)
        return confine(np.asarray(enlarged), near, grid)

    def _alpha(self, enlarged: AnyFloats, window: ProjectedGrid) -> AnyFloats:
        """(1, H, W) within the range of the input's alpha around each pixel."""
        top, left = surroundings(window, self.size)
        near = to_floats(self.alpha[top, left])
        return confine(enlarged, near, window.shifted(top.start, left.start))


def usual_range(colour: Levels) -> tuple[float, float]:
    """The range of the floats, without one in 200 at each end; at least [0, 1]."""
    step = max(1, math.isqrt(colour.size // SAMPLED))  # along both axes: all channels, no pattern
    some = colour[::step, ::step]
    low, high = np.quantile(some, (RARE, 1 - RARE))
    return min(0.0, float(low)), max(1.0, float(high))


def to_grey(rgb: AnyFloats) -> AnyFloats:
    """(..., 3, H, W), cut to [0, 1], -> (..., 1, H, W); grey keeps its value."""
    rgb = rgb.clip(0, 1)  # first, as an exported network does: or the sum is another
    red, green, blue = (rgb[..., channel : channel + 1, :, :] for channel in range(3))
    return red * GREY[0] + green * GREY[1] + blue * GREY[2]


def check_room(results: Sequence[tuple[Source[Any], ProjectedGrid]]) -> None:
    """Make sure, before any work, that all results, each of a source at a grid, fit into memory.

    Raises:
        NoRoomError: if they do not.
    """
    needed = sum(math.prod(grid.size) * source.pixel_bytes for source, grid in results)
    check_result(needed, results[0][1].size, len(results))


def check_result(needed: int, size: Size, count: int) -> None:
    """Make sure that results take no more than the memory that is free.

    Args:
        needed: bytes, with the copies on the way to a file.
        size: (H, W) of the first one.
        count: of results.

    Raises:
        NoRoomError: if they do.
    """
    times = f"{count} times " if count > 1 else ""
    device.require(
        needed,
        f"a result of {times}{size[1]}x{size[0]} pixels",
        "ask for a smaller size, or "
        + ("split the file" if count > 1 else "for a .tif file, which is written in strips"),
    )
