"""PSNR over what a file or a camera did to the picture before it is enlarged: JPEG and noise.

The networks are measured one by one, and as `auto` takes one of two for each picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from ccsr.analysis.findings import Findings, Options, Table
from ccsr.bundled import resource_dir
from ccsr.evaluation.measure import Comparison, crops, measure
from ccsr.evaluation.methods import BICUBIC, LANCZOS, build
from ccsr.evaluation.plots import draw_crops, save
from ccsr.evaluation.results import Record
from ccsr.evaluation.table import unique
from ccsr.evaluation.testsets import TestSet, find
from ccsr.image.degrade import Degrade
from ccsr.protocols import by_name
from ccsr.upscaling.automatic import CLEAN, CLEANING, choose

PROTOCOL = "benchmark-y"
SCALE = (2.0, 2.0)
MODELS = (CLEAN, "base", CLEANING, "photo-base")
AUTO = "auto"
QUALITIES = (30, 40, 50, 60, 75, 85, 90, 93, 95, 98)  # of JPEG
LEVELS = (1, 2, 5, 10)  # of noise
CHAINS = ("none", *(f"jpeg:{q}" for q in QUALITIES), *(f"noise:{level}" for level in LEVELS))
SHOWN = "jpeg:40"  # in the crops


@dataclass(frozen=True)
class Result:
    """One method after one degradation.

    Attributes:
        degrade: of the low-resolution images, as `ccsr evaluate --degrade` writes it, or `none`.
        model: name.
        images: how many there are.
        psnr: dB, mean over the images.
        gain: dB above bicubic, likewise.
        least: the same of the image where it is least.
    """

    degrade: str
    model: str
    images: int
    psnr: float
    gain: float
    least: float


def analyse(options: Options) -> Findings:
    """Measure degraded images, as the flags of `ccsr analyze degradation` say."""
    protocol = by_name(PROTOCOL)
    testset = find(options.data or resource_dir("samples"))
    images = [(testset, key) for key in testset.names()[: options.limit]]
    names = (BICUBIC, LANCZOS, *(options.models or MODELS))
    plain = Comparison(build(names, protocol, trust=options.trust), (SCALE,), protocol)
    results: list[Result] = []
    shown: list[Record] = []
    for chain in CHAINS:
        comparison = _under(plain, chain)
        found = measure(comparison, images)
        if found.left_out:
            one = found.left_out[0]
            raise ValueError(f"{one.image}: {one.reason}: leave that image out of --data")
        results += summed(chain, found.records + automatic(comparison, testset, found.records))
        shown = found.records if chain == SHOWN else shown
    tables = [
        _table(f"PSNR in dB on {testset.name} at 2 ({PROTOCOL}, {len(images)} images)", results),
        _table("Least gain in dB over bicubic of any image", results, least=True),
    ]

    def draw_page(path: Path) -> None:
        found = crops(_under(plain, SHOWN), shown, SCALE, {testset.name: testset})
        draw_crops(path, found, SCALE)

    pictures = {
        "degradation.png": lambda path: draw(path, results),
        "degradation-crops.webp": draw_page,
    }
    records: list[Mapping[str, object]] = [
        {"protocol": PROTOCOL, "testset": testset.name, "scale": SCALE[0], **asdict(one)}
        for one in results
    ]
    return Findings(tables, records, pictures)


def _under(comparison: Comparison, chain: str) -> Comparison:
    """The same after a degradation."""
    return replace(comparison, degrade=None if chain == "none" else Degrade.parse(chain))


def automatic(comparison: Comparison, testset: TestSet, records: Sequence[Record]) -> list[Record]:
    """What `auto` gives: of each image the record of the network that it takes; none without both.

    The files' headers say what `--degrade` says.
    """
    by_model = {
        name: {r.image: r for r in records if r.model == name} for name in (CLEAN, CLEANING)
    }
    if not all(by_model.values()):
        return []
    found = []
    for key in by_model[CLEAN]:
        case = comparison.case(testset, key, SCALE)
        choice = choose(case.lr.permute(1, 2, 0).numpy(), case.coding)
        chosen = by_model[CLEANING if choice.cleans else CLEAN][key]
        found.append(replace(chosen, model=AUTO))
    return found


def summed(chain: str, records: Sequence[Record]) -> list[Result]:
    """The results of one degradation, one per method."""
    psnr = {(r.model, r.image): r.scores.psnr for r in records}
    found = []
    for model in unique(r.model for r in records):
        values = {key: value for (name, key), value in psnr.items() if name == model}
        gains = [value - psnr[BICUBIC, key] for key, value in values.items()]
        mean = fmean(values.values())
        found.append(Result(chain, model, len(values), mean, fmean(gains), min(gains)))
    return found


def _table(title: str, results: Sequence[Result], least: bool = False) -> Table:
    models = [m for m in unique(one.model for one in results) if not (least and m == BICUBIC)]
    lines = [["", *models]]
    for chain in unique(one.degrade for one in results):
        here = {one.model: one for one in results if one.degrade == chain}
        cells = [f"{here[m].least:+.2f}" if least else f"{here[m].psnr:.2f}" for m in models]
        lines.append([chain, *cells])
    return Table(title, lines)


def draw(path: Path, results: Sequence[Result]) -> None:
    """Write the gain over bicubic over the quality of JPEG, and over the levels of noise."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for number, (step, label) in enumerate(
        (("jpeg", "quality of JPEG"), ("noise", "noise in levels of 255")), 1
    ):
        axes = figure.add_subplot(1, 2, number)
        for colour, model in enumerate(unique(one.model for one in results)):
            line = [one for one in results if one.model == model]
            points = sorted(
                (float(one.degrade.split(":")[1]), one.gain)
                for one in line
                if one.degrade.startswith(step)
            )
            style = "k--" if model == AUTO else f"C{colour}o-"
            axes.plot(*zip(*points, strict=True), style, label=model, markersize=4)
        axes.set(xlabel=label, ylabel="gain over bicubic in dB")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    save(figure, path, dpi=80)
