"""Time against PSNR: what each method takes for an image, and what it gives in that time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import liif, others
from benchmarks.cases import BFLOAT16
from ccsr import Upscaler
from ccsr.analysis.heads import given
from ccsr.analysis.scoring import Bicubic, Enlarger, in_turns, middle, one_thread
from ccsr.device import has_native_bfloat16
from ccsr.evaluation.methods import BICUBIC, LANCZOS
from ccsr.grid import ProjectedGrid
from ccsr.image import read_rgb
from ccsr.model.checkpoint import digest, load, shipped
from ccsr.resample import resize
from ccsr.training.photos import find_images

PROTOCOL = "benchmark-y"
SCALES = (2.0, 4.0)
CROP = 512  # of each image at most its middle
ALSO = ("light", "base")  # in bfloat16 too, and averaged over flips
FIXED, OURS, HEADS, OTHERS = "fixed kernels", "ccsr", "LIIF, given runs", "other networks"
MARKERS = {FIXED: "s", OURS: "o", HEADS: "^", OTHERS: "x"}
Found = dict[str, Any]


class Contender(NamedTuple):
    """A method that takes part: its name, its kind, and the one factor it can do, if only one."""

    name: str
    kind: str
    enlarger: Enlarger
    factor: float | None = None


class Lanczos:
    """Enlarges with Lanczos' kernel."""

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        """(C, h, w) -> (C, H, W), clamped."""
        return resize(x, grid, "lanczos").clamp_(0, 1)


def contenders(
    models: Sequence[str], folder: Path | None, say: Callable[[str], None]
) -> list[Contender]:
    """All methods: fixed kernels, ours, LIIF, what `models` names, what lies in `folder`."""
    found = [Contender(BICUBIC, FIXED, Bicubic()), Contender(LANCZOS, FIXED, Lanczos())]
    for name, path in shipped().items():
        for effort in (efforts := load(path)[0].efforts):
            label = f"{name} at {effort:.2f}" if len(efforts) > 1 else name
            found.append(Contender(label, OURS, _ours(path, effort=effort)))
    for name in ALSO:
        found.append(Contender(f"{name}+flips", OURS, _ours(name, ensemble="flips")))
        if has_native_bfloat16(torch.device("cpu")):
            found.append(Contender(name + BFLOAT16, OURS, _ours(name, precision="bf16")))
    peer, official = liif.load()
    if official:
        found.append(Contender("LIIF", HEADS, peer))
    else:
        say("left out LIIF, whose weights are not found: see benchmarks/README.md")
    found += [Contender(name, HEADS, _ours(path)) for name, path in given(models).items()]
    if folder is not None:
        fixed = others.load(folder, say)
        found += [Contender(name, OTHERS, each, each.factor) for name, each in fixed.items()]
    return found


def _ours(name: str | Path, **options: Any) -> Upscaler:
    return Upscaler.load(name, **{"device": "cpu", "precision": "fp32", **options})


def measure(
    data: Path | None,
    models: Sequence[str],
    folder: Path | None,
    rounds: int,
    say: Callable[[str], None],
) -> Found:
    """PSNR and seconds of every method at every scale, mean over the images.

    Args:
        data: folder of images; None for those that come with ccsr.
        models: further networks of ours or with other heads: names, files or runs.
        folder: of weights for other packages, see `benchmarks.others`.
        rounds: in which all take turns on each image; the fastest counts.
        say: called with what is done.
    """
    photos = [middle(read_rgb(path), CROP) for path in find_images(data)]
    entries = contenders(models, folder, say)
    points = []
    for scale in SCALES:
        able = [each for each in entries if each.factor in (None, scale)]
        enlargers = [each.enlarger for each in able]
        with one_thread() as clock:
            taken = in_turns(enlargers, photos, scale, rounds, PROTOCOL, clock)
        points += [
            {"name": c.name, "kind": c.kind, "scale": scale, "psnr": psnr, "seconds": seconds}
            for c, (psnr, seconds) in zip(able, taken, strict=True)
        ]
        say(f"x{scale:g} done: {len(able)} methods on {len(photos)} images")
    name = data.name if data else "bundled"
    return {
        "threads": 1, "rounds": rounds, "images": len(photos), "data": name, "points": points,
        "weights": weights(),
    }  # fmt: skip


def weights() -> dict[str, str]:
    """The SHA-256 of the file of each shipped network."""
    return {name: digest(path) for name, path in shipped().items()}


def older(found: Found) -> list[str]:
    """Lines that say which of the networks that were measured have other weights today."""
    now = weights()
    names = [f"`{name}`" for name, was in found["weights"].items() if now.get(name) != was]
    return ["", f"Measured before the weights of today: {', '.join(names)}."] if names else []


def better(point: Found, points: Sequence[Found]) -> list[str]:
    """Names of those that are both faster and better at the same scale."""
    return [
        each["name"]
        for each in points
        if each["scale"] == point["scale"]
        and each["seconds"] < point["seconds"]
        and each["psnr"] > point["psnr"]
    ]


def section(found: Found) -> list[str]:
    """Lines of RESULTS.md."""
    points = found["points"]
    lines = [
        f"{found['images']} images ({found['data']}; of each at most the middle {CROP} pixels a "
        f"side), protocol `{PROTOCOL}`, tensor to tensor, in float32 unless said; all take turns "
        f"on each image in {found['rounds']} rounds, and the fastest counts. Milliseconds of "
        "the processor for an image, on one thread, so that other work hardly matters:",
        "",
        "![Time against PSNR](front.png)",
        "",
        "| scale | method | PSNR, dB | ms | both faster and better |",
        "|---:|---|---:|---:|---|",
    ]
    for point in sorted(points, key=lambda each: (each["scale"], each["seconds"])):
        name = f"`{point['name']}`" if point["kind"] == OURS else point["name"]
        cells = (
            f"{point['scale']:g}",
            name,
            f"{point['psnr']:.2f}",
            f"{1000 * point['seconds']:.1f}",
            "; ".join(better(point, points)) or "none",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines + older(found)


def draw(path: Path, found: Found) -> None:
    """Write a plot for each scale, and the front through what nothing else beats."""
    scales = list(dict.fromkeys(point["scale"] for point in found["points"]))
    figure = Figure(figsize=(6.5 * len(scales), 5), layout="constrained")
    for number, scale in enumerate(scales, 1):
        axes = figure.add_subplot(1, len(scales), number)
        here = [point for point in found["points"] if point["scale"] == scale]
        for kind, marker in MARKERS.items():
            own = [(1000 * p["seconds"], p["psnr"]) for p in here if p["kind"] == kind]
            if own:
                axes.plot(*zip(*own, strict=True), marker, label=kind)
        front = sorted((1000 * p["seconds"], p["psnr"]) for p in here if not better(p, here))
        axes.step(*zip(*front, strict=True), "k:", where="post", linewidth=0.8)
        for point in here:
            place = 1000 * point["seconds"], point["psnr"]
            axes.annotate(
                point["name"], place, xytext=(4, -8), textcoords="offset points", fontsize=7
            )
        axes.set(
            xscale="log",
            title=f"x{scale:g}",
            xlabel="milliseconds of the processor an image",
            ylabel="PSNR in dB",
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=90)
