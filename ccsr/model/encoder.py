"""Encoders: low-resolution image -> features on the same grid."""

from torch import Tensor, nn


class Encoder(nn.Module):
    """What the network needs of an encoder.

    Attributes:
        channels: channels of the features.
        radius: receptive radius in pixels: features within `radius` of an artificial border of
            the input (a tile's) depend on what lies beyond it.
    """

    channels: int
    radius: int

    def forward(self, x: Tensor) -> Tensor:
        """Image (N, 3, h, w), centred on 0 -> features (N, channels, h, w)."""
        raise NotImplementedError


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, zeros beyond the border."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class EDSR(Encoder):
    """Residual blocks without normalisation (Lim et al. 2017, arXiv 1707.02921).

    The literature's baseline is 16 blocks of 64 channels.

    Args:
        channels: width.
        blocks: residual blocks of two convolutions each.
        residual_scale: factor on each block's residual.
    """

    def __init__(self, channels: int = 64, blocks: int = 16, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.channels = channels
        self.radius = 2 * blocks + 2
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(
            nn.Sequential(conv3x3(channels, channels), nn.ReLU(), conv3x3(channels, channels))
            for _ in range(blocks)
        )
        self.tail = conv3x3(channels, channels)
        self.residual_scale = residual_scale

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`Encoder.forward`."""
        head = x = self.head(x)
        for block in self.body:
            x = x + self.residual_scale * block(x)
        features: Tensor = head + self.tail(x)
        return features


class Light(Encoder):
    """Residual blocks with nothing around them: every multiply is in a dense 3x3 convolution.

    Against :class:`EDSR`, no closing convolution and no outer skip, and a smooth activation.

    Args:
        channels: width.
        blocks: residual blocks of two convolutions each.
    """

    def __init__(self, channels: int = 48, blocks: int = 5) -> None:
        super().__init__()
        self.channels = channels
        self.radius = 2 * blocks + 1
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(
            nn.Sequential(conv3x3(channels, channels), nn.GELU(), conv3x3(channels, channels))
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`Encoder.forward`."""
        features: Tensor = self.head(x)
        for block in self.body:
            features = features + block(features)
        return features


ENCODERS: dict[str, type[Encoder]] = {"edsr": EDSR, "light": Light}
