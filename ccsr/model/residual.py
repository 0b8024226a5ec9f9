"""Residual blocks, and the guard that takes what runs away in them back to bicubic.

A deep network that was trained on photos can answer anything to what no photo has, such as a
checkerboard of single pixels: its features grow from block to block by orders of magnitude, and
spread over all that the blocks reach. On photos they keep to a range, which can be measured. So a
feature far beyond it is cut out with its neighbours, before the blocks can spread it: from then on
the blocks see what they see beyond the image's border, zeros before every convolution. (Features
that are zero after a block only are as foreign as wild ones, and make what is beside them wild.)
There, and smoothly around it, the enlargement is bicubic.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.model.conditioning import ConditionedConv

EVERY = 2  # blocks between looks at the features: after each they cost twice and help no more
AROUND = 2  # pixels around a feature beyond its limit that are cut out with it, as a block reaches
BLEND = 2  # further pixels over which the network takes over from bicubic again


class Encoded(NamedTuple):
    """What an encoder gives.

    Attributes:
        features: (N, C, h, w).
        trust: (N, 1, h, w), the share of the network in the result, 0 to 1; None is 1 everywhere.
    """

    features: Tensor
    trust: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Encoded":
        """Apply the same to both."""
        trust = None if self.trust is None else change(self.trust)
        return Encoded(change(self.features), trust)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the size, with zeros beyond the border."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class Residual(nn.ModuleList):
    """Residual blocks of two convolutions each, one after the other.

    Args:
        channels: width.
        blocks: how many.
        closing: whether half a block, activation and convolution, follows.
        limits: the largest value of the features after every second block (the closing one counts)
            that :meth:`guarded` lets pass; None lets all pass.
        conditioned: whether the first convolution of each block is a
            :class:`ccsr.model.conditioning.ConditionedConv`.

    Attributes:
        radius: receptive radius in pixels, with what the guard adds.

    Raises:
        ValueError: if the limits are not positive numbers, one for every two blocks.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        closing: bool = False,
        limits: list[float] | None = None,
        conditioned: bool = False,
    ) -> None:
        first = ConditionedConv if conditioned else conv3x3
        super().__init__(
            nn.Sequential(first(channels, channels), nn.GELU(), conv3x3(channels, channels))
            for _ in range(blocks)
        )
        if closing:
            self.append(nn.Sequential(nn.GELU(), conv3x3(channels, channels)))
        count = len(self) // EVERY
        if limits is not None and (len(limits) != count or not all(each > 0 for each in limits)):
            raise ValueError(
                f"limits must be {count} positive numbers, one for every {EVERY} blocks, "
                f"got {limits}"
            )
        self.limits = limits
        self.radius = 2 * blocks + closing + (BLEND if limits else 0)

    def forward(self, x: Tensor, told: Tensor | None = None) -> Tensor:
        """Apply all blocks to features (N, channels, h, w); the shape stays.

        Args:
            x: the features.
            told: :func:`ccsr.model.conditioning.terms` of their pictures, for conditioned blocks.
        """
        for block in self:
            x = x + (block(x) if told is None else _told(block, x, told))
        return x

    def guarded(self, x: Tensor) -> Encoded:
        """Apply all blocks, with zeros from then on where features are beyond a limit, and around.

        What is next to a wild feature has been led astray too, but not yet beyond the limit.
        """
        if self.limits is None:
            return Encoded(self(x))
        wild: Tensor | None = None
        for number, block in enumerate(self, 1):
            x = x + block(x) if wild is None else _beside(wild, block, x)
            if number % EVERY:
                continue
            beyond = _beyond(x, self.limits[number // EVERY - 1])
            if beyond is not None:
                around = F.max_pool2d(beyond, 2 * AROUND + 1, 1, AROUND)
                wild = around if wild is None else torch.maximum(wild, around)
                x = _without(wild, x)
        return Encoded(x, None if wild is None else trust(wild))

    def largest(self, x: Tensor) -> list[float]:
        """Measure what `limits` limit: the largest value after every second block."""
        found = []
        for number, block in enumerate(self, 1):
            x = x + block(x)
            if number % EVERY == 0:
                found.append(float(x.max()))
        return found


def _told(block: nn.Module, x: Tensor, told: Tensor) -> Tensor:
    """Apply a block whose first layer, if it is conditioned, gets the terms of the pictures."""
    assert isinstance(block, nn.Sequential)
    first, *others = block
    x = first(x, told) if isinstance(first, ConditionedConv) else first(x)
    for layer in others:
        x = layer(x)
    return x


def trust(wild: Tensor) -> Tensor:
    """Say how much of the network to take where 1 marks what is wild: less and less towards it."""
    side = 2 * BLEND + 1
    return (1 - F.avg_pool2d(wild, side, 1, BLEND, count_include_pad=False)) * (1 - wild)


def _beside(wild: Tensor, block: nn.Module, x: Tensor) -> Tensor:
    """Apply a block whose last layer is a convolution as if the image ended where 1 marks it."""
    assert isinstance(block, nn.Sequential)
    hidden = _without(wild, block[:-1](x))
    return _without(wild, x + block[-1](hidden))


def _without(wild: Tensor, x: Tensor) -> Tensor:
    return x.masked_fill(wild > 0, 0)


def _beyond(x: Tensor, limit: float) -> Tensor | None:
    """Mark by 1 where features (N, C, h, w) are above a limit; None if none is.

    Nothing grows below zero alone, and one maximum over all of them costs next to nothing.
    """
    x = x.detach()
    if float(_highest(x)) <= limit:
        return None
    return 1 - (x.amax(1, keepdim=True) <= limit).to(x.dtype)  # what is no number, too


def _highest(x: Tensor) -> Tensor:
    """Find the largest value, or 0 if all are below."""
    # In the order in which it lies in memory, or it takes 50 times longer.
    x = x.permute(0, 2, 3, 1)
    if x.dtype != torch.bfloat16 or x.device.type != "cpu" or not x.is_contiguous():
        return x.amax()
    # Read as whole numbers, those above zero have the same order, and are compared much faster.
    return x.view(torch.int16).max().clamp(min=0).view(torch.bfloat16)
