"""Pictures of learned filters: surfaces, frequency responses, and a film over the scale."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from ccsr.analysis import kernels
from ccsr.evaluation.plots import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_SCALES = (1.5, 2.0, 4.0)
FILM_SCALES = (1.0, 8.0)


def draw(path: Path, layers: Sequence["kernels.Layer"], found: Sequence["kernels.Profile"]) -> None:
    """Write the strongest filters of each layer as surfaces, and the responses beside them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4 * len(layers)), layout="constrained")
    rows = figure.add_gridspec(len(layers), 2, width_ratios=(3, 1))
    for number, one in enumerate(layers):
        part = figure.add_subfigure(rows[number, 0])
        part.suptitle(f"{one.name}: filters over the offset, at a scale of 2", fontsize=10)
        surfaces = _surfaces(one, 2.0)
        for index, (label, values) in enumerate(surfaces.items(), 1):
            axes = part.add_subplot(1, len(surfaces), index, projection="3d")
            reach = one.layer.kernel_size / 2
            lattice = np.linspace(-reach, reach, len(values))
            axes.plot_surface(
                *np.meshgrid(lattice, lattice), values.numpy(), cmap="coolwarm", linewidth=0,
                antialiased=False, rstride=1, cstride=1,  # else faces differ and padding overflows
            )  # fmt: skip
            axes.set_title(label, fontsize=9)
            axes.tick_params(labelsize=6)
        _responses(figure.add_subplot(rows[number, 1]), one, found)
    save(figure, path, dpi=72)


def film(path: Path, layers: Sequence["kernels.Layer"]) -> None:
    """Write an animation: the last layer's strongest filters from a scale of 1 to 8 and back."""
    from matplotlib import colormaps

    one = layers[-1]
    low, high = (math.log(scale) for scale in FILM_SCALES)
    steps = [low + (high - low) * n / (kernels.FRAMES - 1) for n in range(kernels.FRAMES)]
    states = [_surfaces(one, math.exp(step), samples=24) for step in steps]
    largest = max(float(values.abs().max()) for state in states for values in state.values())
    frames = []
    for step, state in zip(steps, states, strict=True):
        row = np.concatenate([values.numpy() for values in state.values()], axis=1)
        colours = colormaps["coolwarm"](0.5 + row / (2 * largest))[..., :3]
        bar = np.full((6, row.shape[1], 3), 0.85)
        bar[:, : max(1, round((step - low) / (high - low) * row.shape[1]))] = 0.2
        pixels = (np.concatenate([colours, bar]) * 255).round().astype(np.uint8)
        frames.append(Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)))
    kernels.write_film(path, frames + frames[-2:0:-1])


def _surfaces(one: "kernels.Layer", scale: float, samples: int = 32) -> dict[str, Tensor]:
    """The strongest filters at a scale of 2, as they are at `scale`: label -> (Y, X)."""
    line = kernels.offsets(one.layer.kernel_size, samples)
    at_two = kernels.surface(one.layer, line, line, one.own_scale(2.0))
    values = kernels.surface(one.layer, line, line, one.own_scale(scale))
    return {
        f"output {o}, input {i}": values[:, :, o, i]
        for o, i in kernels.strongest(at_two, kernels.PAIRS)
    }


def _responses(axes: "Axes", one: "kernels.Layer", found: Sequence["kernels.Profile"]) -> None:
    for line in (p for p in found if p.layer == one.name and p.scale in SHOWN_SCALES):
        axes.plot(kernels.FREQUENCIES, line.response, label=f"learned, scale {line.scale:g}")
    for name, values in kernels.fixed_responses().items():
        axes.plot(kernels.FREQUENCIES, values, "--", label=name)
    axes.set(xlabel="cycles per input pixel", ylabel="mean amplitude response")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
