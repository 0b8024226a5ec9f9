"""One image enlarged by many factors: do the results agree?

Two questions. *Same positions*: an output of scale s and one of 3 s share positions, since
`(o + 1/2) / s = ((3 o + 1) + 1/2) / (3 s)`; there, how far apart are their values? A kernel that is
a function of the position alone gives the very same. A network that knows the scale need not: a
pixel of the larger output covers less. *Back*: reduced again (bicubic, antialiased) to the size
that it was made of, how far is a result from the input?
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from ccsr import image
from ccsr.analysis.findings import MODELS, Findings, Options, Table, photo
from ccsr.evaluation.methods import BICUBIC, LANCZOS, Method, build
from ccsr.evaluation.plots import save
from ccsr.evaluation.table import unique
from ccsr.grid import ProjectedGrid
from ccsr.metrics import psnr
from ccsr.protocols import by_name
from ccsr.resample import reduce_uint8, resize

SIDE = 128  # of the input, a photo of 512 pixels reduced
MARGIN = 4  # input pixels at each border that are not compared
SCALES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
SHARED = (1.0, 1.5, 2.0, 2.5, 3.0)  # compared with three times these
TIMES = 3
EXACT = 100.0  # dB: equal to float rounding


@dataclass(frozen=True)
class Agreement:
    """One method at one scale.

    Attributes:
        method: name.
        scale: output over input.
        same_positions: PSNR in dB between the values at this scale and those at `TIMES` it, at
            the positions that both have; None for scales where it was not measured.
        back: PSNR in dB between the result, reduced again, and the input.
    """

    method: str
    scale: float
    same_positions: float | None
    back: float


def side_at(scale: float, side: int) -> int:
    """The side in pixels of a square whose side is `side` at a scale of 1."""
    return round(side * scale)


def same_positions(method: Method, lr: Tensor, scale: float) -> float:
    """PSNR in dB between the values at `scale` and at `TIMES` it, at the positions of both.

    `lr` is uint8 (3, n, n), and `n * scale` a whole number.
    """
    side = side_at(scale, lr.shape[-1])
    few = method.upscale(lr, (side, side))
    many = method.upscale(lr, (TIMES * side, TIMES * side))
    middle = TIMES // 2
    return psnr(many[:, middle::TIMES, middle::TIMES], few, shave=round(MARGIN * scale))


def back(method: Method, lr: Tensor, scale: float) -> float:
    """PSNR in dB between the result at `scale`, reduced again, and `lr`, uint8 (3, n, n)."""
    side, n = side_at(scale, lr.shape[-1]), lr.shape[-1]
    enlarged = method.upscale(lr, (side, side))
    reduced = resize(enlarged, ProjectedGrid.project((side, side), (n, n)))
    return psnr(reduced, image.to_float(lr), shave=MARGIN)


def low_resolution(path: Path | None) -> Tensor:
    """The photo's middle 512 pixels reduced to `SIDE`: uint8 (3, SIDE, SIDE)."""
    hr = image.to_uint8(photo(path, 4 * SIDE))
    return reduce_uint8(hr, ProjectedGrid.project((4 * SIDE, 4 * SIDE), (SIDE, SIDE)))


def measure(methods: Sequence[Method], lr: Tensor) -> list[Agreement]:
    """Every method at every scale."""
    return [
        Agreement(
            method.name,
            scale,
            same_positions(method, lr, scale) if scale in SHARED else None,
            back(method, lr, scale),
        )
        for method in methods
        for scale in SCALES
    ]


def analyse(options: Options) -> Findings:
    """Measure how far the results of different scales agree, for `ccsr analyze consistency`."""
    names = [BICUBIC, LANCZOS]
    for model in options.models or MODELS:
        names += [f"{model}@4+lanczos", model]
    methods = build(names, by_name("liif-rgb"), precision="fp32", trust=options.trust)
    with torch.inference_mode():
        found = measure(methods, low_resolution(options.data))
    shared = [one for one in found if one.same_positions is not None]
    tables = [
        _table(
            f"Same positions at a scale and at {TIMES} times it: PSNR in dB",
            shared,
            [one.same_positions or 0.0 for one in shared],
        ),
        _table("Reduced back to the input: PSNR in dB", found, [one.back for one in found]),
    ]
    return Findings(
        tables,
        [asdict(one) for one in found],
        {"consistency.png": lambda path: draw(path, found)},
    )


def _table(title: str, found: Sequence[Agreement], values: Sequence[float]) -> Table:
    methods = unique(one.method for one in found)
    cell = {(one.method, one.scale): v for one, v in zip(found, values, strict=True)}
    lines = [
        [f"{scale:g}", *(decibel(cell[method, scale]) for method in methods)]
        for scale in unique(one.scale for one in found)
    ]
    return Table(title, [["scale", *methods], *lines])


def decibel(value: float) -> str:
    """PSNR for a table."""
    return "same" if value > EXACT else f"{value:.1f}"


def draw(path: Path, found: Sequence[Agreement]) -> None:
    """Write both measures over the scale; what is exact to rounding has no place in the plot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method in unique(one.method for one in found):
        line = [one for one in found if one.method == method]
        shared = [(o.scale, o.same_positions) for o in line if (o.same_positions or EXACT) < EXACT]
        label = method if shared else f"{method}: exact"
        left.plot([s for s, _ in shared], [p for _, p in shared], "o-", label=label)
        ends = [(one.scale, one.back) for one in line if one.back < EXACT]
        right.plot([s for s, _ in ends], [p for _, p in ends], "o-", label=method)
    left.set_title(f"the same positions at a scale and at {TIMES} times it", fontsize=10)
    right.set_title("reduced back to the input", fontsize=10)
    for axes in (left, right):
        axes.set(xlabel="scale", ylabel="PSNR in dB")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save(figure, path, dpi=80)
