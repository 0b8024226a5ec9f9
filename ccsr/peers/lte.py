"""LTE (Lee and Jin 2022, arXiv 2111.08918): the features say amplitudes, frequencies and phases."""

import math

import torch
from torch import Tensor, nn

from ccsr.model.registry import check_counts
from ccsr.peers.head import Ensemble, mlp


class LTE(Ensemble):
    """A local texture estimator: Fourier features of the offset, then an MLP.

    Args:
        in_channels: channels of the encoder's features.
        hidden: amplitudes, twice as many as frequencies; width of the MLP's three hidden layers.
    """

    def __init__(self, in_channels: int, hidden: int = 256) -> None:
        check_counts(hidden=hidden)
        if hidden % 2:
            raise ValueError(f"hidden must be even, two amplitudes for each wave, got {hidden}")
        super().__init__(4 * 2 * hidden)
        self.amplitude = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.frequency = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.phase = nn.Linear(2, hidden // 2, bias=False)
        self.imnet = mlp(hidden, hidden, layers=3)

    def prepare(self, features: Tensor) -> Tensor:
        """See :meth:`Ensemble.prepare`."""
        return torch.cat((self.amplitude(features), self.frequency(features)), 1)

    def answer(self, near: Tensor, offset: Tensor, cell: Tensor) -> Tensor:
        """See :meth:`Ensemble.answer`."""
        amplitude, frequency = near.chunk(2, -1)
        vertical, horizontal = frequency.unflatten(-1, (-1, 2)).unbind(-1)  # (N, H, W, hidden / 2)
        angle = vertical * offset[..., :1] + horizontal * offset[..., 1:] + self.phase(cell)
        waves = torch.cat((torch.cos(math.pi * angle), torch.sin(math.pi * angle)), -1)
        answer: Tensor = self.imnet(amplitude * waves)
        return answer
