"""The learned filters as what they are: continuous surfaces over the offset.

A CC layer's filter W(d; s) is a function of the offset d to an input pixel and of the scale s. It
is evaluated here on a fine lattice of offsets, far finer than any grid that the layer reads.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ccsr.analysis.findings import MODELS, Findings, Options, Table
from ccsr.atomic import replacing
from ccsr.grid import ProjectedGrid
from ccsr.model import CCSR, CCLayer, checkpoint
from ccsr.model.network import parts_of
from ccsr.model.stack import grid_to_grid
from ccsr.resample import cubic, lanczos

SAMPLES = 64  # per input pixel
SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
FREQUENCIES = torch.linspace(0, 2, 129, dtype=torch.float64)  # cycles per input pixel
PAIRS = 4  # channel pairs that are shown
FRAMES = 24  # of the animation, from a scale of 1 to 8 and back
_INPUT = 64  # pixels; any size would do, only ratios of sizes count


@dataclass(frozen=True)
class Layer:
    """One CC layer of a network.

    Attributes:
        name: of the network and its number in it.
        layer: itself.
        own_scale: scale of the network -> (vertical, horizontal) that this layer works at.
    """

    name: str
    layer: CCLayer
    own_scale: Callable[[float], tuple[float, float]]


def offsets(kernel_size: int, samples: int = SAMPLES) -> Tensor:
    """Offsets over the whole support, (K * samples,) at the middles of equal cells."""
    count = kernel_size * samples
    return (torch.arange(count, dtype=torch.float64) + 0.5) / samples - kernel_size / 2


def surface(layer: CCLayer, dy: Tensor, dx: Tensor, scale: tuple[float, float]) -> Tensor:
    """The filter at the product of offsets along two axes.

    Args:
        layer: of which the filter is.
        dy: vertical (stretched) offsets (Y,), in input pixels.
        dx: horizontal ones (X,).
        scale: (vertical, horizontal) of the layer.

    Returns:
        (Y, X, C_out, C_in).
    """
    like = layer.weight
    functions = layer.field(dy.to(like)[:, None], dx.to(like)[:, None], scale)
    return layer.filters(functions)[:, :, 0, 0]


def response(profile: Tensor, positions: Tensor, frequency: Tensor) -> Tensor:
    """Size of the Fourier transform of a sampled function.

    Args:
        profile: (n, ...) values at `positions`.
        positions: (n,), evenly spaced.
        frequency: (f,) in cycles per unit of `positions`.

    Returns:
        (f, ...).
    """
    angle = 2 * math.pi * frequency[:, None] * positions
    waves = torch.polar(torch.ones_like(angle), -angle)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    flat = profile.reshape(len(profile), -1).to(waves)
    return (waves @ flat * step).abs().reshape(-1, *profile.shape[1:])


def layers_of(name: str, trust: Sequence[str] = ()) -> list[Layer]:
    """The CC layers of a shipped network or a file, first to last."""
    model = parts_of(checkpoint.load(checkpoint.resolve(name), trust)[0])
    model.requires_grad_(False)
    found = [
        Layer(f"{name}, CC layer {number + 1}", layer, partial(_own_scale, model, number))
        for number, layer in enumerate(model.stack.layers)
        if isinstance(layer, CCLayer)
    ]
    if not found:
        raise ValueError(f"{name} has no CC layers to look at: take another model")
    return found


def _own_scale(model: CCSR, number: int, scale: float) -> tuple[float, float]:
    size = (_INPUT, _INPUT)
    side = round(_INPUT * scale)
    grid = ProjectedGrid.project(size, (side, side), scale, "centred")
    return grid_to_grid((*model.route(size, grid), grid))[number + 1].scale


def strongest(values: Tensor, count: int) -> list[tuple[int, int]]:
    """(output, input) channels of the filters (..., C_out, C_in) with the largest squares."""
    energy = values.square().flatten(0, -3).sum(0)
    order = energy.flatten().argsort(descending=True)[:count]
    return [divmod(int(each), energy.shape[1]) for each in order]


@dataclass(frozen=True)
class Profile:
    """One layer at one scale of the network.

    Attributes:
        layer: name.
        scale: of the network; `own_scale` is the layer's own.
        own_scale: horizontal.
        spread: rms distance of the filters' energy from the middle, in input pixels.
        half_power: frequency, in cycles per input pixel, above which the mean power response to
            horizontal waves stays below half of its largest value.
        change: of all filters against those at a network scale of 2, relative (rms).
        response: mean amplitude response over `FREQUENCIES`, its largest value 1.
    """

    layer: str
    scale: float
    own_scale: float
    spread: float
    half_power: float
    change: float
    response: tuple[float, ...]


def profile(one: Layer, scale: float, reference: Tensor) -> Profile:
    """Measure `one` at a scale of the network; `reference` is its surface at 2."""
    line = offsets(one.layer.kernel_size, 16)
    own = one.own_scale(scale)
    values = surface(one.layer, line, line, own).double()
    squares = values.square().sum((2, 3))
    distance = (line[:, None].square() + line.square()) * squares
    waves = response(values.sum(0) / 16, line, FREQUENCIES)  # summed over dy: horizontal waves
    power = waves.square().mean((1, 2))
    above = (power >= power.max() / 2).nonzero()
    return Profile(
        one.name,
        scale,
        own[1],
        spread=float((distance.sum() / squares.sum()).sqrt()),
        half_power=float(FREQUENCIES[int(above.max())]),
        change=float(((values - reference).square().sum() / reference.square().sum()).sqrt()),
        response=tuple((power / power.max()).sqrt().tolist()),
    )


def fixed_responses() -> dict[str, Tensor]:
    """Amplitude responses of the resize kernels over `FREQUENCIES`."""
    line = offsets(6)
    kernels = {"bicubic": cubic(line), "Lanczos": lanczos(line)}
    return {name: response(kernel, line, FREQUENCIES) for name, kernel in kernels.items()}


def analyse(options: Options) -> Findings:
    """Show the learned filters of the networks that the flags of `ccsr analyze kernels` name."""
    from ccsr.analysis.kernel_pictures import draw, film

    found: list[Profile] = []
    pictures: dict[str, Callable[[Path], None]] = {}
    for model in options.models or MODELS:
        parts = layers_of(model, options.trust)
        for one in parts:
            line = offsets(one.layer.kernel_size, 16)
            reference = surface(one.layer, line, line, one.own_scale(2.0)).double()
            found += [profile(one, scale, reference) for scale in SCALES]
        stem = f"kernels-{checkpoint.called(model)}"
        pictures[f"{stem}.webp"] = partial(draw, layers=parts, found=tuple(found))
        pictures[f"{stem}-over-scale.webp"] = partial(film, layers=parts)
    lines = [["layer", "scale", "own scale", "spread", "half power", "change"]]
    for p in found:
        numbers = f"{p.scale:g}", f"{p.own_scale:.3g}", f"{p.spread:.3f}", f"{p.half_power:.2f}"
        lines.append([p.layer, *numbers, f"{100 * p.change:.0f} %"])
    for name, values in fixed_responses().items():
        half = float(FREQUENCIES[int((values >= 0.5**0.5).nonzero().max())])
        lines.append([name, "-", "-", "-", f"{half:.2f}", "-"])
    title = (
        "Learned filters: spread in input pixels; half power in cycles per input pixel; change "
        "against the network's scale of 2"
    )
    records: list[Mapping[str, object]] = [vars(each) for each in found]
    return Findings([Table(title, lines)], records, pictures)


def write_film(path: Path, frames: Sequence[Image.Image]) -> None:
    """Write an animation that repeats, in the format of the suffix, whole or not at all."""
    stream = io.BytesIO()
    first, *rest = frames
    first.save(
        stream, path.suffix[1:].upper(), save_all=True, append_images=rest,
        duration=120, loop=0, quality=60,
    )  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_bytes(stream.getvalue())
