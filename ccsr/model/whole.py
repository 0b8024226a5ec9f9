"""The base of all networks says what everything around needs of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccsr.grid import Axis, ProjectedGrid, Size, is_traced, reach
from ccsr.image.coding import check_quality
from ccsr.resample import resize

BASE_KERNEL_SIZE = 4  # of the bicubic base
LEVELS = (-0.5, 1.5)  # of results, which are cut to 0 to 1 later
LARGEST_RESIDUAL = 1.8  # of bicubic, -0.28 to 1.28, to these: no image needs more


class Crop(NamedTuple):
    """The part of the input that a window of the output needs, and the grids over it.

    Attributes:
        rows: input rows.
        columns: input columns.
        grid: the window's positions in the cropped input.
        via: the grids on the way, likewise.
    """

    rows: slice
    columns: slice
    grid: ProjectedGrid
    via: tuple[ProjectedGrid, ...]


class Network(nn.Module):
    """A network reads an image at any other grid.

    A subclass, maybe of another package, gives `channels`, `radius` and :meth:`forward`.

    Attributes:
        channels: features that it holds per input pixel; the size of tiles follows from it.
        radius: how many input pixels around an output position the result depends on, along each
            axis. What is computed in tiles is exact only if this is no less than the truth.
        efforts: the shares of the full work that the network can do, ascending.
        cleans: whether it has something to do on the input's own pixels too.
        conditioned: whether it can be told the quality of the JPEG that an image was: then
            :meth:`forward` takes `quality` too, see :class:`ccsr.model.CCSR`.
        architecture: the plain description that :func:`ccsr.model.build` made it from.
    """

    channels: int
    radius: int
    efforts: tuple[float, ...] = (1.0,)
    cleans: bool = False
    conditioned: bool = False
    architecture: Mapping[str, Any]

    def forward(
        self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid] | None = None
    ) -> Tensor:
        """Read the image at `grid`.

        Args:
            x: (N, 3, h, w), RGB in [0, 1].
            grid: laid over (h, w); (H, W) is its size.
            via: the grids on the way, as :meth:`route` gives them.

        Returns:
            (N, 3, H, W), RGB, not clamped.
        """
        raise NotImplementedError

    def enlarge(
        self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid] | None = None
    ) -> Tensor:
        """Compute :meth:`forward` for use instead of training, :func:`bounded`."""
        result = self(x, grid, via).to(x.dtype)
        check_shape(self, result, (len(x), 3, *grid.size))
        return bounded(result, x, grid)

    def at_quality(self, quality: float | None) -> "Network":
        """Return the network for images that were JPEGs of this quality, not conditioned any more.

        It is itself if it is not conditioned; None stands for a quality that is not known. Without
        this a conditioned network takes it for not known.

        Raises:
            ValueError: unless it is a number from 1 to 100, or None.
        """
        check_quality(quality)
        return self

    def route(
        self, size: Size, grid: ProjectedGrid, effort: float = 1.0
    ) -> tuple[ProjectedGrid, ...]:
        """List the grids that an input of `size` (h, w) takes to `grid` by default, none here.

        Raises:
            ValueError: if `effort` is not 1 and the network has no choice.
        """
        self.check_effort(effort)
        return ()

    def check_effort(self, effort: float) -> None:
        """Raise ValueError if `effort` is not 1 and the network has no choice."""
        if effort != 1 and len(self.efforts) == 1:
            raise ValueError(
                f"this network always works at full effort, got effort {effort:g}: "
                "take one with an elastic encoder, as `ccsr train experiment=elastic` makes it"
            )

    def crop(
        self,
        size: Size,
        grid: ProjectedGrid,
        via: Sequence[ProjectedGrid],
        rows: slice,
        columns: slice,
    ) -> Crop:
        """Say what a window of the output needs of an input of `size` (h, w).

        The input slices hold the whole receptive field, so that the network on the crop gives
        exactly the window of its result on the whole.
        """
        window = grid.window(rows, columns)
        (top, bottom), (left, right) = (
            input_range(axis, _around(axis, self.radius), limit)
            for axis, limit in zip((window.rows, window.columns), size, strict=True)
        )
        return Crop(slice(top, bottom), slice(left, right), window.shifted(top, left), ())


def check_shape(part: nn.Module, result: Tensor, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless a part, maybe of another package, gives what it must.

    What is too small would be repeated or read beside its place without a word.
    """
    if tuple(result.shape) != expected:
        raise ValueError(
            f"{type(part).__name__} must give a tensor of the shape {expected}, got "
            f"{tuple(result.shape)}: pad its convolutions, and see docs/plugins.md"
        )


def sane(residual: Tensor) -> Tensor:
    """Return the residual, but 0 where it is beyond `LARGEST_RESIDUAL` or not a number.

    A deep network can answer with anything to what it was never trained on, such as a checkerboard
    of single pixels; there bicubic stands.
    """
    return torch.where(residual.abs() <= LARGEST_RESIDUAL, residual, 0.0)


def bounded(result: Tensor, x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Cut what a network makes of `x` at `grid` to `LEVELS`, and to bicubic where it is not sane.

    What it adds to bicubic must be :func:`sane`. Bicubic of a picture of floats may itself be
    beyond the levels: there the result is cut to bicubic. It is returned as it is if it keeps to
    the levels, as that of nearly every picture does.
    """
    low, high = LEVELS
    if not (result.is_meta or is_traced()):  # which cannot look at values
        least, most = result.permute(0, 2, 3, 1).aminmax()  # as it lies in memory: 5 times faster
        if least >= low and most <= high:  # so is no number that is none
            return result
    bicubic = resize(x, grid)
    inside = (result >= low) & (result <= high)
    near = bicubic + sane(result - bicubic)
    near = near.clamp(bicubic.clamp(max=low), bicubic.clamp(min=high))
    return torch.where(inside, result, near)


def input_range(axis: Axis, needed: tuple[int, int], limit: int) -> tuple[int, int]:
    """Join the input pixels, start and stop, that are `needed` and that the base reads."""
    start, stop = reach(axis, BASE_KERNEL_SIZE)
    return max(min(start, needed[0]), 0), min(max(stop, needed[1]), limit)


def _around(axis: Axis, radius: int) -> tuple[int, int]:
    """Find the pixels at most `radius` away from those nearest to the positions of an axis."""
    start, stop = reach(axis, 1)
    return start - radius, stop + radius
