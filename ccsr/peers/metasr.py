"""Meta-SR (Hu et al. 2019, arXiv 1903.00875): an MLP makes the filter of every output pixel."""

import torch
from torch import Tensor

from ccsr.grid import ProjectedGrid
from ccsr.model.registry import check_counts
from ccsr.peers.head import Head, mlp, near, pixel_size, unfolded


class MetaSR(Head):
    """Filters of 3x3 pixels from the offset within a pixel and the output pixel's size.

    The paper tells its MLP the offsets from the pixel's corner and one scale; for scales that
    differ by axis it is told both sizes here.

    Args:
        in_channels: channels of the encoder's features.
        hidden: width of the MLP's hidden layer.
    """

    def __init__(self, in_channels: int, hidden: int = 256) -> None:
        check_counts(hidden=hidden)
        values = 9 * in_channels
        super().__init__(4 * values)
        self.weights = mlp(4, hidden, layers=1, outputs=3 * values)

    def colours(self, features: Tensor, grid: ProjectedGrid) -> Tensor:
        """See :meth:`Head.colours`."""
        rows = near(grid.rows, features.shape[2], features, taps=1)
        columns = near(grid.columns, features.shape[3], features, taps=1)
        # output pixels at the same place in their feature pixels have the same filter
        corner = torch.stack(
            torch.meshgrid(rows.kinds + 0.5, columns.kinds + 0.5, indexing="ij"), -1
        )
        cell = pixel_size(grid, features)
        filters = self.weights(torch.cat((corner, cell.expand_as(corner)), -1)).unflatten(
            -1, (3, -1)
        )
        read = unfolded(features)[:, :, rows.pixel[0]][..., columns.pixel[0]]  # (N, 9 C, H, W)
        chosen = filters[rows.kind[0]][:, columns.kind[0]]  # (H, W, 3, 9 C)
        return torch.einsum("nchw,hwkc->nkhw", read, chosen)
