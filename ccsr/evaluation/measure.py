"""Measuring: every method on every image at every scale, by one protocol."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ccsr import image
from ccsr.evaluation.methods import BICUBIC, Method
from ccsr.evaluation.plots import Crops, detailed_window, nearest
from ccsr.evaluation.results import LeftOut, Record, Scores
from ccsr.evaluation.testsets import TestSet, low_resolution
from ccsr.grid import Pair, scale_text, size_of
from ccsr.image.degrade import Degrade
from ccsr.protocols import EvaluationProtocol

Distance = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True)
class Comparison:
    """What to compare with what.

    Attributes:
        methods: contenders.
        scales: (vertical, horizontal) each.
        protocol: how.
        lr: folder of given low-resolution images; None to make them by the protocol.
        lpips: see `metrics.load_lpips`; None to leave it out.
        degrade: what LR images go through; None for nothing.
        crop_scale: the scale at which crops are kept (bicubic must be a method); None for none.
    """

    methods: Sequence[Method]
    scales: Sequence[Pair]
    protocol: EvaluationProtocol
    lr: Path | None = None
    lpips: Distance | None = None
    degrade: Degrade | None = None
    crop_scale: Pair | None = None


@dataclass
class Findings:
    """Everything found; of an image in `left_out` there are no records and no crops."""

    records: list[Record] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    crops: list[Crops] = field(default_factory=list)


def measure(
    comparison: Comparison,
    images: Sequence[tuple[TestSet, str]],
    progress: Callable[[int], None] = lambda done: None,
    complain: Callable[[LeftOut, Exception], None] = lambda left_out, error: None,
) -> Findings:
    """Measure every method on every image at every scale.

    An image with which anything fails (it cannot be read, it is too small for a scale, its
    low-resolution partner is missing) is left out of every mean alike.

    Args:
        comparison: what to do.
        images: (test set, key) each.
        progress: called with the number of images done, after each.
        complain: called at once with an image that is left out, and why.
    """
    findings = Findings()
    for done, (testset, key) in enumerate(images, 1):
        try:
            records, crops = _measure_image(comparison, testset, key)
        except (OSError, ValueError, RuntimeError) as error:
            findings.left_out.append(LeftOut(testset.name, key, str(error)))
            complain(findings.left_out[-1], error)
        else:
            findings.records += records
            findings.crops += crops
        progress(done)
    return findings


def _measure_image(
    comparison: Comparison, testset: TestSet, key: str
) -> tuple[list[Record], list[Crops]]:
    records: list[Record] = []
    crops: list[Crops] = []
    pictures: dict[Path, Tensor] = {}
    for scale in comparison.scales:
        path = testset.path(key, scale)
        if path not in pictures:
            pictures[path] = _read(path)
        lr, hr = _pair(comparison, testset, key, pictures[path], scale)
        if comparison.degrade:
            lr = comparison.degrade(lr, f"{key} {scale_text(scale)}")
        sizes = size_of(lr), size_of(hr)
        truth = image.to_float(hr)
        outputs: dict[str, Tensor] = {}
        scores: dict[str, Scores] = {}
        for method in comparison.methods:
            outputs[method.name], scores[method.name] = _score(comparison, method, lr, truth, scale)
            records.append(
                Record(testset.name, key, scale, method.name, *sizes, scores[method.name])
            )
        if scale == comparison.crop_scale:
            crops.append(_crops(comparison, f"{testset.name}\n{key}", lr, truth, outputs, scores))
    return records, crops


def _score(
    comparison: Comparison, method: Method, lr: Tensor, truth: Tensor, scale: Pair
) -> tuple[Tensor, Scores]:
    protocol = comparison.protocol
    start = time.perf_counter()
    sr = protocol.finish(method.upscale(lr, size_of(truth)))
    seconds = time.perf_counter() - start
    return sr, Scores(
        psnr=protocol.psnr(sr, truth, scale),
        ssim=protocol.ssim(sr, truth, scale),
        consistency=protocol.consistency(sr, lr, scale),
        lpips=comparison.lpips(sr, truth) if comparison.lpips else None,
        seconds=seconds,
    )


def _pair(
    comparison: Comparison, testset: TestSet, key: str, hr: Tensor, scale: Pair
) -> tuple[Tensor, Tensor]:
    """The LR image, made or given, and the part of the HR image that it stands for; uint8."""
    if comparison.lr is None:
        lr_size, (height, width) = comparison.protocol.crop(size_of(hr), scale)
        hr = hr[:, :height, :width]
        return comparison.protocol.reduce(hr, lr_size, scale), hr
    path = low_resolution(comparison.lr, testset.name, key, scale_text(scale))
    lr = _read(path)
    if len(lr) != len(hr):
        raise ValueError(f"{path} has {len(lr)} channels, its high-resolution image {len(hr)}")
    height, width = comparison.protocol.crop_to(size_of(hr), size_of(lr), scale)
    return lr, hr[:, :height, :width]


def _crops(
    comparison: Comparison,
    title: str,
    lr: Tensor,
    truth: Tensor,
    outputs: Mapping[str, Tensor],
    scores: Mapping[str, Scores],
) -> Crops:
    ours = next((m for m in comparison.methods if m.checkpoint), comparison.methods[-1]).name
    window = detailed_window(truth)
    panels = [("LR", nearest(image.to_float(lr), size_of(truth), window))]
    panels += [
        (f"{name}\n{scores[name].psnr:.2f} dB", sr[:, *window].clone())
        for name, sr in outputs.items()
    ]
    panels.append(("HR", truth[:, *window].clone()))
    return Crops(title, scores[ours].psnr - scores[BICUBIC].psnr, tuple(panels))


def _read(path: Path) -> Tensor:
    """uint8 (C, H, W), grey or RGB."""
    picture = image.read(path)
    if picture.has_alpha:
        raise ValueError(f"{path} is partly transparent: expected an opaque picture")
    return image.opaque(picture)
