"""Stacks of CC layers take features from the encoder's grid to the target grid.

All grids, the target and those on the way (`via`, the encoder's first), are laid over the
low-resolution image; `target.within(previous)` turns one into positions on the layer before.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ccsr.grid import Axis, ProjectedGrid, Size, output_size, reach
from ccsr.model.cc_layer import CCLayer
from ccsr.model.fields import FIELDS, Field
from ccsr.model.registry import check_counts, construct


class Stack(nn.Module):
    """A stack is CC layers with GELU between; a subclass chooses the layers and the route.

    Attributes:
        layers: the CC layers, first to last.
        activation: between the CC layers.
        out_channels: channels on the target grid.
    """

    out_channels: int

    def __init__(self, layers: Sequence[CCLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = nn.GELU()
        self.kernel_sizes = [layer.kernel_size for layer in layers]
        self.widths = [layer.weight.shape[1] for layer in layers]

    def route(self, size: Size, grid: ProjectedGrid) -> tuple[ProjectedGrid, ...]:
        """List the grids between features of `size` (h, w) and `grid`, one per inner layer.

        All are laid over the features.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid]) -> Tensor:
        """Take features (N, C, *via[0].size) through the grids `via` to (N, out_channels, H, W)."""
        _, *local = grid_to_grid((*via, grid))
        for number, (layer, target) in enumerate(zip(self.layers, local, strict=True)):
            x = layer(self.activation(x) if number else x, target)
        return x

    def largest(self, grid: ProjectedGrid, via: Sequence[ProjectedGrid]) -> int:
        """Count the values in the largest result of a CC layer, per image."""
        grids = (*via[1:], grid)
        return max(
            each.rows.size * each.columns.size * width
            for width, each in zip(self.widths, grids, strict=True)
        )

    def window(
        self, via: Sequence[ProjectedGrid], rows: Axis, columns: Axis
    ) -> tuple[list[ProjectedGrid], tuple[int, int], tuple[int, int]]:
        """Say what a window of the target needs of the features, which lie on `via[0]`.

        Returns:
            The windows of the other grids; the rows and columns of the features, start and stop,
            which may reach beyond them.
        """
        windows: list[ProjectedGrid] = []
        first, *others = self.kernel_sizes
        for grid, kernel_size in zip(reversed(via[1:]), reversed(others), strict=True):
            rows = _needed(rows, grid.rows, kernel_size)
            columns = _needed(columns, grid.columns, kernel_size)
            windows.insert(0, ProjectedGrid(rows, columns))
        rows, columns = rows.within(via[0].rows), columns.within(via[0].columns)
        return windows, reach(rows, first), reach(columns, first)


def grid_to_grid(grids: Sequence[ProjectedGrid]) -> list[ProjectedGrid]:
    """Express each grid in the coordinates of the one before; the first stays over the input."""
    return [grids[0], *(b.within(a) for a, b in pairwise(grids))]


def _needed(axis: Axis, inner: Axis, kernel_size: int) -> Axis:
    """Take the window of `inner` that `axis` reads."""
    return covering(inner, *reach(axis.within(inner), kernel_size))


def covering(axis: Axis, start: int, stop: int) -> Axis:
    """Take the indices of `axis` from `start` to `stop`, at least one; these may lie outside."""
    start = min(max(start, 0), axis.size - 1)
    return axis.window(start, max(min(stop, axis.size), start + 1))


class Gradual(Stack):
    """The paper's gradual stack: several CC layers of factor s^(1/layers) each.

    Args:
        in_channels: channels of the encoder's features.
        field: the filters, `{name: ..., kernel_size: ..., **arguments}`.
        channels: width after each CC layer.
        layers: number of CC layers, at least 1.
    """

    def __init__(
        self,
        in_channels: int,
        field: Mapping[str, Any],
        channels: int = 32,
        layers: int = 2,
    ) -> None:
        check_counts(channels=channels, layers=layers)
        widths = [in_channels, *[channels] * layers]
        super().__init__([build_layer(a, b, field) for a, b in pairwise(widths)])
        self.out_channels = channels

    def route(self, size: Size, grid: ProjectedGrid) -> tuple[ProjectedGrid, ...]:
        """Lay the grids at equal factors: layer l of L reaches the scale s^(l/L)."""
        steps = len(self.layers)
        grids = []
        for step in range(1, steps):
            vertical, horizontal = (s ** (step / steps) for s in grid.scale)
            scale = vertical, horizontal
            grids.append(ProjectedGrid.project(size, output_size(size, scale), scale, "centred"))
        return tuple(grids)


class Direct(Gradual):
    """One CC layer from the low-resolution grid to the target.

    Args:
        in_channels: channels of the encoder's features.
        field: the filters, `{name: ..., kernel_size: ..., **arguments}`.
        channels: width on the target grid.
    """

    def __init__(self, in_channels: int, field: Mapping[str, Any], channels: int = 32) -> None:
        super().__init__(in_channels, field, channels, layers=1)


class Friendly(Stack):
    """The heavy CC layer to a small multiple of the input grid, a three-channel one to the target.

    On the friendly grid a CC layer has few phases and is one fast convolution; only the last, light
    layer meets the exact, awkward size.

    Args:
        in_channels: channels of the encoder's features.
        field: the filters of the heavy layer, `{name: ..., kernel_size: ..., **arguments}`.
        last_field: those of the last layer; None takes `field`.
        channels: width on the friendly grid.
        factor: the friendly grid's multiple of the input grid.
        threshold: axes with a scale below this keep the input grid instead.
    """

    out_channels = 3

    def __init__(
        self,
        in_channels: int,
        field: Mapping[str, Any],
        last_field: Mapping[str, Any] | None = None,
        channels: int = 32,
        factor: int = 2,
        threshold: float = 1.5,
    ) -> None:
        check_counts(channels=channels, factor=factor)
        heavy = build_layer(in_channels, channels, field)
        last = build_layer(channels, 3, last_field or field)
        nn.init.zeros_(last.weight)
        super().__init__([heavy, last])
        self.factor = factor
        self.threshold = threshold

    def route(self, size: Size, grid: ProjectedGrid) -> tuple[ProjectedGrid, ...]:
        """Lay the friendly grid: the features' own size times `factor`, where it enlarges."""
        rows, columns = (
            n * (self.factor if s >= self.threshold else 1)
            for n, s in zip(size, grid.scale, strict=True)
        )
        return (ProjectedGrid.project(size, (rows, columns)),)


def build_layer(in_channels: int, out_channels: int, field: Mapping[str, Any]) -> CCLayer:
    """Make a CC layer whose field is described by `{name: ..., kernel_size: ..., **arguments}`.

    Raises:
        ValueError: for a description that lacks a part or has one too many.
    """
    if "kernel_size" not in field:
        raise ValueError(f"a kernel field needs a kernel_size, got {dict(field)}")
    rest = {key: value for key, value in field.items() if key != "kernel_size"}

    def make(kernel_size: int) -> Field:
        return construct("kernel field", Field, FIELDS, rest, kernel_size=kernel_size)

    return CCLayer(in_channels, out_channels, field["kernel_size"], make)


STACKS: dict[str, type[Stack]] = {"direct": Direct, "gradual": Gradual, "friendly": Friendly}
