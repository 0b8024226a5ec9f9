"""What averaging gains, in dB and over scales, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from torch import Tensor

from ccsr.analysis.findings import MODELS, Findings, Options, Table
from ccsr.analysis.scoring import PROTOCOL, middle, score
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.training.photos import find_images, read_rgb
from ccsr.upscaling.upscaler import Upscaler

SCALES = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
ENSEMBLES = ("", "scales:2", "scales:3", "flips", "scales:3,flips")
CROP = 192  # at most so many pixels a side of each image, from its middle


@dataclass(frozen=True)
class Gain:
    """One ensemble at one scale, mean over the images.

    Attributes:
        model: name.
        ensemble: as on the command line; empty for the plain result.
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


def measure(model: str, photos: Sequence[Tensor], scales: Sequence[float]) -> list[Gain]:
    """All ensembles on photos, uint8 (3, H, W)."""
    upscalers = {name: Upscaler.load(model, precision="fp32", ensemble=name) for name in ENSEMBLES}
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
            found.append(Gain(Path(model).stem, name, scale, psnr, gain, cost))
    return found


def analyse(options: Options) -> Findings:
    """See the module."""
    files = find_images(options.data)[: options.limit]
    photos = [middle(read_rgb(file), CROP) for file in files]
    found = [gain for model in options.models or MODELS for gain in measure(model, photos, SCALES)]
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
        for name in ENSEMBLES[1:]:
            line = [one for one in found if one.model == model and one.ensemble == name]
            label = f"{name}, {fmean(one.cost for one in line):.1f}x the time"
            axes.plot([one.scale for one in line], [one.gain for one in line], "o-", label=label)
        axes.axhline(0, color="k", linewidth=0.8)
        axes.set(title=model, xlabel="scale", ylabel="gain in dB")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save(figure, path, dpi=80)
