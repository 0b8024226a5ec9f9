"""Heads of other papers beside ours: one encoder, the same photos, batches, steps and seed.

Each head is trained by `ccsr train` in a folder of its own, where a run that was cut short goes on
and one that is finished is not trained again; or finished runs are given. Only the head differs.
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from ccsr import image
from ccsr.analysis import consistency
from ccsr.analysis.borders import bends, border_ratio
from ccsr.analysis.findings import Findings, Options, photo
from ccsr.analysis.scoring import PROTOCOL, Bicubic, Enlarger, one_thread, read_photos, score
from ccsr.analysis.training import trained
from ccsr.bundled import resource_dir
from ccsr.device import choose_device
from ccsr.evaluation.methods import BICUBIC, Method
from ccsr.grid import Pair, ProjectedGrid, Size, size_of
from ccsr.model import Network, checkpoint
from ccsr.model.network import parts_of
from ccsr.training.speed import multiply_adds
from ccsr.upscaling.upscaler import Upscaler

PRESETS = {"friendly": "light", "liif": "liif", "lte": "lte", "metasr": "metasr", "thera": "thera"}
ENCODERS = {  # settings of what is beside the head
    "light": (),
    "small": (
        "model.encoder.channels=32", "model.encoder.blocks=3", "data.patch=16", "data.batch_size=6",
    ),
}  # fmt: skip
NARROW = ("model.stack.hidden=128",)  # beside 32 channels; the papers have 256 beside 64
HEADS: dict[str, dict[str, tuple[str, ...]]] = {  # settings of each head, by encoder
    "light": dict.fromkeys(PRESETS, ()),
    "small": {"friendly": (), "liif": NARROW, "lte": NARROW, "metasr": NARROW, "thera": ()},
}
TRAINING = (
    "data=folder", "data.val.images=4", "data.val.crop=192", "callbacks.checkpoints.minutes=1",
)  # fmt: skip
SCALES: tuple[Pair, ...] = (
    *((s, s) for s in (1.5, 2.0, 2.37, 3.0, 4.0, 6.0, 8.0, 12.0)), (1.5, 4.0), (4.0, 1.5),
)  # fmt: skip
CROP = 288  # pixels a side of the images that are measured on: whole at nearly all scales
COUNTED: tuple[Size, Size] = (60, 80), (240, 320)  # for which multiply-adds are counted
TIMED: tuple[Size, Size] = (270, 480), (1080, 1920)
REPEATS, PATIENCE = 3, 20.0  # what has taken so many seconds is not timed again
AGREES, RETURNS = 2.0, 4.0  # scales of both measures of consistency
FACTOR, SIDE = 10, 96  # at which cells are looked for, in photos of so many pixels a side
BORDERS = ("astronaut.png", "coffee.png")


@dataclass(frozen=True)
class Head:
    """What was found of one head.

    Attributes:
        name: of the head, or bicubic.
        steps: of its training; None for bicubic, and where the file does not say.
        parameters: of the whole network.
        weights: of the head, the network without its encoder.
        multiply_adds: thousands per output pixel of a factor of 4, of convolutions and matrix
            products.
        seconds: from 480x270 to 1920x1080, tensor to tensor, in float32, on one thread of the
            processor if there is no GPU.
        same_positions: dB, see `ccsr.analysis.consistency`, at a scale of 2 against 6.
        back: dB, likewise, at 4.
        borders: how much cell borders bend at 10, over the median within cells.
        anywhere: that of the places within a cell that bend most.
        psnr: dB at each of `SCALES`, mean over the images.
    """

    name: str
    steps: int | None
    parameters: int
    weights: int
    multiply_adds: float
    seconds: float
    same_positions: float
    back: float
    borders: float
    anywhere: float
    psnr: tuple[float, ...]


def analyse(options: Options) -> Findings:
    """Compare the heads, for `ccsr analyze heads`.

    Raises:
        ValueError: without photos to train on or finished runs, or for runs on other encoders.
    """
    from ccsr.analysis.head_pictures import draw, tables

    photos = read_photos(options.test, options.limit, CROP, SCALES)
    files = given(options.models) if options.models else _trained(options)
    networks = {name: checkpoint.load(file, options.trust) for name, file in files.items()}
    _check_encoders({name: network for name, (network, _) in networks.items()})
    counted = {name: sizes(network) for name, (network, _) in networks.items()}
    enlargers: dict[str, Enlarger] = {BICUBIC: Bicubic()}
    enlargers |= {n: Upscaler(network, precision="fp32") for n, (network, _) in networks.items()}
    with torch.inference_mode():
        times = seconds(enlargers)
        found = []
        for name, enlarger in enlargers.items():
            _, summary = networks.get(name, (None, {}))
            psnr = tuple(fmean(score(enlarger, hr, s)[0] for hr in photos) for s in SCALES)
            found.append(
                Head(
                    name,
                    summary.get("max_steps"),
                    *counted.get(name, (0, 0, 0.0)),
                    times[name],
                    *agreement(name, enlarger),
                    *cells(enlarger),
                    psnr,
                )
            )
    records = [{"protocol": PROTOCOL, "images": len(photos), **asdict(one)} for one in found]
    shown = tables(found, SCALES, len(photos))
    return Findings(shown, records, {"heads.png": lambda path: draw(path, found, SCALES)})


def _trained(options: Options) -> dict[str, Path]:
    """The file of every head, trained if it is not yet."""
    if options.data is None or options.out is None:
        raise ValueError(
            "heads trains networks: give --data FOLDER with photos to train on and --out DIR for "
            "the runs, or finished runs by --model"
        )
    runs = options.out / "runs"
    settings = [
        *TRAINING, *ENCODERS[options.encoder], f"data.root={options.data}",
        f"data.cache={runs / 'cache'}", f"trainer.max_steps={options.steps}",
        f"trainer.val_check_interval={options.steps}",
    ]  # fmt: skip
    return {
        name: trained(
            [f"model={PRESETS[name]}", *own, *settings],
            runs / f"{options.encoder}_{name}_steps_{options.steps}",
        )
        for name, own in HEADS[options.encoder].items()
    }


def given(models: Sequence[str]) -> dict[str, Path]:
    """The file of each run's folder, model's name or file."""
    return {checkpoint.called(model): checkpoint.resolve(model) for model in models}


def _check_encoders(networks: dict[str, Network]) -> None:
    """Raise ValueError unless all networks have one encoder and base."""
    kinds = {
        name: {key: network.architecture.get(key) for key in ("encoder", "base")}
        for name, network in networks.items()
    }
    (first, expected), *rest = kinds.items()
    for name, kind in rest:
        if kind != expected:
            raise ValueError(
                f"heads compares networks that differ in the head alone, but {name} has {kind}, "
                f"and {first} {expected}: `ccsr evaluate` compares any"
            )


def sizes(network: Network) -> tuple[int, int, float]:
    """Parameters of the network and of its head, and thousands of multiply-adds an output pixel.

    Args:
        network: on the CPU.
    """
    whole, encoder = (
        sum(p.numel() for p in part.parameters()) for part in (network, parts_of(network).encoder)
    )
    return whole, whole - encoder, multiply_adds(network, *COUNTED) / 1000 / math.prod(COUNTED[1])


def seconds(enlargers: dict[str, Enlarger]) -> dict[str, float]:
    """Each one's fastest time for `TIMED`, in rounds in which all take turns."""
    (height, width), target = TIMED
    x = photo(None, width)[:, :height]
    grid = ProjectedGrid.project((height, width), target)
    taken: dict[str, list[float]] = {name: [] for name in enlargers}
    on_cpu = choose_device("auto").type == "cpu"
    with one_thread() if on_cpu else nullcontext(time.perf_counter) as clock:
        for _ in range(REPEATS):
            for name, enlarger in enlargers.items():
                if sum(taken[name]) < PATIENCE:
                    start = clock()
                    enlarger.tensor(x, grid=grid)
                    taken[name].append(clock() - start)
    return {name: min(times) for name, times in taken.items()}


def agreement(name: str, enlarger: Enlarger) -> tuple[float, float]:
    """Both measures of consistency, in dB."""

    def upscale(lr: Tensor, size: Size) -> Tensor:
        grid = ProjectedGrid.project(size_of(lr), size)
        return enlarger.tensor(image.to_float(lr), grid=grid)

    method, lr = Method(name, upscale), consistency.low_resolution(None)
    return (
        consistency.same_positions(method, lr, AGREES),
        consistency.back(method, lr, RETURNS),
    )


def cells(enlarger: Enlarger) -> tuple[float, float]:
    """How much cell borders, and what bends most, bend over the median within cells."""
    folder = resource_dir("samples")
    bent = bends(enlarger, [photo(folder / name, SIDE) for name in BORDERS], FACTOR)
    return border_ratio(bent)[1], float((bent.max(1).values / bent.median(1).values).max())
