"""Time against PSNR of a network whose cost is a dial, beside bicubic and networks without one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ccsr.analysis.findings import Findings, Options, Table
from ccsr.analysis.scoring import PROTOCOL, Bicubic, Enlarger, in_turns, read_photos
from ccsr.evaluation.methods import BICUBIC
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.model.checkpoint import called
from ccsr.upscaling.upscaler import Upscaler

MODELS = ("elastic", "light")
SCALES = (1.5, 2.0, 3.0)
CROP = 384  # at most so many pixels a side of each image, from its middle
REPEATS = 3


@dataclass(frozen=True)
class Point:
    """One network at one effort and scale, mean over the images.

    Attributes:
        model: name.
        effort: share of the work; 1 for what has no choice.
        choice: whether the network has one.
        scale: output over input.
        psnr: dB.
        seconds: of one image.
        ahead: dB above what bicubic and the networks without a choice give in that time; between
            them along straight lines. Mixing their pieces would give no more.
    """

    model: str
    effort: float
    choice: bool
    scale: float
    psnr: float
    seconds: float
    ahead: float


def measure(
    models: Sequence[str], photos: Sequence[Tensor], scale: float, trust: Sequence[str] = ()
) -> list[Point]:
    """Bicubic and every model at every effort on photos, uint8 (3, H, W).

    Raises:
        ValueError: if no model has a choice of efforts.
    """
    entries: list[tuple[str, float, bool, Enlarger]] = [(BICUBIC, 1.0, False, Bicubic())]
    for model in models:
        efforts = Upscaler.load(model, trust=trust).model.efforts
        for effort in efforts:
            upscaler = Upscaler.load(model, precision="fp32", effort=effort, trust=trust)
            entries.append((called(model), effort, len(efforts) > 1, upscaler))
    if not any(choice for _, _, choice, _ in entries):
        raise ValueError(
            f"expected a network with an elastic encoder, got {', '.join(models)}: give one by "
            "--model, beside others to compare it with"
        )
    measured = in_turns([enlarger for *_, enlarger in entries], photos, scale, REPEATS)
    fixed = [found for found, entry in zip(measured, entries, strict=True) if not entry[2]]
    return [
        Point(name, effort, choice, scale, psnr, seconds, psnr - best_within(fixed, seconds))
        for (name, effort, choice, _), (psnr, seconds) in zip(entries, measured, strict=True)
    ]


def best_within(fixed: Sequence[tuple[float, float]], seconds: float) -> float:
    """PSNR that methods of the given (PSNR, seconds) reach in `seconds`, mixed where between."""
    times, values = [], list[float]()
    for psnr, time in sorted(fixed, key=lambda each: each[1]):
        if not values or psnr > values[-1]:
            times.append(time)
            values.append(psnr)
    return float(np.interp(seconds, times, values))


def analyse(options: Options) -> Findings:
    """Measure time and PSNR at every effort, as the flags of `ccsr analyze effort` say."""
    photos = read_photos(options.data, options.limit, CROP, SCALES)
    found = [
        point
        for scale in SCALES
        for point in measure(options.models or MODELS, photos, scale, options.trust)
    ]
    records: list[Mapping[str, object]] = [
        {"protocol": PROTOCOL, "images": len(photos), **asdict(point)} for point in found
    ]
    picture = {"effort.png": lambda path: draw(path, found)}
    return Findings([_table(len(photos), found)], records, picture)


def _label(point: Point) -> str:
    return f"{point.model} at {point.effort:.2f}" if point.choice else point.model


def _table(images: int, found: Sequence[Point]) -> Table:
    scales = unique(point.scale for point in found)
    lines = [["network, effort", *(f"x{scale:g}" for scale in scales)]]
    for label in unique(map(_label, found)):
        line = [label]
        for point in (point for point in found if _label(point) == label):
            ahead = f" ({point.ahead:+.2f})" if point.choice else ""
            line.append(f"{point.psnr:.2f} dB{ahead} {point.seconds * 1000:.0f} ms")
        lines.append(line)
    title = (
        f"PSNR (protocol {PROTOCOL}, {images} images, the middle {CROP} pixels a side), in "
        "parentheses dB above what the others give in equal time, and time of an image"
    )
    return Table(title, lines)


def draw(path: Path, found: Sequence[Point]) -> None:
    """Write PSNR over time, one plot per scale."""
    from matplotlib.figure import Figure

    scales = unique(point.scale for point in found)
    figure = Figure(figsize=(4.6 * len(scales), 4.2), layout="constrained")
    for number, scale in enumerate(scales, 1):
        axes = figure.add_subplot(1, len(scales), number)
        here = [point for point in found if point.scale == scale]
        for model in unique(point.model for point in here):
            line = [point for point in here if point.model == model]
            axes.plot([p.seconds for p in line], [p.psnr for p in line], "o-", label=model)
        fixed = sorted((p.seconds, p.psnr) for p in here if not p.choice)
        axes.plot(*zip(*fixed, strict=True), "k:", linewidth=0.8, label="mixtures")
        axes.set(title=f"x{scale:g}", xlabel="seconds an image", ylabel="PSNR in dB")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save(figure, path, dpi=80)
