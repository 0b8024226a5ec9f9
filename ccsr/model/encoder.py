"""Encoders turn a low-resolution image into features on a grid, its own or one that is chosen."""

import math
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

from torch import Tensor, nn

from ccsr.grid import Axis, ProjectedGrid, Size, reach
from ccsr.model.conditioning import for_quality, terms
from ccsr.model.registry import check_counts
from ccsr.model.residual import Encoded, Residual, conv3x3
from ccsr.model.stack import build_layer, covering

Span = tuple[int, int]  # start and stop of rows or columns
SIDES = (1 / 2, 2 / 3, 3 / 4, 5 / 6, 1.0)  # of an elastic encoder's grid, in those of the image


class Encoder(nn.Module):
    """The base of all encoders says what the network needs of them.

    Attributes:
        channels: channels of the features.
        radius: receptive radius in pixels of the grid: features within `radius` of an artificial
            border (a tile's) depend on what lies beyond it.
        efforts: the shares of the image's pixels that the grid can have, ascending.
        conditioned: whether :meth:`forward` takes `quality` too, see :class:`Plain`. One that is
            conditioned by anything but layers of :class:`ccsr.model.conditioning.ConditionedConv`
            has an :meth:`at_quality` of its own.
    """

    channels: int
    radius: int
    efforts: tuple[float, ...] = (1.0,)
    conditioned: bool = False

    def guarded(self, x: Tensor, grid: ProjectedGrid) -> Encoded:
        """Compute :meth:`forward` for use instead of training, and say where to trust it.

        By default that is everywhere.
        """
        return Encoded(self(x, grid))

    def forward(self, x: Tensor, grid: ProjectedGrid) -> Tensor:
        """Turn images (N, 3, h, w), centred on 0, into features (N, channels, *grid.size).

        By default the grid is the image's own.
        """
        raise NotImplementedError

    def at_quality(self, quality: float | None) -> "Encoder":
        """Make the encoder for JPEGs of one quality, with the same weights, not conditioned.

        Raises:
            TypeError: for one that has to say itself how.
        """
        made: Encoder = for_quality(self, quality)
        if made is self:
            raise TypeError(
                f"the encoder {type(self).__name__} is conditioned and has no ConditionedConv: "
                "give it a method at_quality(quality) of its own"
            )
        made.conditioned = False
        return made

    def grid(self, size: Size, effort: float = 1.0) -> ProjectedGrid:
        """Lay the grid over an image of `size` (h, w) whose share of pixels is nearest `effort`."""
        return ProjectedGrid.project(size, size)

    def window(
        self, grid: ProjectedGrid, rows: Span, columns: Span
    ) -> tuple[ProjectedGrid, Span, Span]:
        """Say what the features at `rows` and `columns` of `grid` need.

        Returns:
            The part of the grid; rows and columns of the image, which may reach beyond it.
        """
        (top, bottom), (left, right), around = rows, columns, self.radius
        return grid, (top - around, bottom + around), (left - around, right + around)

    def cropped(self, grid: ProjectedGrid, rows: Span, columns: Span) -> ProjectedGrid:
        """Lay the part of the grid that :meth:`window` gave over the image cut to these pixels."""
        return self.grid((rows[1] - rows[0], columns[1] - columns[0]))


Kind = TypeVar("Kind", bound=Encoder)


def computes_as(encoder: Encoder, kind: type[Kind]) -> TypeGuard[Kind]:
    """Say whether it computes what its kind does: a subclass may have a forward of its own."""
    return isinstance(encoder, kind) and type(encoder).forward is kind.forward


class EDSR(Encoder):
    """Residual blocks without normalisation (Lim et al. 2017, arXiv 1707.02921).

    The literature's baseline is 16 blocks of 64 channels.

    Args:
        channels: width.
        blocks: residual blocks of two convolutions each.
    """

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        check_counts(channels=channels, blocks=blocks)
        self.channels = channels
        self.radius = 2 * blocks + 2
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(
            nn.Sequential(conv3x3(channels, channels), nn.ReLU(), conv3x3(channels, channels))
            for _ in range(blocks)
        )
        self.tail = conv3x3(channels, channels)

    def forward(self, x: Tensor, grid: ProjectedGrid) -> Tensor:
        """See :meth:`Encoder.forward`."""
        head = x = self.head(x)
        for block in self.body:
            x = x + block(x)
        features: Tensor = head + self.tail(x)
        return features


class Plain(Encoder):
    """Residual blocks with nothing around them: every multiply is in a dense 3x3 convolution.

    Against :class:`EDSR`, no closing convolution and no outer skip, and a smooth activation.

    Args:
        channels: width.
        blocks: residual blocks of two convolutions each.
        closing: whether half a block follows, see :class:`Residual`.
        limits: largest features to trust, see :class:`Residual`.
        conditioned: whether it can be told the quality of the JPEG that a picture was.
    """

    def __init__(
        self,
        channels: int = 48,
        blocks: int = 5,
        closing: bool = False,
        limits: list[float] | None = None,
        conditioned: bool = False,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, blocks=blocks)
        self.channels = channels
        self.head = conv3x3(3, channels)
        self.body = Residual(channels, blocks, closing, limits, conditioned)
        self.conditioned = conditioned
        self.radius = 1 + self.body.radius

    def guarded(self, x: Tensor, grid: ProjectedGrid) -> Encoded:
        """See :meth:`Encoder.guarded`."""
        if not computes_as(self, Plain):
            return super().guarded(x, grid)
        return self.body.guarded(self.head(x))

    def forward(self, x: Tensor, grid: ProjectedGrid, quality: Tensor | None = None) -> Tensor:
        """See :meth:`Encoder.forward`.

        Args:
            x: the images.
            grid: their own.
            quality: (N,), of the JPEGs that they were, 1 to 100 as libjpeg counts, 0 where it is
                not known; None if it is of none.
        """
        told = None if quality is None else terms(quality)
        features: Tensor = self.body(self.head(x), told)
        return features


class Elastic(Encoder):
    """The blocks of :class:`Plain` behind a CC layer that reads the image at any grid.

    The blocks cost as many multiplies as that grid has pixels, so its size is a dial. Its sides
    are one of a few fractions of the image's, :data:`SIDES`: their phases are few, which makes the
    CC layer one strided convolution, and training meets few shapes. The scale is exact and the
    anchor ``topleft``, so that phases are few and the same whatever the size of the image: a
    training meets no others, and would leave the filters there untaught.

    Args:
        field: the CC layer's filters, `{name: ..., kernel_size: ..., **arguments}`.
        channels: width.
        blocks: residual blocks of two convolutions each.
        closing: whether half a block follows, see :class:`Residual`.
        limits: largest features to trust, see :class:`Residual`.
    """

    efforts = tuple(side * side for side in SIDES)

    def __init__(
        self,
        field: Mapping[str, Any],
        channels: int = 48,
        blocks: int = 5,
        closing: bool = False,
        limits: list[float] | None = None,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, blocks=blocks)
        self.channels = channels
        self.head = build_layer(3, channels, field)
        self.body = Residual(channels, blocks, closing, limits)
        self.radius = self.body.radius

    def grid(self, size: Size, effort: float = 1.0) -> ProjectedGrid:
        """See :meth:`Encoder.grid`."""
        side = min(SIDES, key=lambda side: abs(side * side - effort))
        rows, columns = (math.ceil(n * side - 1e-9) for n in size)
        return ProjectedGrid.project(size, (rows, columns), side, "topleft")

    def guarded(self, x: Tensor, grid: ProjectedGrid) -> Encoded:
        """See :meth:`Encoder.guarded`."""
        if not computes_as(self, Elastic):
            return super().guarded(x, grid)
        return self.body.guarded(self.head(x, grid))

    def forward(self, x: Tensor, grid: ProjectedGrid) -> Tensor:
        """See :meth:`Encoder.forward`."""
        features: Tensor = self.body(self.head(x, grid))
        return features

    def window(
        self, grid: ProjectedGrid, rows: Span, columns: Span
    ) -> tuple[ProjectedGrid, Span, Span]:
        """See :meth:`Encoder.window`."""
        window = ProjectedGrid(self._around(grid.rows, rows), self._around(grid.columns, columns))
        kernel_size = self.head.kernel_size
        return window, reach(window.rows, kernel_size), reach(window.columns, kernel_size)

    def cropped(self, grid: ProjectedGrid, rows: Span, columns: Span) -> ProjectedGrid:
        """See :meth:`Encoder.cropped`."""
        return grid.shifted(rows[0], columns[0])

    def _around(self, axis: Axis, part: Span) -> Axis:
        return covering(axis, part[0] - self.radius, part[1] + self.radius)


ENCODERS: dict[str, type[Encoder]] = {"edsr": EDSR, "plain": Plain, "elastic": Elastic}
RENAMED = {"light": "plain"}  # names in the files of earlier versions
