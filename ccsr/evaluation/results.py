"""What an evaluation found: records per image, their means, and both as JSON and CSV."""

import csv
import io
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

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
        seconds: that the method took.
    """

    psnr: float
    ssim: float
    consistency: float
    lpips: float | None
    seconds: float


@dataclass(frozen=True)
class Record:
    """One method on one image at one scale (vertical, horizontal); sizes are (rows, columns)."""

    testset: str
    image: str
    scale: Pair
    model: str
    lr_size: Size
    hr_size: Size
    scores: Scores

    def row(self) -> dict[str, object]:
        """Everything under flat names that say which number is the width."""
        return {
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


@dataclass(frozen=True)
class Mean:
    """Means of the per-image scores of one method at one scale over a test set."""

    testset: str
    scale: Pair
    model: str
    images: int
    scores: Scores

    def row(self) -> dict[str, object]:
        """Everything under flat names that say which number is the width."""
        return {
            "testset": self.testset,
            **_scale(self.scale),
            "model": self.model,
            "images": self.images,
            **asdict(self.scores),
        }


def means(records: Sequence[Record]) -> list[Mean]:
    """Means per test set, scale and model, in order of appearance."""
    groups: dict[tuple[str, Pair, str], list[Scores]] = {}
    for record in records:
        groups.setdefault((record.testset, record.scale, record.model), []).append(record.scores)
    return [Mean(*key, len(scores), _mean(scores)) for key, scores in groups.items()]


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
        temporary.write_text(stream.getvalue(), encoding="utf-8")


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


def _mean(scores: Sequence[Scores]) -> Scores:
    distances = [s.lpips for s in scores if s.lpips is not None]
    return Scores(
        psnr=statistics.fmean(s.psnr for s in scores),
        ssim=statistics.fmean(s.ssim for s in scores),
        consistency=statistics.fmean(s.consistency for s in scores),
        lpips=statistics.fmean(distances) if distances else None,
        seconds=statistics.fmean(s.seconds for s in scores),
    )


def _finite(value: object) -> object:
    """`value` with infinities, which JSON has no number for, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
