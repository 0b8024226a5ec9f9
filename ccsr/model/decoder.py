"""Decoders turn features on the target grid into the residual of the image, pixel by pixel."""

from itertools import pairwise

from torch import Tensor, nn

from ccsr.model.registry import check_counts


class Pointwise(nn.Module):
    """1x1 convolutions with GELU before each: what a pixel becomes depends on its features only.

    Args:
        in_channels: channels of the features.
        hidden: width between the layers.
        layers: number of 1x1 convolutions, at least 1.
    """

    def __init__(self, in_channels: int, hidden: int = 32, layers: int = 2) -> None:
        super().__init__()
        check_counts(hidden=hidden, layers=layers)
        widths = [in_channels, *[hidden] * (layers - 1), 3]
        convolutions = [nn.Conv2d(a, b, 1) for a, b in pairwise(widths)]
        for parameter in convolutions[-1].parameters():
            nn.init.zeros_(parameter)
        self.net = nn.Sequential(*(part for conv in convolutions for part in (nn.GELU(), conv)))

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (N, in_channels, H, W) into a residual (N, 3, H, W)."""
        residual: Tensor = self.net(features)
        return residual


class Identity(nn.Identity):
    """Changes nothing, for a stack whose last CC layer gives the three colours itself."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels != 3:
            raise ValueError(
                f"decoder 'identity' needs a stack with 3 output channels, got {in_channels}: "
                "use decoder 'pointwise'"
            )


DECODERS: dict[str, type[nn.Module]] = {"pointwise": Pointwise, "identity": Identity}
