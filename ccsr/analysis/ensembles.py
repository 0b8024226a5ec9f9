"""What averaging gains, in dB and over scales, and what it costs.

Over flips and turns, which `ccsr upscale --ensemble flips` offers, and over other intermediate
grids, which only a network could use that was trained with several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from ccsr.analysis.findings import MODELS, Findings, Options, Table
from ccsr.analysis.scoring import PROTOCOL, read_photos, score
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.grid import ProjectedGrid, Size
from ccsr.model.checkpoint import called
from ccsr.model.network import parts_of
from ccsr.upscaling.pixels import FloatSource
from ccsr.upscaling.upscaler import Upscaler

SCALES = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
ENSEMBLES = {  # name: number of intermediate grids, whether over flips and turns too
    "": (1, False),
    "scales:2": (2, False),
    "scales:3": (3, False),
    "flips": (1, True),
    "scales:3,flips": (3, True),
}
FINER = 0.25  # each further intermediate grid is finer by so much of the network's own
CROP = 192  # at most so many pixels a side of each image, from its middle


class Averaged:
    """A network's mean over intermediate grids: its own, and finer ones.

    Args:
        upscaler: of the network; averages over flips itself.
        grids: how many.
    """

    def __init__(self, upscaler: Upscaler, grids: int) -> None:
        self.upscaler = upscaler
        self.grids = grids

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        """(3, h, w) -> (3, H, W), clamped, computed as a whole."""
        plain = self.upscaler.enlargement(FloatSource(x[None]), grid)
        rows, columns = (slice(0, n) for n in grid.size)
        members = [
            replace(plain, via=via).window(rows, columns)
            for via in routes((x.shape[1], x.shape[2]), plain.via, self.grids)
        ]
        return torch.stack(members).mean(0)[0].clamp(0, 1)


def routes(
    size: Size, via: tuple[ProjectedGrid, ...], grids: int
) -> list[tuple[ProjectedGrid, ...]]:
    """The grids on the way of each member, the given ones first.

    Args:
        size: (h, w) of the input.
        via: the network's own, laid over the input; the encoder's, the first, stays.
        grids: how many members.
    """
    own, *others = via
    factors = [1 + FINER * number for number in range(grids)]
    return [(own, *(_resized(each, size, factor) for each in others)) for factor in factors]


def _resized(grid: ProjectedGrid, size: Size, factor: float) -> ProjectedGrid:
    if factor == 1:
        return grid
    rows, columns = (max(1, round(n * factor)) for n in grid.size)
    return ProjectedGrid.project(size, (rows, columns))


@dataclass(frozen=True)
class Gain:
    """One ensemble at one scale, mean over the images.

    Attributes:
        model: name.
        ensemble: of `ENSEMBLES`; empty for the plain result.
        scale: output over input.
        psnr: dB.
        gain: dB above the plain result.
        cost: time over that of the plain result.
    """

    model: str
    ensemble: str
    scale: float
    psnr: float
    gain: float
    cost: float


def measure(
    model: str, photos: Sequence[Tensor], scales: Sequence[float], trust: Sequence[str] = ()
) -> list[Gain]:
    """All ensembles on photos, uint8 (3, H, W).

    Raises:
        ValueError: for a network that has no intermediate grids to average over.
    """
    upscalers = {
        name: Averaged(
            Upscaler.load(model, precision="fp32", ensemble=flips * "flips", trust=trust), grids
        )
        for name, (grids, flips) in ENSEMBLES.items()
    }
    for each in upscalers.values():
        parts_of(each.upscaler.model)  # or says that there are no grids within
    found: list[Gain] = []
    for scale in scales:
        results = {
            name: [score(upscaler, hr, scale) for hr in photos]
            for name, upscaler in upscalers.items()
        }
        plain_psnr, plain_time = (fmean(column) for column in zip(*results[""], strict=True))
        for name, pairs in results.items():
            psnr, seconds = (fmean(column) for column in zip(*pairs, strict=True))
            gain, cost = psnr - plain_psnr, seconds / plain_time
            found.append(Gain(called(model), name, scale, psnr, gain, cost))
    return found


def analyse(options: Options) -> Findings:
    """Measure what ensembles gain and cost, as the flags of `ccsr analyze ensembles` say."""
    photos = read_photos(options.data, options.limit, CROP, SCALES)
    found = [
        gain
        for model in options.models or MODELS
        for gain in measure(model, photos, SCALES, options.trust)
    ]
    tables = [_table(model, len(photos), found) for model in unique(one.model for one in found)]
    records: list[Mapping[str, object]] = [
        {"protocol": PROTOCOL, "images": len(photos), **asdict(one)} for one in found
    ]
    return Findings(tables, records, {"ensembles.png": lambda path: draw(path, found)})


def _table(model: str, images: int, found: Sequence[Gain]) -> Table:
    here = [one for one in found if one.model == model]
    lines = [["scale", "plain", *(name for name in ENSEMBLES if name)]]
    for scale in unique(one.scale for one in here):
        plain, *others = (one for one in here if one.scale == scale)
        cells = [f"{one.gain:+.2f} ({one.cost:.1f}x)" for one in others]
        lines.append([f"{scale:g}", f"{plain.psnr:.2f}", *cells])
    title = (
        f"{model}: PSNR in dB (protocol {PROTOCOL}, {images} images, the middle {CROP} pixels a "
        "side), gain in dB and time against the plain result"
    )
    return Table(title, lines)


def draw(path: Path, found: Sequence[Gain]) -> None:
    """Write the gains over the scale, one plot per model."""
    from matplotlib.figure import Figure

    models = unique(one.model for one in found)
    figure = Figure(figsize=(6.5 * len(models), 4.2), layout="constrained")
    for number, model in enumerate(models, 1):
        axes = figure.add_subplot(1, len(models), number)
        for name in filter(None, ENSEMBLES):
            line = [one for one in found if one.model == model and one.ensemble == name]
            label = f"{name}, {fmean(one.cost for one in line):.1f}x the time"
            axes.plot([one.scale for one in line], [one.gain for one in line], "o-", label=label)
        axes.axhline(0, color="k", linewidth=0.8)
        axes.set(title=model, xlabel="scale", ylabel="gain in dB")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save(figure, path, dpi=80)
