"""Measuring: every method on every image at every scale, by one protocol."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ccsr import image
from ccsr.evaluation.cache import Cache, Measured
from ccsr.evaluation.cases import Case, Files
from ccsr.evaluation.dump import Dump
from ccsr.evaluation.methods import BICUBIC, Method
from ccsr.evaluation.pictures import Pictures
from ccsr.evaluation.plots import Crops, detailed_window, extremes, nearest
from ccsr.evaluation.results import LeftOut, Record, Scores
from ccsr.evaluation.testsets import TestSet
from ccsr.grid import Pair, size_of
from ccsr.image.degrade import Degrade
from ccsr.protocols import PROTOCOLS, EvaluationProtocol

Distance = Callable[[Tensor, Tensor], float]


class Contender(Protocol):
    """What can be measured: a method, or pictures of another program."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def output(self, case: Case) -> Tensor:
        """Give the picture (C, H, W) of a case, float."""

    def content(self, case: Case) -> Mapping[str, object] | None:
        """What decides that picture beside the case; None if that is not known."""


@dataclass(frozen=True)
class Comparison:
    """What to compare with what.

    Attributes:
        methods: contenders that compute.
        scales: (vertical, horizontal) each.
        protocol: how.
        lr: folder of given low-resolution images; None to make them by the protocol.
        lpips: see `metrics.load_lpips`; None to leave it out.
        degrade: what LR images go through; None for nothing.
        pictures: contenders that others computed.
        cache: of results that are known already; None for none.
        dump: where outputs of the methods are written; None for nowhere.
    """

    methods: Sequence[Method]
    scales: Sequence[Pair]
    protocol: EvaluationProtocol
    lr: Path | None = None
    lpips: Distance | None = None
    degrade: Degrade | None = None
    pictures: Sequence[Pictures] = ()
    cache: Cache | None = None
    dump: Dump | None = None

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """All of them, in the order of the table."""
        return (*self.methods, *self.pictures)

    def case(self, testset: TestSet, key: str, scale: Pair, files: Files | None = None) -> Case:
        """One image at one scale, as this comparison has it."""
        return Case(testset, key, scale, self.protocol, self.lr, self.degrade, files or Files())


@dataclass
class Findings:
    """Everything found; of an image in `left_out` there are no records."""

    records: list[Record] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def measure(
    comparison: Comparison,
    images: Sequence[tuple[TestSet, str]],
    progress: Callable[[int], None] = lambda done: None,
    complain: Callable[[LeftOut, Exception], None] = lambda left_out, error: None,
) -> Findings:
    """Measure every method on every image at every scale.

    An image with which anything fails (it cannot be read, it is too small for a scale, its
    low-resolution partner or a picture of another program is missing) is left out of every mean
    alike.

    Args:
        comparison: what to do.
        images: (test set, key) each.
        progress: called with the number of images done, after each.
        complain: called at once with an image that is left out, and why.

    Raises:
        DumpError: if an output cannot be written.
    """
    findings = Findings()
    for done, (testset, key) in enumerate(images, 1):
        try:
            records = _measure_image(comparison, testset, key)
        except (OSError, ValueError, RuntimeError) as error:
            name = comparison.protocol.name
            findings.left_out.append(LeftOut(testset.name, key, str(error), name))
            complain(findings.left_out[-1], error)
        else:
            findings.records += records
        progress(done)
    return findings


def _measure_image(comparison: Comparison, testset: TestSet, key: str) -> list[Record]:
    records = []
    files = Files()
    for scale in comparison.scales:
        case = comparison.case(testset, key, scale, files)
        # others' pictures first: to find that one is missing shall cost no time of a network
        found = {
            each.name: _measured(comparison, each, case) for each in reversed(comparison.contenders)
        }
        for each in comparison.contenders:
            one = found[each.name]
            sizes = one.lr_size, one.hr_size
            name = comparison.protocol.name
            records.append(Record(testset.name, key, scale, each.name, *sizes, one.scores, name))
    return records


def _measured(comparison: Comparison, contender: Contender, case: Case) -> Measured:
    """What is known of a contender on a case, from the cache or measured now."""
    cache, dump = comparison.cache, comparison.dump
    dump = dump if isinstance(contender, Method) else None
    content = cache and _content(comparison, contender, case)
    known = cache.get(content) if cache and content else None
    if known and (dump is None or dump.holds(contender.name, case, known.pixels, _digest)):
        return known
    start = time.perf_counter()
    sr = contender.output(case)
    if sr.isnan().any():
        raise ValueError(f"{contender.name} gives values that are not numbers")
    sr = comparison.protocol.finish(sr).contiguous()
    seconds = time.perf_counter() - start if isinstance(contender, Method) else None
    if dump:
        dump.write_given(case)
        dump.write(contender.name, case, sr)
    scores = _scores(comparison, sr, case, seconds)
    result = Measured(size_of(case.lr), case.size, scores, _digest(sr))
    if cache and content:
        cache.put(content, result)
    return result


def _content(
    comparison: Comparison, contender: Contender, case: Case
) -> Mapping[str, object] | None:
    """All that decides what is measured; None where that is not known."""
    own = contender.content(case)
    if own is None or PROTOCOLS.get(comparison.protocol.name) is not comparison.protocol:
        return None
    return {"method": own, **case.content(), "lpips": comparison.lpips is not None}


def _digest(sr: Tensor) -> str:
    """A digest of a finished picture, by what a dump of it holds."""
    return hashlib.sha256(sr.mul(65535).round().to(torch.int32).numpy().tobytes()).hexdigest()


def _scores(comparison: Comparison, sr: Tensor, case: Case, seconds: float | None) -> Scores:
    protocol, truth = comparison.protocol, case.truth
    return Scores(
        psnr=protocol.psnr(sr, truth, case.scale),
        ssim=protocol.ssim(sr, truth, case.scale),
        consistency=protocol.consistency(sr, case.lr, case.scale),
        lpips=comparison.lpips(sr, truth) if comparison.lpips else None,
        seconds=seconds,
    )


def crops(
    comparison: Comparison, records: Sequence[Record], scale: Pair, testsets: Mapping[str, TestSet]
) -> list[Crops]:
    """The same part of images in all their versions, where our first network gains most and least.

    They are computed again: only few of the images are shown, and their results may come from a
    cache.

    Args:
        comparison: with bicubic among its methods.
        records: what was found by it.
        scale: one of its scales.
        testsets: by their names.
    """
    ours = next((m for m in comparison.methods if m.checkpoint), comparison.methods[-1]).name
    psnr = {
        (r.testset, r.image, r.model): r.scores.psnr
        for r in records
        if r.scale == scale and r.protocol == comparison.protocol.name
    }
    gains = {
        (testset, key): value - psnr[testset, key, BICUBIC]
        for (testset, key, model), value in psnr.items()
        if model == ours
    }
    found = []
    for (testset, key), gain in extremes(gains):
        case = comparison.case(testsets[testset], key, scale)
        window = detailed_window(case.truth)
        panels = [("LR", nearest(image.to_float(case.lr), case.size, window))]
        for each in comparison.contenders:
            sr = comparison.protocol.finish(each.output(case))
            caption = f"{each.name}\n{psnr[testset, key, each.name]:.2f} dB"
            panels.append((caption, sr[:, *window].clone()))
        panels.append(("HR", case.truth[:, *window].clone()))
        found.append(Crops(f"{testset}\n{key}", gain, tuple(panels)))
    return found
