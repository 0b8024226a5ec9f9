"""What an analysis is given and what it hands back: tables, records and pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ccsr import image
from ccsr.bundled import resource_dir
from ccsr.choices import Encoder
from ccsr.evaluation.table import aligned

PHOTO = "astronaut.png"
MODELS = ("light",)


@dataclass(frozen=True)
class Options:
    """The flags of `ccsr analyze`; each analysis reads those that concern it.

    Attributes:
        models: names or files of networks; none for those that the analysis takes by itself.
        data: an image, or a folder of images; None takes what comes with ccsr.
        test: a folder of images to measure on, where `data` is trained on; None likewise.
        encoder: what the heads of `ccsr analyze heads` read.
        limit: measure on at most so many images.
        steps: of each training run.
        out: folder for files that outlast the run; None keeps none.
        trust: the packages, but ours, whose classes the networks' files may name.
    """

    models: Sequence[str] = ()
    data: Path | None = None
    test: Path | None = None
    encoder: Encoder = "light"
    limit: int | None = None
    steps: int = 400
    out: Path | None = None
    trust: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """Text in lines and columns; the first line is the heading."""

    title: str
    lines: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return "\n".join([self.title, *aligned(self.lines)])

    def markdown(self) -> str:
        """The same for a document."""
        heading, *rows = (f"| {' | '.join(line)} |" for line in self.lines)
        rule = f"|---|{'---:|' * (len(self.lines[0]) - 1)}"
        return "\n".join([f"{self.title}:", "", heading, rule, *rows, ""])


@dataclass(frozen=True)
class Findings:
    """What an analysis found.

    Attributes:
        tables: for people.
        records: the same and more, for programs: one mapping per measurement.
        pictures: file name -> writes that file (needs matplotlib).
    """

    tables: Sequence[Table]
    records: Sequence[Mapping[str, object]]
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)


def photo(path: Path | None, side: int) -> Tensor:
    """The middle `side` x `side` pixels of an image: float (3, side, side) in [0, 1].

    Args:
        path: None takes a photo that comes with ccsr.
        side: at most the image's shorter side.

    Raises:
        ValueError: if the image is smaller.
    """
    path = path or resource_dir("samples") / PHOTO
    picture = image.to_float(image.read_rgb(path))
    height, width = picture.shape[1:]
    if min(height, width) < side:
        raise ValueError(
            f"{path} has {width}x{height} pixels, but at least {side} a side are needed: "
            "give a larger image by --data"
        )
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]


def relative_error(a: Tensor, b: Tensor) -> float:
    """Root mean square of `a - b` over that of `b` about its mean, per channel."""
    spread = (b - b.mean((-2, -1), keepdim=True)).square().mean()
    return float(((a - b).square().mean() / spread.clamp(min=torch.finfo(b.dtype).tiny)).sqrt())
