"""What happens to a layer's output when its input moves.

If the input moves by d pixels, so should the output, by d times the scale: the value that was at
position p is now at p + d. A layer with a fixed set of phases can only show that where the output
moves by whole pixels; elsewhere its output has to be interpolated ("output moved"). A CC layer can
be read at any positions, so its claim can be tested at every shift ("read there").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ccsr.analysis.findings import MODELS, Findings, Options, Table, photo, relative_error
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.grid import Axis, ProjectedGrid
from ccsr.model import CCLayer, checkpoint
from ccsr.model.fields import CubicField, Field, FourierField
from ccsr.resample import resize

SIDE = 96  # of the input
WHOLE = tuple(float(n) for n in range(1, 9))
FRACTIONS = (0.25, 0.5, 0.75)
CHANNELS = 16
MARGIN = 32  # input pixels at each border that are not compared
MODEL_SCALES = (1.5, 2.0, 2.37, 3.0)
NOTHING = 1e-4  # relative errors below this are float rounding
HIGHEST = 0.2  # cycles per pixel in the band-limited image

READ_THERE = ", read there"

Read = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Subject:
    """A layer or network.

    Attributes:
        name: for tables.
        scale: output over input.
        read: (x (1, 3, n, n), d) -> the output, read d input pixels before its own positions.
        interpolates: whether a constant stays one. With random filters per phase it does not, and
            a shift by a fraction of a pixel would measure that alone.
    """

    name: str
    scale: float
    read: Read
    interpolates: bool = True


@dataclass(frozen=True)
class Error:
    """Relative error (rms) between the output of the moved input and what it should be."""

    name: str
    scale: float
    shift: float
    error: float


def convolution(kernel_size: int, stride: int, transposed: bool = False) -> Subject:
    """A convolution with random weights, whose output is moved by Lanczos."""
    shape = (3, CHANNELS) if transposed else (CHANNELS, 3)
    weight = torch.randn(*shape, kernel_size, kernel_size) / (3 * kernel_size**2) ** 0.5
    scale = float(stride) if transposed else 1 / stride

    def run(x: Tensor) -> Tensor:
        if transposed:
            rest = max(0, stride + 2 - kernel_size)  # for exactly `stride` times the size
            return F.conv_transpose2d(x, weight, None, stride, padding=1, output_padding=rest)
        return F.conv2d(x, weight, None, stride, padding=1)

    kind = f"x{stride} transposed convolution" if transposed else f"/{stride} strided convolution"
    read = _output_moved(run, scale)
    return Subject(f"{kind} {kernel_size}, output moved", scale, read, not transposed)


def continuous(scale: float, field: type[Field] = FourierField) -> list[Subject]:
    """A CC layer with random weights, read there and with its output moved."""
    layer = CCLayer(3, CHANNELS, 3 if field is FourierField else 4, field).requires_grad_(False)
    factor = f"x{scale:g}" if scale >= 1 else f"/{1 / scale:g}"
    kind = "random" if field is FourierField else "cubic"
    return _both(f"{factor} CC layer ({kind})", scale, layer, field is CubicField)


def network(name: str, scale: float, trust: Sequence[str] = ()) -> list[Subject]:
    """A trained network, read there and with its output moved."""
    model, _ = checkpoint.load(checkpoint.resolve(name), trust)
    return _both(f"x{scale:g} {name}", scale, model.requires_grad_(False))


def _both(
    name: str, scale: float, module: torch.nn.Module, interpolates: bool = True
) -> list[Subject]:
    read = partial(_read_there, module, scale)
    moved = _output_moved(lambda x: read(x, 0.0), scale)
    return [
        Subject(name + READ_THERE, scale, read, interpolates),
        Subject(f"{name}, output moved", scale, moved, interpolates),
    ]


def _read_there(module: torch.nn.Module, scale: float, x: Tensor, by: float) -> Tensor:
    size = math.floor(x.shape[-1] * scale + 0.5)
    axis = Axis.project(x.shape[-1], size, scale, "centred")
    there = Axis(size, scale, axis.origin - by)
    y: Tensor = module(x, ProjectedGrid(there, there))
    return y


def _output_moved(run: Callable[[Tensor], Tensor], scale: float) -> Read:
    def read(x: Tensor, by: float) -> Tensor:
        y = run(x)
        return resize(
            y, ProjectedGrid(*[Axis(n, 1.0, -by * scale) for n in y.shape[2:]]), "lanczos"
        )

    return read


def error(subject: Subject, still: Tensor, moved: Tensor, shift: float) -> float:
    """Relative error inside the borders; `moved` is `still` moved by `shift` pixels."""
    expected, got = subject.read(still, shift), subject.read(moved, 0.0)
    margin = math.ceil(MARGIN * subject.scale)
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    return relative_error(got[inside], expected[inside])


def moving_photo(path: Path | None) -> Callable[[float], Tensor]:
    """Shift (a whole number) -> a photo moved by it on both axes: (1, 3, SIDE, SIDE)."""
    room = int(max(WHOLE))
    picture = photo(path, SIDE + 2 * room)[None]

    def at(shift: float) -> Tensor:
        start = room - round(shift)
        return picture[..., start : start + SIDE, start : start + SIDE]

    return at


def moving_waves(count: int = 64) -> Callable[[float], Tensor]:
    """Any shift -> a sum of waves of up to `HIGHEST` cycles per pixel, moved exactly."""
    generator = torch.Generator().manual_seed(0)
    frequency = torch.rand(2, count, generator=generator, dtype=torch.float64) * 2 - 1
    phase = torch.rand(3, count, generator=generator, dtype=torch.float64)

    def at(shift: float) -> Tensor:
        position = torch.arange(SIDE, dtype=torch.float64) - shift
        row, column = (position[:, None] * HIGHEST * each for each in frequency)
        angle = row[:, None] + column + phase[:, None, None]  # (3, SIDE, SIDE, count)
        waves: Tensor = torch.cos(2 * math.pi * angle).mean(-1)
        return (0.5 + waves)[None].float()

    return at


def subjects(models: Sequence[str], trust: Sequence[str] = ()) -> list[Subject]:
    """What is measured: layers with random weights, and trained networks."""
    torch.manual_seed(0)
    found = [convolution(3, 2), convolution(4, 2), convolution(3, 3)]
    for scale in (1 / 2, 1 / 3, 1 / 1.7):
        found += continuous(scale)
    found += continuous(1 / 2, CubicField) + continuous(1 / 1.7, CubicField)
    found += [convolution(3, 2, transposed=True), convolution(4, 2, transposed=True)]
    for scale in (2.0, 3.0, 2.37):
        found += continuous(scale)
    found += continuous(2.37, CubicField)
    for model in models:
        for scale in MODEL_SCALES:
            found += network(model, scale, trust)
    return found


def analyse(options: Options) -> Findings:
    """Measure what layers and networks do when their input moves."""
    images = [(WHOLE, moving_photo(options.data)), (FRACTIONS, moving_waves())]
    with torch.inference_mode():
        found = [
            Error(one.name, one.scale, shift, error(one, at(0.0), at(shift), shift))
            for one in subjects(options.models or MODELS, options.trust)
            for shifts, at in images
            for shift in shifts
            if shifts == WHOLE or one.interpolates
        ]
    lines = [["layer", *(f"{shift:g}" for shift in (*WHOLE, *FRACTIONS))]]
    for name in unique(one.name for one in found):
        cells = [_percent(one.error) for one in found if one.name == name]
        lines.append([name, *cells, *["-"] * (len(lines[0]) - 1 - len(cells))])
    table = Table(
        "Error in percent when the input moves by so many pixels (whole: a photo, fractions: a "
        f"band-limited image); 0 is below {100 * NOTHING:g}, float rounding",
        lines,
    )
    return Findings(
        [table],
        [asdict(one) for one in found],
        {"equivariance.webp": lambda path: draw(path, found)},
    )


def draw(path: Path, found: Sequence[Error]) -> None:
    """Write the errors over the shift, layers that reduce and those that enlarge apart."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    halves = [[e for e in found if e.scale < 1], [e for e in found if e.scale > 1]]
    for axes, half, title in zip(figure.subplots(1, 2), halves, ("down", "up"), strict=True):
        label: str | None = "all CC layers and networks, read there"
        for name in unique(one.name for one in half):
            line = [one for one in half if one.name == name and one.shift in WHOLE]
            shifts, errors = [one.shift for one in line], [100 * one.error for one in line]
            if name.endswith(READ_THERE):
                axes.plot(shifts, errors, "k-", linewidth=3, label=label)
                label = None
            else:
                axes.plot(shifts, errors, "--", marker="o", label=name)
        axes.set(title=title, xlabel="shift in input pixels", ylabel="error in percent")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    save(figure, path, dpi=80)


def _percent(value: float) -> str:
    return "0" if value < NOTHING else f"{100 * value:.2g}"
