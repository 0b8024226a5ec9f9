"""What an evaluation found: records per image, their means, and both as JSON and CSV."""

import csv
import io
import math
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ccsr import __version__
from ccsr.atomic import replacing
from ccsr.grid import Pair, Size
from ccsr.terminal import as_json


@dataclass(frozen=True)
class Scores:
    """Measures of one output image, or means of them.

    Attributes:
        psnr: dB.
        ssim: at most 1.
        consistency: dB, see `EvaluationProtocol.consistency`.
        lpips: perceptual distance, smaller is better; None if not asked for.
        seconds: that the method took; None for pictures that were there already.
    """

    psnr: float
    ssim: float
    consistency: float
    lpips: float | None
    seconds: float | None


@dataclass(frozen=True)
class Record:
    """One method on one image at one scale (vertical, horizontal); sizes are (rows, columns).

    `protocol` is the name of the one that it was measured by.
    """

    testset: str
    image: str
    scale: Pair
    model: str
    lr_size: Size
    hr_size: Size
    scores: Scores
    protocol: str

    def row(self) -> dict[str, object]:
        """Everything under flat names that say which number is the width."""
        return {
            "protocol": self.protocol,
            "testset": self.testset,
            "image": self.image,
            **_scale(self.scale),
            "model": self.model,
            "lr_width": self.lr_size[1],
            "lr_height": self.lr_size[0],
            "hr_width": self.hr_size[1],
            "hr_height": self.hr_size[0],
            **asdict(self.scores),
        }


@dataclass(frozen=True)
class LeftOut:
    """An image that counts nowhere, because one of its results could not be computed."""

    testset: str
    image: str
    reason: str
    protocol: str


@dataclass(frozen=True)
class Mean:
    """Means of the per-image scores of one method at one scale over a test set, by one protocol.

    Attributes:
        runs: how many trainings of one kind it is the mean of, see `over_runs`.
        deviations: the standard deviations of their means, of the runs as a sample; None for one
            run.
    """

    testset: str
    scale: Pair
    model: str
    images: int
    scores: Scores
    protocol: str
    runs: int = 1
    deviations: Scores | None = None

    def row(self) -> dict[str, object]:
        """Everything under flat names that say which number is the width."""
        spread = asdict(self.deviations) if self.deviations else dict.fromkeys(asdict(self.scores))
        return {
            "protocol": self.protocol,
            "testset": self.testset,
            **_scale(self.scale),
            "model": self.model,
            "images": self.images,
            **asdict(self.scores),
            "runs": self.runs,
            **{f"{name}_deviation": value for name, value in spread.items()},
        }


def means(records: Sequence[Record]) -> list[Mean]:
    """Means per protocol, test set, scale and model, in order of appearance."""
    groups: dict[tuple[str, Pair, str, str], list[Scores]] = {}
    for record in records:
        key = record.testset, record.scale, record.model, record.protocol
        groups.setdefault(key, []).append(record.scores)
    return [
        Mean(testset, scale, model, len(scores), _each(statistics.fmean, scores), protocol)
        for (testset, scale, model, protocol), scores in groups.items()
    ]


def over_runs(rows: Sequence[Mean], kinds: Mapping[str, str]) -> list[Mean]:
    """The means with several runs of one kind as one: mean and standard deviation of theirs.

    Args:
        rows: see `means`.
        kinds: the name of a model that is one of several runs -> their common name.
    """
    groups: dict[tuple[str, Pair, str, str], list[Mean]] = {}
    for row in rows:
        key = row.testset, row.scale, kinds.get(row.model, row.model), row.protocol
        groups.setdefault(key, []).append(row)
    joined = []
    for (testset, scale, kind, protocol), same in groups.items():
        scores = [row.scores for row in same]
        spread = _each(_deviation, scores) if len(same) > 1 else None
        mean = _each(statistics.fmean, scores)
        images = same[0].images
        joined.append(Mean(testset, scale, kind, images, mean, protocol, len(same), spread))
    return joined


def json_text(document: Mapping[str, object]) -> str:
    """`document` as JSON; infinities, for which JSON has no number, become the text "inf"."""
    return as_json(_finite(document), indent=1)


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write :func:`json_text`, whole or not at all."""
    text = json_text(document)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mean]) -> None:
    """Write means as CSV, one line per test set, scale and model, whole or not at all."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0].row()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.row() for row in rows)
    with replacing(path) as temporary:
        # names that are no Unicode stand as they are shown
        temporary.write_text(stream.getvalue(), encoding="utf-8", errors="backslashreplace")


def environment() -> dict[str, object]:
    """Versions and hardware that numbers may depend on."""
    return {
        "ccsr": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pillow": version("pillow"),
        "numpy": version("numpy"),
        "system": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _scale(scale: Pair) -> dict[str, object]:
    return {"scale_width": scale[1], "scale_height": scale[0]}


def _each(reduce: Callable[[list[float]], float], scores: Sequence[Scores]) -> Scores:
    """What `reduce` makes of each score's values; None where not all have that score."""
    found: dict[str, Any] = {}
    for field in fields(Scores):
        values = [getattr(each, field.name) for each in scores]
        found[field.name] = None if None in values else reduce(values)
    return Scores(**found)


def _deviation(values: list[float]) -> float:
    """The standard deviation of a sample; of infinite values none is known."""
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def _finite(value: object) -> object:
    """`value` with infinities, which JSON has no number for, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
