"""Thera (Becker et al. 2025, arXiv 2311.17643): a small field of heat in every pixel."""

import math

import torch
from torch import Tensor, nn

from ccsr.grid import ProjectedGrid
from ccsr.model.registry import check_counts
from ccsr.peers.head import Head, near, pixel_size

DIFFUSIVITY = math.sqrt(math.log(4)) / (2 * math.pi**2)  # the paper's kappa


class Thera(Head):
    """Waves of learned frequencies; the features say the phases and amplitudes in each pixel.

    A wave fades with its frequency and with the size of the output pixel, exactly as a Gaussian
    blur of that size would fade it, so that what is too fine for the output is not there. The
    smallest head of the paper, `Air`. Scales that differ by axis blur by axis.

    Args:
        in_channels: channels of the encoder's features.
        waves: number of frequencies.
    """

    def __init__(self, in_channels: int, waves: int = 32) -> None:
        check_counts(waves=waves)
        super().__init__(6 * waves)
        self.waves = waves
        angle = 2 * math.pi * torch.rand(waves)
        length = 2 * math.pi * torch.rand(waves).sqrt()  # radians per feature pixel
        self.frequency = nn.Parameter(
            torch.stack((length * angle.sin(), length * angle.cos()))
        )  # (2, waves)
        self.hyper = nn.Conv2d(in_channels, 4 * waves, 1)

    def colours(self, features: Tensor, grid: ProjectedGrid) -> Tensor:
        """See :meth:`Head.colours`."""
        rows = near(grid.rows, features.shape[2], features, taps=1)
        columns = near(grid.columns, features.shape[3], features, taps=1)
        dy, dx = rows.offset[0], columns.offset[0]
        read = self.hyper(features)[:, :, rows.pixel[0]][..., columns.pixel[0]]
        phase, amplitude = read.split((self.waves, 3 * self.waves), 1)  # each (N, ..., H, W)
        times = pixel_size(grid, features).square()
        fading = torch.exp(-DIFFUSIVITY * (times[:, None] * self.frequency.square()).sum(0))
        along = self.frequency[0][:, None, None] * dy[:, None]  # (waves, H, 1)
        across = self.frequency[1][:, None, None] * dx  # (waves, 1, W)
        waves = torch.sin(along + across + phase) * fading[:, None, None]
        colours: Tensor = (waves.unsqueeze(1) * amplitude.unflatten(1, (3, -1))).sum(2)
        return colours
