"""The network is encoder -> CC stack -> decoder, added to a bicubic enlargement of the input."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ccsr.grid import ProjectedGrid, Size, reach, size_of
from ccsr.image.coding import check_quality
from ccsr.model.conditioning import twin
from ccsr.model.encoder import Encoder, Span
from ccsr.model.residual import Encoded
from ccsr.model.stack import Stack, covering
from ccsr.model.whole import (
    BASE_KERNEL_SIZE,
    Crop,
    Network,
    bounded,
    check_shape,
    input_range,
    sane,
)
from ccsr.resample import add_resized, needed, resize

STRIP_VALUES = 1 << 22  # of a CC layer's result: what follows it finds them in cache


class CCSR(Network):
    """Continuous-convolution super-resolution: reads an image at any other grid.

    Args:
        encoder: low-resolution image -> features on its grid.
        stack: features on that grid -> features on the target grid.
        decoder: features -> residual of the image, pointwise.
        cleans: whether it takes noise and traces of compression out, so that it has something to
            do on the input's own pixels too.
        base: `bicubic`, or `none` for a decoder that gives the image itself, as other papers' do.
    """

    def __init__(
        self,
        encoder: Encoder,
        stack: Stack,
        decoder: nn.Module,
        cleans: bool = False,
        base: str = "bicubic",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.stack = stack
        self.decoder = decoder
        self.cleans = cleans
        self.base = base
        self.channels = encoder.channels
        self.efforts = encoder.efforts
        self.conditioned = encoder.conditioned

    def forward(
        self,
        x: Tensor,
        grid: ProjectedGrid,
        via: Sequence[ProjectedGrid] | None = None,
        quality: Tensor | None = None,
    ) -> Tensor:
        """Read the image at `grid`.

        Args:
            x: (N, 3, h, w), RGB in [0, 1].
            grid: laid over (h, w); (H, W) is its size.
            via: the grids on the way, the encoder's first, all laid over (h, w); None takes
                :meth:`route`.
            quality: (N,), of the JPEGs that the images were, 1 to 100 as libjpeg counts, 0 where
                it is not known; only for a network that is conditioned on it, None for others.

        Returns:
            (N, 3, H, W), RGB, not clamped.

        Raises:
            ValueError: for a quality that the network does not look at.
        """
        via = self.route(size_of(x), grid) if via is None else via
        if quality is not None and not self.conditioned:
            raise ValueError(
                "expected no quality: it is no network that is conditioned on the quality of JPEGs"
            )
        told = () if quality is None else (quality,)
        features = self.encoder(x - 0.5, via[0], *told)  # (N, C, *via[0].size)
        check_shape(self.encoder, features, (len(x), self.encoder.channels, *via[0].size))
        features = self.stack(features, grid, via)  # (N, C', H, W)
        residual: Tensor = self.decoder(features)  # (N, 3, H, W)
        check_shape(self.decoder, residual, (len(x), 3, *grid.size))
        return residual if self.base == "none" else resize(x, grid) + residual

    def at_quality(self, quality: float | None) -> "CCSR":
        """See :meth:`Network.at_quality`."""
        check_quality(quality)
        if not self.conditioned:
            return self
        made: CCSR = twin(self)
        made._modules["encoder"] = self.encoder.at_quality(quality)
        made.conditioned = False
        if hasattr(self, "architecture"):
            described = dict(self.architecture["encoder"])
            described.pop("conditioned", None)
            made.architecture = {**self.architecture, "encoder": described}
        return made

    def enlarge(
        self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid] | None = None
    ) -> Tensor:
        """Compute :meth:`forward` for use instead of training, :func:`bounded`."""
        via = self.route(size_of(x), grid) if via is None else via
        return self.read(x, self.features(x, via[0]), grid, via)

    def features(self, x: Tensor, grid: ProjectedGrid) -> Encoded:
        """Compute the encoder's features (N, C, *grid.size) of an image (N, 3, h, w) below `grid`.

        They do not depend on the scale: many results can be read from them.
        """
        encoded = self.encoder.guarded(x - 0.5, grid)
        check_shape(self.encoder, encoded.features, (len(x), self.encoder.channels, *grid.size))
        return encoded

    @torch.no_grad()
    def read(
        self, x: Tensor, encoded: Encoded, grid: ProjectedGrid, via: Sequence[ProjectedGrid]
    ) -> Tensor:
        """Compute the rest of :meth:`enlarge`, in strips of rows, which stay in cache.

        Args:
            x: (N, 3, h, w), all that the base needs.
            encoded: features (N, C, *via[0].size), and how far to trust them beside bicubic.
            grid: laid over (h, w).
            via: the grids on the way, the features' first, likewise.
        """
        result = x.new_empty(len(x), *grid.size, 3).permute(0, 3, 1, 2)  # as layers give it
        top = 0
        for strip in self._strips(len(x), grid, via):
            part, on_the_way = self._cut(encoded.features, strip, via)
            residual = self.decoder(self.stack(part, strip, on_the_way))
            check_shape(self.decoder, residual, (len(x), 3, *strip.size))
            if self.base == "none":
                residual = residual - resize(x, strip)
            if encoded.trust is not None:
                share = resize(encoded.trust.float(), strip.within(via[0]))
                residual = sane(residual) * share.clamp(0, 1)
            rows = result[:, :, top : top + strip.rows.size]
            rows.copy_(residual)
            add_resized(rows, x, strip)
            allowed = bounded(rows, x, strip)
            if allowed is not rows:
                rows.copy_(allowed)
            top += strip.rows.size
        return result

    def route(
        self, size: Size, grid: ProjectedGrid, effort: float = 1.0
    ) -> tuple[ProjectedGrid, ...]:
        """List the grids that an input of `size` (h, w) takes to `grid`, the encoder's first.

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
        inner, *needed = self._needed(via, window)
        first, rows_needed, columns_needed = self.encoder.window(via[0], *needed)
        top, bottom = input_range(window.rows, rows_needed, size[0])
        left, right = input_range(window.columns, columns_needed, size[1])
        first = self.encoder.cropped(first, (top, bottom), (left, right))
        return Crop(
            slice(top, bottom),
            slice(left, right),
            window.shifted(top, left),
            (first, *(each.shifted(top, left) for each in inner)),
        )

    def reading(
        self,
        size: Size,
        grid: ProjectedGrid,
        via: Sequence[ProjectedGrid],
        rows: slice,
        columns: slice,
    ) -> Crop:
        """Say what a window of the output needs of an input of `size` (h, w) with known features.

        That is the input that the base reads, and the features on the first grid on the way, a
        window of `via[0]`.
        """
        window = grid.window(rows, columns)
        inner, *needed = self._needed(via, window)
        own = ProjectedGrid(covering(via[0].rows, *needed[0]), covering(via[0].columns, *needed[1]))
        crop = base_crop(size, window)
        shifted = (each.shifted(crop.rows.start, crop.columns.start) for each in (own, *inner))
        return crop._replace(via=tuple(shifted))

    def encoding(self, size: Size, features: ProjectedGrid, rows: slice, columns: slice) -> Crop:
        """Say what the features at `rows` and `columns` of the encoder's grid need of an input.

        Args:
            size: (h, w) of the input.
            features: the encoder's grid, laid over it.
            rows: of that grid.
            columns: likewise.

        Returns:
            The input's rows and columns, the grid of these features over the input that is cut to
            them, and by `via` that of the features to compute there, which hold these.
        """
        first, *needed = self.encoder.window(
            features, (rows.start, rows.stop), (columns.start, columns.stop)
        )
        (top, bottom), (left, right) = (
            (max(start, 0), min(stop, limit))
            for (start, stop), limit in zip(needed, size, strict=True)
        )
        first = self.encoder.cropped(first, (top, bottom), (left, right))
        wanted = features.window(rows, columns).shifted(top, left)
        return Crop(slice(top, bottom), slice(left, right), wanted, (first,))

    def _needed(
        self, via: Sequence[ProjectedGrid], window: ProjectedGrid
    ) -> tuple[list[ProjectedGrid], Span, Span]:
        """Say which windows of the grids on the way, and which features, a window depends on."""
        inner, *spans = self.stack.window(via, window.rows, window.columns)
        local = window.within(via[0])  # where their trust is read
        (top, bottom), (left, right) = (
            (min(start, near[0]), max(stop, near[1]))
            for (start, stop), near in zip(
                spans,
                (reach(axis, BASE_KERNEL_SIZE) for axis in (local.rows, local.columns)),
                strict=True,
            )
        )
        return inner, (top, bottom), (left, right)

    def _strips(
        self, batch: int, grid: ProjectedGrid, via: Sequence[ProjectedGrid]
    ) -> list[ProjectedGrid]:
        """Cut the rows of `grid` into pieces whose features stay in cache."""
        values = batch * self.stack.largest(grid, via)
        count = min(-(-values // STRIP_VALUES), grid.rows.size)
        ends = [grid.rows.size * i // count for i in range(count + 1)]
        return [grid.window(slice(a, b), slice(None)) for a, b in pairwise(ends)]

    def _cut(
        self, features: Tensor, strip: ProjectedGrid, via: Sequence[ProjectedGrid]
    ) -> tuple[Tensor, list[ProjectedGrid]]:
        """Take the rows of the features that a strip of the output reads, and cut the grids."""
        inner, (start, stop), _ = self.stack.window(via, strip.rows, strip.columns)
        top, bottom = max(start, 0), min(stop, features.shape[2])
        rows = via[0].window(slice(top, bottom), slice(None))
        return features[:, :, top:bottom], [rows, *inner]


def parts_of(model: Network) -> CCSR:
    """Return the network itself if it is of our own kind, for what looks at its parts.

    Raises:
        ValueError: if it is a whole network of another package.
    """
    if not isinstance(model, CCSR):
        raise ValueError(
            "expected a network of an encoder, CC layers and a decoder, got "
            f"{type(model).__module__}:{type(model).__qualname__}, which is a whole of its own"
        )
    return model


def base_crop(size: Size, window: ProjectedGrid) -> Crop:
    """Say what the bicubic base alone needs of an input of `size` (h, w) for a window."""
    rows, columns = needed(size, window)
    return Crop(rows, columns, window.shifted(rows.start, columns.start), ())
