"""An encoder that is not ours: the residual dense network (Zhang et al. 2018, arXiv 1802.08797).

It is used by its import path, from wherever Python finds this file::

    export PYTHONPATH=examples
    ccsr train model=base model.encoder.name=rdn:RDN model.encoder.blocks=4 name=rdn
    ccsr upscale photo.jpg --scale 2.37 --model runs/FOLDER/best.safetensors --trust rdn

What such a class must offer is in docs/plugins.md.
"""

import torch
from torch import Tensor, nn

from ccsr.grid import ProjectedGrid
from ccsr.model.encoder import Encoder
from ccsr.model.residual import conv3x3


class RDN(Encoder):
    """Residual dense blocks, whose results are all joined at the end.

    Args:
        channels: width between the blocks.
        blocks: residual dense blocks.
        layers: convolutions in each block; every one reads the results of all before it.
        growth: channels that each of them adds.
    """

    def __init__(
        self, channels: int = 64, blocks: int = 16, layers: int = 8, growth: int = 64
    ) -> None:
        super().__init__()
        self.channels = channels
        self.radius = 2 + blocks * layers + 1  # one pixel per 3x3 convolution on the longest way
        self.head = conv3x3(3, channels)
        self.first = conv3x3(channels, channels)
        self.blocks = nn.ModuleList(Dense(channels, layers, growth) for _ in range(blocks))
        self.join = nn.Conv2d(blocks * channels, channels, 1)
        self.tail = conv3x3(channels, channels)

    def forward(self, x: Tensor, grid: ProjectedGrid) -> Tensor:
        """(N, 3, h, w), centred on 0 -> (N, channels, h, w): the grid is the image's own."""
        head = self.head(x)
        x = self.first(head)
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        features: Tensor = head + self.tail(self.join(torch.cat(found, 1)))
        return features


class Dense(nn.Module):
    """A residual dense block: convolutions that each read all results before them."""

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        super().__init__()
        widths = [channels + number * growth for number in range(layers + 1)]
        self.layers = nn.ModuleList(
            nn.Sequential(conv3x3(width, growth), nn.ReLU()) for width in widths[:-1]
        )
        self.join = nn.Conv2d(widths[-1], channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same shape."""
        found = x
        for layer in self.layers:
            found = torch.cat((found, layer(found)), 1)
        joined: Tensor = self.join(found)
        return x + joined
