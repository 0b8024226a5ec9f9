"""The results as pictures: PSNR over scale, and crops of where a network gains and loses most.

matplotlib is imported when a picture is drawn, not before: evaluating needs it for nothing else.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ccsr.atomic import replacing
from ccsr.evaluation.results import Mean
from ccsr.evaluation.table import spell, unique
from ccsr.grid import Pair, Size
from ccsr.terminal import shown_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")
CROP = 96
"""Side of a crop in high-resolution pixels."""


@dataclass(frozen=True)
class Crops:
    """The same part of an image in all its versions.

    Attributes:
        title: names the image.
        gain: dB by which the first network is above bicubic on the whole image.
        panels: (caption, float image (C, H, W)); the first is the LR image, the last HR.
    """

    title: str
    gain: float
    panels: tuple[tuple[str, Tensor], ...]


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def detailed_window(hr: Tensor, size: int = CROP) -> tuple[slice, slice]:
    """Rows and columns of the square of at most `size` pixels with the steepest differences.

    Args:
        hr: (C, H, W), float.
        size: side of the square.
    """
    height, width = min(size, hr.shape[-2]), min(size, hr.shape[-1])
    grey = F.pad(hr.mean(0, keepdim=True), (0, 1, 0, 1), mode="replicate")  # (1, H+1, W+1)
    steepness = grey.diff(dim=-1)[:, :-1].abs() + grey.diff(dim=-2)[..., :-1].abs()  # (1, H, W)
    sums = F.pad(steepness[0].double().cumsum(0).cumsum(1), (1, 0, 1, 0))  # (H+1, W+1)
    strips = sums[height:] - sums[:-height]
    energy = strips[:, width:] - strips[:, :-width]  # of every window, by its top left corner
    top, left = divmod(int(energy.argmax()), energy.shape[1])
    return slice(top, top + height), slice(left, left + width)


def nearest(lr: Tensor, size: Size, window: tuple[slice, slice]) -> Tensor:
    """The part `window` of `lr` (C, h, w) enlarged to `size` by repeating pixels."""
    rows, columns = (
        torch.arange(part.start, part.stop) * n // whole
        for part, n, whole in zip(window, lr.shape[-2:], size, strict=True)
    )
    return lr[:, rows[:, None], columns]


def draw_curve(path: Path, rows: Sequence[Mean]) -> None:
    """Write PSNR over scale, one plot per test set and protocol and one line per model.

    Integer scales have large marks. Anisotropic pairs have no place among the scales: they
    stand to the right, behind a dotted line, as open squares.
    """
    from matplotlib.figure import Figure

    plots = unique((row.testset, row.protocol) for row in rows)
    columns = min(2, len(plots))
    lines = -(-len(plots) // columns)
    figure = Figure(figsize=(7 * columns, 4.5 * lines), layout="constrained")
    for index, (testset, protocol) in enumerate(plots, 1):
        axes = figure.add_subplot(lines, columns, index)
        here = [row for row in rows if (row.testset, row.protocol) == (testset, protocol)]
        places = _places(unique(row.scale for row in here))
        for number, model in enumerate(unique(row.model for row in here)):
            _draw_model(axes, [row for row in here if row.model == model], places, f"C{number}")
        singles = [places[scale] for scale in places if scale[0] == scale[1]]
        if 0 < len(singles) < len(places):
            axes.axvline(max(singles) + 0.4, color="0.5", linestyle=":")
        axes.set(title=testset, xlabel="scale", ylabel=f"PSNR in dB ({protocol})")
        labels = [spell(scale).replace(" x ", " x\n") for scale in places]
        axes.set_xticks(list(places.values()), labels, fontsize=7)
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, path)


def _places(scales: Sequence[Pair]) -> dict[Pair, float]:
    """Horizontal position of each scale: itself, or one after another at the right for pairs."""
    singles = sorted(scale for scale in scales if scale[0] == scale[1])
    pairs = [scale for scale in scales if scale[0] != scale[1]]
    end = singles[-1][0] if singles else 0.0
    return {scale: scale[0] for scale in singles} | {
        scale: end + 0.8 * (i + 1) for i, scale in enumerate(pairs)
    }


def _draw_model(
    axes: "Axes", rows: Sequence[Mean], places: Mapping[Pair, float], colour: str
) -> None:
    line = sorted((places[r.scale], r.scores.psnr) for r in rows if r.scale[0] == r.scale[1])
    pairs = [(places[r.scale], r.scores.psnr) for r in rows if r.scale[0] != r.scale[1]]
    axes.plot([x for x, _ in line], [y for _, y in line], color=colour, label=rows[0].model)
    for x, y in line:
        axes.plot(x, y, "o", color=colour, markersize=7 if float(x).is_integer() else 3)
    for x, y in pairs:
        axes.plot(x, y, "s", color=colour, fillstyle="none")


def extremes(gains: Mapping[T, float]) -> list[tuple[T, float]]:
    """The two of highest gain and the two of lowest, with their gains in dB, falling."""
    ranked = sorted(gains.items(), key=lambda item: item[1], reverse=True)
    return ranked if len(ranked) <= 4 else ranked[:2] + ranked[-2:]


def draw_crops(path: Path, shown: Sequence[Crops], scale: Pair) -> None:
    """Write crops of images, one row each."""
    from matplotlib.figure import Figure

    columns = len(shown[0].panels)
    figure = Figure(figsize=(2.4 * columns, 2.7 * len(shown) + 0.5), layout="constrained")
    figure.suptitle(f"Scale {spell(scale)}: images of most and least gain over bicubic, in dB")
    for i, one in enumerate(shown):
        for j, (caption, picture) in enumerate(one.panels):
            axes = figure.add_subplot(len(shown), columns, i * columns + j + 1)
            pixels = picture.expand(3, -1, -1).clamp(0, 1).permute(1, 2, 0).numpy()
            axes.imshow(pixels, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(caption, fontsize=8)
            if j == 0:
                axes.set_ylabel(f"{one.title}\n{one.gain:+.2f} dB", fontsize=8)
    save(figure, path)


def save(figure: "Figure", path: Path, dpi: int = 150) -> None:
    """Write `figure` in the format of the suffix (.png, .webp), whole or not at all.

    Texts stand there as they are: names of files and models may hold anything, `$` too.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text(shown_lines(text.get_text()))
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=dpi)
