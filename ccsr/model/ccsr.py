"""The network: encoder -> CC stack -> decoder, added to a bicubic enlargement of the input."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from ccsr.model.decoder import DECODERS
from ccsr.model.encoder import ENCODERS, Encoder
from ccsr.model.registry import construct
from ccsr.model.stack import STACKS, Stack, reach
from ccsr.resample import Axis, ProjectedGrid, Size, resize

BASE_KERNEL_SIZE = 4  # of the bicubic base


class Crop(NamedTuple):
    """What a window of the output needs.

    Attributes:
        rows: input rows.
        columns: input columns.
        grid: the window's positions in the cropped input.
        via: the intermediate grids, likewise.
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
    """

    def __init__(
        self,
        encoder: Encoder,
        stack: Stack,
        decoder: nn.Module,
        architecture: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.stack = stack
        self.decoder = decoder
        self.architecture = dict(architecture)

    def forward(
        self, x: Tensor, grid: ProjectedGrid, via: Sequence[ProjectedGrid] | None = None
    ) -> Tensor:
        """Read the image at `grid`.

        Args:
            x: (N, 3, h, w), RGB in [0, 1].
            grid: laid over (h, w); (H, W) is its size.
            via: intermediate grids of the stack, laid over (h, w); None takes :meth:`route`.

        Returns:
            (N, 3, H, W), RGB, not clamped.
        """
        via = self.route((x.shape[2], x.shape[3]), grid) if via is None else via
        features = self.encoder(x - 0.5)  # (N, C, h, w)
        features = self.stack(features, grid, via)  # (N, C', H, W)
        residual: Tensor = self.decoder(features)  # (N, 3, H, W)
        return resize(x, grid) + residual

    def route(self, size: Size, grid: ProjectedGrid) -> tuple[ProjectedGrid, ...]:
        """The intermediate grids that an input of `size` (h, w) takes to `grid` by default."""
        return self.stack.route(size, grid)

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
        inner, row_range, column_range = self.stack.window(via, window.rows, window.columns)
        top, bottom = self._input_range(window.rows, row_range, size[0])
        left, right = self._input_range(window.columns, column_range, size[1])
        return Crop(
            slice(top, bottom),
            slice(left, right),
            window.shifted(top, left),
            tuple(each.shifted(top, left) for each in inner),
        )

    def _input_range(self, axis: Axis, features: tuple[int, int], limit: int) -> tuple[int, int]:
        """Input pixels under `features` (start, stop) of the encoder and under the base."""
        start, stop = reach(axis, BASE_KERNEL_SIZE)
        start = min(start, features[0] - self.encoder.radius)
        stop = max(stop, features[1] + self.encoder.radius)
        return max(start, 0), min(stop, limit)


def build(encoder: Mapping[str, Any], stack: Mapping[str, Any], decoder: Mapping[str, Any]) -> CCSR:
    """Build the network from plain descriptions `{name: ..., **arguments}`.

    A new network equals bicubic: its last layer starts at zero.

    Raises:
        ValueError: for an unknown name or argument; names what is near.
    """
    architecture = {"encoder": _plain(encoder), "stack": _plain(stack), "decoder": _plain(decoder)}
    first = construct("encoder", ENCODERS, architecture["encoder"])
    middle = construct("stack", STACKS, architecture["stack"], in_channels=first.channels)
    last = construct("decoder", DECODERS, architecture["decoder"], in_channels=middle.out_channels)
    return CCSR(first, middle, last, architecture)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings (Hydra's too) as plain dicts."""
    return {k: _plain(v) if isinstance(v, Mapping) else v for k, v in config.items()}
