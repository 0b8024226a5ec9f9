"""The picture of `ccsr analyze alignment`: drift over layers, and where a photo went."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ccsr.analysis import alignment
from ccsr.analysis.findings import photo
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.grid import ProjectedGrid
from ccsr.resample import resize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTS = (("down", 1024), ("down", 1023), ("down and up", 513))
SHOWN = (
    ("strided 3, pixel shuffle", 512),
    ("strided 3, transposed 3", 513),
    ("max-pool, nearest", 511),
    ("CC /2 and back", 511),
    ("CC /1.7 and back", 513),
)
EYE = (106.0, 211.0)  # row, column of the mark in the photo of 512 pixels
WINDOW = 48  # pixels of the photo around the mark


def draw(path: Path, found: Sequence["alignment.Drift"]) -> None:
    """Write the drifts of `found` as curves, above details of a photo after six layers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    parts = figure.add_gridspec(2, 1, height_ratios=(5, 3))
    above, below = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    for axes, (direction, size) in zip(above.subplots(1, len(PLOTS)), PLOTS, strict=True):
        here = [one for one in found if one.direction == direction and one.size == size]
        _curves(axes, here)
        axes.set_title(f"{direction}, input of {size} pixels a side", fontsize=10)
    below.suptitle(
        "the photo after three layers down and three up, over the same frame; the cross marks "
        "the same place",
        fontsize=10,
    )
    panels = below.subplots(1, len(SHOWN) + 1)
    _detail(panels[0], None, 512)
    panels[0].set_title("input", fontsize=9)
    for axes, (name, size) in zip(panels[1:], SHOWN, strict=True):
        _detail(axes, name, size)
        axes.set_title(f"{name}, {size}", fontsize=9)
    save(figure, path, dpi=80)


def _curves(axes: "Axes", found: Sequence["alignment.Drift"]) -> None:
    for name in unique(one.name for one in found):
        line = [one for one in found if one.name == name]
        depths = [one.layers for one in line]
        (curve,) = axes.plot(depths, [one.predicted for one in line], label=name)
        axes.plot(depths, [one.blob for one in line], "o", color=curve.get_color())
    axes.set(xlabel="layers (line: predicted, dots: measured)", ylabel="drift in input pixels")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _detail(axes: "Axes", name: str | None, size: int) -> None:
    """A window of the photo of `size` pixels through a stack, over the frame of the original."""
    grid = ProjectedGrid.project((512, 512), (size, size))
    planes = resize(photo(None, 512), grid)[:, None]  # (3, 1, size, size)
    with torch.inference_mode():
        if name:
            chain = alignment.stacks("down and up")[name](size, alignment.DEPTH)
            planes = alignment.run(chain, planes)
    picture = planes[:, 0].clamp(0, 1).permute(1, 2, 0).numpy()
    axes.imshow(picture, extent=(-0.5, 511.5, 511.5, -0.5), interpolation="nearest")
    row, column = EYE
    axes.set(xlim=(column - WINDOW, column + WINDOW), ylim=(row + WINDOW, row - WINDOW))
    axes.axhline(row, color="w", linewidth=0.8)
    axes.axvline(column, color="w", linewidth=0.8)
    axes.set(xticks=[], yticks=[])
