"""LIIF (Chen et al. 2021, arXiv 2012.09161): an MLP on features and the offset from them."""

import torch
from torch import Tensor

from ccsr.peers.head import Ensemble, mlp, unfolded


class LIIF(Ensemble):
    """Features unfolded over 3x3 pixels, with offset and output pixel's size, through an MLP.

    Args:
        in_channels: channels of the encoder's features.
        hidden: width of the MLP's four hidden layers.
    """

    def __init__(self, in_channels: int, hidden: int = 256) -> None:
        super().__init__(4 * max(9 * in_channels + 4, hidden))
        self.imnet = mlp(9 * in_channels + 4, hidden, layers=4)

    def prepare(self, features: Tensor) -> Tensor:
        """See :meth:`Ensemble.prepare`."""
        return unfolded(features)

    def answer(self, near: Tensor, offset: Tensor, cell: Tensor) -> Tensor:
        """See :meth:`Ensemble.answer`."""
        shape = (*near.shape[:-1], 2)
        answer: Tensor = self.imnet(torch.cat((near, offset.expand(shape), cell.expand(shape)), -1))
        return answer
