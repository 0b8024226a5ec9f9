"""The network: encoder -> CC stack -> decoder, added to a bicubic enlargement of the input."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccsr.grid import Axis, ProjectedGrid, Size, reach, size_of
from ccsr.model.decoder import DECODERS
from ccsr.model.encoder import ENCODERS, Encoder
from ccsr.model.registry import construct
from ccsr.model.stack import STACKS, Stack
from ccsr.resample import resize

BASE_KERNEL_SIZE = 4  # of the bicubic base
LARGEST_RESIDUAL = 1.0  # levels are 0 to 1, and bicubic's nearly: no image needs more
STRIP_VALUES = 1 << 22  # of a CC layer's result: what follows it finds them in cache


class Crop(NamedTuple):
    """What a window of the output needs.

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


class CCSR(nn.Module):
    """Continuous-convolution super-resolution: reads an image at any other grid.

    Args:
        encoder: low-resolution image -> features on its grid.
        stack: features on that grid -> features on the target grid.
        decoder: features -> residual of the image, pointwise.
        architecture: the plain description that :func:`build` made this from.
        cleans: whether it takes noise and traces of compression out, so that it has something to
            do on the input's own pixels too.
    """

    def __init__(
        self,
        encoder: Encoder,
        stack: Stack,
        decoder: nn.Module,
        architecture: Mapping[str, Any],
        cleans: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.stack = stack
        self.decoder = decoder
        self.architecture = dict(architecture)
        self.cleans = cleans

    def forward(
        self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid] | None = None
    ) -> Tensor:
        """Read the image at `grid`.

        Args:
            x: (N, 3, h, w), RGB in [0, 1].
            grid: laid over (h, w); (H, W) is its size.
            via: the grids on the way, the encoder's first, all laid over (h, w); None takes
                :meth:`route`.

        Returns:
            (N, 3, H, W), RGB, not clamped.
        """
        via = self.route(size_of(x), grid) if via is None else via
        features = self.encoder(x - 0.5, via[0])  # (N, C, *via[0].size)
        features = self.stack(features, grid, via)  # (N, C', H, W)
        residual: Tensor = self.decoder(features)  # (N, 3, H, W)
        return resize(x, grid) + residual

    def enlarge(
        self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid] | None = None
    ) -> Tensor:
        """What :meth:`forward` gives, for use instead of training; the residual is :func:`sane`.

        What follows the encoder is computed in strips of rows, which stay in the processor's cache.
        """
        via = self.route(size_of(x), grid) if via is None else via
        features = self.encoder(x - 0.5, via[0])
        strips = []
        for strip in self._strips(len(x), grid, via):
            part, on_the_way = self._cut(features, strip, via)
            residual = self.decoder(self.stack(part, strip, on_the_way))
            strips.append(resize(x, strip) + sane(residual))
        return torch.cat(strips, 2)

    @property
    def efforts(self) -> tuple[float, ...]:
        """The shares of the full work that the network can do, ascending."""
        return self.encoder.efforts

    def route(
        self, size: Size, grid: ProjectedGrid, effort: float = 1.0
    ) -> tuple[ProjectedGrid, ...]:
        """The grids that an input of `size` (h, w) takes to `grid` by default, the encoder's first.

        Args:
            size: of the input.
            grid: laid over it.
            effort: share of the full work; the nearest of `efforts` is taken.

        Raises:
            ValueError: if `effort` is not 1 and the network has no choice.
        """
        self.check_effort(effort)
        inner = self.encoder.grid(size, effort)
        rest = self.stack.route(inner.size, grid.within(inner))
        return inner, *(each.over(inner) for each in rest)

    def check_effort(self, effort: float) -> None:
        """Raise ValueError as :meth:`route` does."""
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
        """What the window `rows`, `columns` of the output needs of an input of `size` (h, w).

        The input slices hold the whole receptive field, so that the network on the crop gives
        exactly the window of its result on the whole.
        """
        window = grid.window(rows, columns)
        inner, *needed = self.stack.window(via, window.rows, window.columns)
        first, rows_needed, columns_needed = self.encoder.window(via[0], *needed)
        top, bottom = _input_range(window.rows, rows_needed, size[0])
        left, right = _input_range(window.columns, columns_needed, size[1])
        first = self.encoder.cropped(first, (top, bottom), (left, right))
        return Crop(
            slice(top, bottom),
            slice(left, right),
            window.shifted(top, left),
            (first, *(each.shifted(top, left) for each in inner)),
        )

    def _strips(
        self, batch: int, grid: ProjectedGrid, via: Sequence[ProjectedGrid]
    ) -> list[ProjectedGrid]:
        """Rows of `grid` in pieces whose features stay in cache."""
        values = batch * self.stack.largest(grid, via)
        count = min(-(-values // STRIP_VALUES), grid.rows.size)
        ends = [grid.rows.size * i // count for i in range(count + 1)]
        return [grid.window(slice(a, b), slice(None)) for a, b in pairwise(ends)]

    def _cut(
        self, features: Tensor, strip: ProjectedGrid, via: Sequence[ProjectedGrid]
    ) -> tuple[Tensor, list[ProjectedGrid]]:
        """The rows of the features that a strip of the output reads, and the grids on the way."""
        inner, (start, stop), _ = self.stack.window(via, strip.rows, strip.columns)
        top, bottom = max(start, 0), min(stop, features.shape[2])
        rows = via[0].window(slice(top, bottom), slice(None))
        return features[:, :, top:bottom], [rows, *inner]


def sane(residual: Tensor) -> Tensor:
    """The residual, 0 where it is beyond `LARGEST_RESIDUAL` or not a number.

    A deep network can answer with anything to what it was never trained on, such as a checkerboard
    of single pixels; there bicubic stands.
    """
    return torch.where(residual.abs() <= LARGEST_RESIDUAL, residual, 0.0)


def base_crop(size: Size, window: ProjectedGrid) -> Crop:
    """What the bicubic base alone needs of an input of `size` (h, w) for a window of its grid."""
    (top, bottom), (left, right) = (
        _input_range(axis, reach(axis, BASE_KERNEL_SIZE), limit)
        for axis, limit in zip((window.rows, window.columns), size, strict=True)
    )
    return Crop(slice(top, bottom), slice(left, right), window.shifted(top, left), ())


def _input_range(axis: Axis, needed: tuple[int, int], limit: int) -> tuple[int, int]:
    """Input pixels, start and stop, that are `needed` or that the base reads at `axis`."""
    start, stop = reach(axis, BASE_KERNEL_SIZE)
    return max(min(start, needed[0]), 0), min(max(stop, needed[1]), limit)


def build(
    encoder: Mapping[str, Any],
    stack: Mapping[str, Any],
    decoder: Mapping[str, Any],
    cleans: bool = False,
) -> CCSR:
    """Build the network from plain descriptions `{name: ..., **arguments}`.

    A new network equals bicubic: its last layer starts at zero. For `cleans` see :class:`CCSR`.

    Raises:
        ValueError: for an unknown name or argument; names what is near.
    """
    architecture = {"encoder": _plain(encoder), "stack": _plain(stack), "decoder": _plain(decoder)}
    first = construct("encoder", ENCODERS, architecture["encoder"])
    middle = construct("stack", STACKS, architecture["stack"], in_channels=first.channels)
    last = construct("decoder", DECODERS, architecture["decoder"], in_channels=middle.out_channels)
    return CCSR(first, middle, last, architecture | ({"cleans": True} if cleans else {}), cleans)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings (Hydra's too) as plain dicts."""
    given: Any = config
    if not isinstance(given, Mapping):
        raise ValueError(
            f"expected a mapping {{name: ...}} as a part of the network, got {given!r}"
        )
    return {k: _plain(v) if isinstance(v, Mapping) else v for k, v in given.items()}
