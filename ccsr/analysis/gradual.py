"""One CC layer to the target against several, each of a part of the scale, at equal cost.

All have the same encoder, fields and decoder and the same training; the width of the stack is
chosen so that the multiplies, mean over the scales, are those of the direct network. Runs lie
under the output folder: one that was cut short goes on where it stopped, one that is finished is
not trained again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from ccsr.analysis.findings import Findings, Options, Table
from ccsr.analysis.scoring import PROTOCOL, read_photos, score
from ccsr.analysis.training import trained
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.grid import ProjectedGrid, output_size
from ccsr.model import CCLayer, build
from ccsr.model.network import parts_of
from ccsr.upscaling.upscaler import Upscaler

LAYERS = (1, 2, 3, 4)
SCALES = (1.5, 2.0, 3.0, 4.0, 6.0)
DIRECT_CHANNELS = 24
WIDTHS = range(4, 33)
CROP = 192  # pixels a side of the photos that are measured on
INPUT = (120, 120)  # pixels for which multiplies are counted
ENCODER = {"name": "plain", "channels": 24, "blocks": 2}
FIELD = {"name": "fourier", "kernel_size": 3, "basis": 16}
DECODER = {"name": "pointwise", "hidden": 24, "layers": 2}
TRAINING = (
    "data=folder", "data.patch=12", "data.batch_size=4", "data.val.images=2", "data.val.crop=96",
    "data.val.scales=[2,3]", "data.scales.values=[1.5,2,3,4]", "data.scales.anisotropic=0",
    "module.warmup=50", "callbacks.checkpoints.minutes=1",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One architecture at one scale, mean over the bundled photos.

    Attributes:
        name: direct, or gradual with the number of layers.
        channels: width of the stack.
        scale: output over input.
        psnr: dB.
        multiplies: thousands of multiply-adds per output pixel, of the whole network.
        seconds: per megapixel of output.
    """

    name: str
    channels: int
    scale: float
    psnr: float
    multiplies: float
    seconds: float


def architecture(layers: int, channels: int) -> dict[str, Any]:
    """What `ccsr.model.build` takes."""
    stack: dict[str, Any] = {"name": "gradual", "layers": layers}
    return {
        "encoder": ENCODER,
        "stack": stack | {"channels": channels, "field": FIELD},
        "decoder": DECODER,
    }


def multiplies(config: Mapping[str, Any], scale: float) -> float:
    """Thousands of multiply-adds per output pixel, filters taken as given.

    What it takes to make the filters, or to do without them (`ccsr.model.algorithms`), depends on
    how awkward the sizes are; the seconds show it.
    """
    with torch.device("meta"):
        model = parts_of(build(**config))
    size = output_size(INPUT, scale)
    grid = ProjectedGrid.project(INPUT, size)
    total = math.prod(INPUT) * _weights(model.encoder) + math.prod(size) * _weights(model.decoder)
    for layer, each in zip(model.stack.layers, (*model.route(INPUT, grid)[1:], grid), strict=True):
        assert isinstance(layer, CCLayer)
        _, channels_out, channels_in = layer.weight.shape
        total += math.prod(each.size) * layer.kernel_size**2 * channels_out * channels_in
    return total / 1000 / math.prod(size)


def _weights(module: nn.Module) -> int:
    return sum(each.weight.numel() for each in module.modules() if isinstance(each, nn.Conv2d))


def equal_width(layers: int, widths: Sequence[int] = WIDTHS) -> int:
    """The width at which so many layers cost, in the mean over the scales, what one does."""

    def cost(layers: int, channels: int) -> float:
        return fmean(multiplies(architecture(layers, channels), scale) for scale in SCALES)

    aim = cost(1, DIRECT_CHANNELS)
    return min(widths, key=lambda channels: abs(cost(layers, channels) - aim))


def measure(
    name: str, config: Mapping[str, Any], file: Path, photos: Sequence[Tensor]
) -> list[Result]:
    """The trained network in `file` over the scales."""
    upscaler = Upscaler.load(file, precision="fp32")
    found = []
    for scale in SCALES:
        scores, seconds = zip(*(score(upscaler, hr, scale) for hr in photos), strict=True)
        pixels = sum(hr[0].numel() for hr in photos)
        found.append(
            Result(
                name,
                config["stack"]["channels"],
                scale,
                fmean(scores),
                multiplies(config, scale),
                sum(seconds) / pixels * 1e6,
            )
        )
    return found


def analyse(options: Options) -> Findings:
    """Train and measure direct and gradual networks, for `ccsr analyze gradual`.

    Raises:
        ValueError: without photos to train on, or a folder for the runs.
    """
    if options.data is None or options.out is None:
        raise ValueError(
            "gradual trains networks: give --data FOLDER with photos to train on and --out DIR "
            "for the runs (it measures on the photos that come with ccsr)"
        )
    photos = read_photos(None, options.limit, CROP, SCALES)
    found: list[Result] = []
    for layers in LAYERS:
        name = "direct" if layers == 1 else f"gradual, {layers} layers"
        channels = DIRECT_CHANNELS if layers == 1 else equal_width(layers)
        config = architecture(layers, channels)
        folder = options.out / "runs" / f"layers_{layers}_steps_{options.steps}"
        settings = (f"data.root={options.data}", f"trainer.max_steps={options.steps}")
        check = f"trainer.val_check_interval={options.steps}"
        file = trained([*TRAINING, *settings, check], folder, config)
        found += measure(name, config, file, photos)
    records: list[Mapping[str, object]] = [
        {"protocol": PROTOCOL, "steps": options.steps, "images": len(photos), **asdict(one)}
        for one in found
    ]
    table = _table(found, options.steps, len(photos))
    return Findings([table], records, {"gradual.png": lambda path: draw(path, found)})


def _table(found: Sequence[Result], steps: int, images: int) -> Table:
    lines = [["network", "channels", *(f"x{scale:g}" for scale in SCALES)]]
    for name in unique(one.name for one in found):
        line = [one for one in found if one.name == name]
        cells = [f"{o.psnr:.2f} / {o.multiplies:.1f} / {o.seconds:.2f}" for o in line]
        lines.append([name, str(line[0].channels), *cells])
    title = (
        f"PSNR in dB (protocol {PROTOCOL}, {images} photos) / thousands of multiply-adds per "
        f"output pixel / seconds per megapixel of output, after {steps} steps of training"
    )
    return Table(title, lines)


def draw(path: Path, found: Sequence[Result]) -> None:
    """Write PSNR against the direct network, multiplies and time over the scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    plots = figure.subplots(1, 3)
    direct = {one.scale: one.psnr for one in found if one.name == found[0].name}
    for name in unique(one.name for one in found):
        line = [one for one in found if one.name == name]
        label = f"{name}, {line[0].channels} channels"
        columns = (
            [one.psnr - direct[one.scale] for one in line],
            [one.multiplies for one in line],
            [one.seconds for one in line],
        )
        for axes, values in zip(plots, columns, strict=True):
            axes.plot([one.scale for one in line], values, "o-", label=label)
    titles = "dB against direct", "1000 multiply-adds per output pixel", "seconds per megapixel"
    for axes, title in zip(plots, titles, strict=True):
        axes.set(xlabel="scale", ylabel=title)
        axes.grid(alpha=0.3)
    plots[0].legend(fontsize=8)
    save(figure, path, dpi=80)
