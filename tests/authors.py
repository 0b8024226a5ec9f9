"""LIIF on EDSR-baseline as its authors built it, under their names: what their file must give."""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.body = nn.Sequential(first, nn.ReLU(), second)

    def forward(self, x):
        return x + self.body(x)


class Authors(nn.Module):
    def __init__(self, channels=64, blocks=16, hidden=256):
        super().__init__()
        body = [*(Block(channels) for _ in range(blocks)), nn.Conv2d(channels, channels, 3, 1, 1)]
        self.encoder = nn.ModuleDict(
            {
                "sub_mean": nn.Conv2d(3, 3, 1),  # in their file, and not used
                "add_mean": nn.Conv2d(3, 3, 1),
                "head": nn.Sequential(nn.Conv2d(3, channels, 3, padding=1)),
                "body": nn.Sequential(*body),
            }
        )
        layers = []
        for width in (9 * channels + 4, hidden, hidden, hidden):
            layers += [nn.Linear(width, hidden), nn.ReLU()]
        self.imnet = nn.ModuleDict({"layers": nn.Sequential(*layers, nn.Linear(hidden, 3))})

    def forward(self, x: Tensor, size) -> Tensor:
        """(1, 3, h, w) in [0, 1] -> (1, 3, H, W); coordinates are in [-1, 1], as they have them."""
        head = self.encoder["head"](2 * x - 1)
        features = F.unfold(head + self.encoder["body"](head), 3, padding=1)
        features = features.reshape(1, -1, *x.shape[2:])
        wanted, own = _centres(size), _centres(x.shape[2:]).permute(2, 0, 1)[None]
        values, areas = [], []
        for i, j in product((-1, 1), repeat=2):
            step = torch.tensor([i, j]) / torch.tensor(x.shape[2:]) + 1e-6
            place = (wanted + step).clamp(-1 + 1e-6, 1 - 1e-6).flip(-1)[None]
            near, at = (
                F.grid_sample(each, place, mode="nearest", align_corners=False)[0].movedim(0, -1)
                for each in (features, own)
            )
            offset = (wanted - at) * torch.tensor(x.shape[2:])
            cell = (2 * torch.tensor(x.shape[2:]) / torch.tensor(size)).expand_as(offset)
            values.append(self.imnet["layers"](torch.cat((near, offset, cell), -1)))
            areas.append(offset.prod(-1).abs() + 1e-9)
        areas.reverse()
        total = sum(v * a[..., None] for v, a in zip(values, areas, strict=True))
        return ((total / sum(areas)[..., None] + 1) / 2).movedim(-1, 0)[None]


def _centres(size) -> Tensor:
    """(h, w, 2): of the pixels, from -1 to 1."""
    axes = [(2 * torch.arange(n) + 1) / n - 1 for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
