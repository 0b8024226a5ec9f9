"""The comparison of heads as tables and as a plot."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from ccsr.analysis.consistency import decibel
from ccsr.analysis.findings import Table
from ccsr.analysis.heads import Head
from ccsr.analysis.scoring import PROTOCOL
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import spell
from ccsr.grid import Pair


def tables(found: Sequence[Head], scales: Sequence[Pair], images: int) -> list[Table]:
    """PSNR at every scale, the best of each marked, and what it takes to get it."""
    best = [max(one.psnr[n] for one in found) for n in range(len(scales))]
    quality = [["head", *map(spell, scales)]]
    for one in found:
        cells = zip(one.psnr, best, strict=True)
        quality.append([one.name, *(f"{v:.2f}{'*' if v == top else ''}" for v, top in cells)])
    cost = [
        [
            "head", "steps", "parameters", "of the head", "1000 multiply-adds a pixel", "ms",
            "same positions, dB", "back, dB", "cell borders", "anywhere in a cell",
        ]
    ]  # fmt: skip
    cost += [
        [
            one.name,
            str(one.steps or ""),
            f"{one.parameters:,}",
            f"{one.weights:,}",
            f"{one.multiply_adds:.1f}",
            f"{1000 * one.seconds:.0f}",
            decibel(one.same_positions),
            decibel(one.back),
            f"{one.borders:.2f}",
            f"{one.anywhere:.2f}",
        ]
        for one in found
    ]
    return [
        Table(
            f"PSNR in dB (protocol {PROTOCOL}, {images} images; * is the best at its scale)",
            quality,
        ),
        Table(
            "What each takes from 480x270 to 1920x1080 (multiply-adds at 4, per output pixel), "
            "consistency, and how much a result bends at 10 over the median in a cell",
            cost,
        ),
    ]


def draw(path: Path, found: Sequence[Head], scales: Sequence[Pair]) -> None:
    """Write dB above the first, bicubic, over the scale, and their mean over the time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    base = found[0].psnr
    places = [n for n, (vertical, horizontal) in enumerate(scales) if vertical == horizontal]
    for one in found:
        gains = [psnr - other for psnr, other in zip(one.psnr, base, strict=True)]
        left.plot([scales[n][0] for n in places], [gains[n] for n in places], "o-", label=one.name)
        right.plot([1000 * one.seconds], [fmean(gains)], "o")
        right.annotate(
            one.name, (1000 * one.seconds, fmean(gains)), xytext=(4, 4), textcoords="offset points"
        )
    left.set(xscale="log", xlabel="scale", ylabel=f"dB above {found[0].name}")
    left.set_xticks([scales[n][0] for n in places], [f"{scales[n][0]:g}" for n in places])
    left.minorticks_off()
    left.legend(fontsize=8)
    right.set(xscale="log", xlabel="milliseconds, 480x270 to 1920x1080")
    right.set_title("mean over all scales, over time", fontsize=10)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    save(figure, path, dpi=80)
