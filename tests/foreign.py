"""Packages of somebody else for tests: the example's encoder, and one of every part."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from ccsr.model import build, checkpoint
from documents import ROOT

EXAMPLES = ROOT / "examples"
RDN = {"name": "rdn:RDN", "channels": 6, "blocks": 2, "layers": 2, "growth": 4}
FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}
REST = {
    "stack": {"name": "friendly", "channels": 5, "field": FIELD},
    "decoder": {"name": "identity"},
}

OTHERS = '''
import torch
from torch import nn

from ccsr.grid import ProjectedGrid
from ccsr.model import CCLayer, Network
from ccsr.model.encoder import Encoder
from ccsr.model.fields import SeparableField
from ccsr.model.stack import Direct
from ccsr.resample import resize


class Flat(SeparableField):
    """One function, the same everywhere in the support."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size, self.basis = kernel_size, 1

    def factors(self, offset, scale, axis):
        return (offset.abs() <= self.kernel_size / 2).to(offset.dtype)[..., None, None]


class Mine(Direct):
    """A stack of another name."""


class Head(nn.Conv2d):
    def __init__(self, in_channels: int, factor: float = 0.1) -> None:
        super().__init__(in_channels, 3, 1)
        nn.init.constant_(self.weight, factor)


class Whole(Network):
    """Blurs, reads there with one CC layer, and adds bicubic."""

    def __init__(self, channels: int = 4, widths: list = ()) -> None:
        super().__init__()
        self.channels, self.radius = channels, 1 + 2
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.layer = CCLayer(channels, 3, 3)
        self.widths = widths

    def forward(self, x, grid, via=None):
        return resize(x, grid) + 0.1 * self.layer(self.head(x), grid)


class Short(Whole):
    """Its radius is missing."""

    def __init__(self) -> None:
        super().__init__()
        del self.radius


class Unpadded(Encoder):
    """Its features are smaller than the image."""

    def __init__(self) -> None:
        super().__init__()
        self.channels, self.radius = 4, 1
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x, grid):
        return self.layer(x)


class Ours(Encoder):
    """Does in its constructor what ours never do."""

    def __init__(self, blocks: int = 3, **options: int) -> None:
        super().__init__()
        self.channels, self.radius, self.options = 4, 2, options
        self.rates = [each.item() for each in torch.linspace(0, 0.1, blocks)]
        self.filters = torch.hann_window(3).numpy()
        self.first, self.second = (nn.Conv2d(3, 4, 3, padding=1) for _ in range(2))
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x, grid):
        return self.norm(self.first(x)) + self.rates[-1] * self.second(x)


class Kept(Ours):
    """Has a buffer besides."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        whole = torch.tensor([1 << 24, 12345678])
        buffers = {"complex": torch.ones(3, dtype=torch.complex64), "large": whole + 1}
        buffers |= {"whole": whole, "bool": torch.ones(3) > 0, "view": torch.ones(3).expand(2, 3)}
        self.register_buffer("kept", buffers[kind])


class Grey(nn.Conv2d):
    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels, 1, 1)


class Fixed(Whole):
    """It gives twice the size, whatever is asked for."""

    def forward(self, x, grid, via=None):
        return nn.functional.interpolate(x, scale_factor=2)


class NoNetwork:
    pass


def squares(image, target):
    return (image - target).square().mean()
'''


@contextmanager
def found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`rdn` and `others` are found, but not imported; the second is written into a folder."""
    (folder / "others").mkdir()
    (folder / "others" / "__init__.py").write_text(OTHERS)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.syspath_prepend(str(folder))
    yield
    for name in ("rdn", "others"):
        sys.modules.pop(name, None)


def saved(folder: Path, trust: str, **parts: Any) -> Path:
    torch.manual_seed(0)
    model = build(**parts, trust=[trust])
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    checkpoint.save(folder / "model.safetensors", model, {"licence": "MIT"})
    return folder / "model.safetensors"
